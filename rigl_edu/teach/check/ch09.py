"""Chapter 9, SET: counting rewirings, growing at random, dropping by sign, positions tried."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor, isclose, isfinite

import torch
from torch import Tensor

from ... import sparse
from ..layers import places, six_by_six
from ..toys.schedule import tried
from .result import Answer, Case, Exercise

# --- 1: counting rewirings ------------------------------------------------------------------------


def _rewirings(steps: int, every: int, until: int, hints: dict[int, str]) -> Case:
    """How many in one training; `hints` maps a wrong number to the mistake that gives it."""
    expected = sum(sparse.rewires_at(t, every, until) for t in range(1, steps + 1))

    def test(answer: Answer) -> str:
        given = answer(steps, every, until)
        if given is None or given is ...:
            return "It returned nothing."
        if given == expected:
            return "" if float(given) == int(given) else "A number of rewirings is a whole one."
        return hints.get(given, f"It gave {given}; right is {expected}.")

    return Case(f"steps={steps}, every={every}, until={until}", test)


rewirings = Exercise(
    name="ch09.rewirings",
    task="`rewirings(steps, every, until)`: how often the masks change in a training of `steps` "
    "steps, counted from 1. A step t rewires if `every` divides it and it comes before `until`.",
    minutes=5,
    difficulty=1,
    clues=(
        "Do it for every=10, until=40 on paper: which steps rewire? Is 40 among them?",
        "The last step of training may come before `until`, or after it.",
        "The definition itself is a program: `sum(t % every == 0 and t < until for t in "
        "range(1, steps + 1))`.",
    ),
    cases=(
        _rewirings(
            100,
            10,
            45,
            {
                10: "It goes on after `until`: from that step on the masks stay.",
                5: "It counts step 0, or rounds up. Steps are counted from 1; the first rewiring "
                "is step `every`.",
            },
        ),
        _rewirings(
            100,
            10,
            40,
            {4: "Step `until` itself no longer rewires: t < until, not t <= until."},
        ),
        _rewirings(
            30,
            10,
            1000,
            {99: "Training ends at step 30, long before `until`.", 2: "Step 30 is a step too."},
        ),
        _rewirings(100, 50, 20, {1: "`until` comes before the first rewiring: there is none."}),
        _rewirings(1000, 1, 750, {}),
    ),
)

# --- 2: growing at random -----------------------------------------------------------------------


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _kept() -> Tensor:
    """The 6 x 6 layer's mask after dropping 3 weights."""
    layer = six_by_six()
    return sparse.drop(layer.weight.abs(), layer.mask, 3)


def _not_a_mask(given: object, like: Tensor) -> str:
    if given is None or given is ...:
        return "It returned nothing."
    if not isinstance(given, Tensor) or given.shape != like.shape:
        shape = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
        return f"It should return a mask of shape {tuple(like.shape)}; this is {shape}."
    if not ((given == 0) | (given == 1)).all():
        return "A mask holds only 0 and 1 (or False and True)."
    return ""


def _grown(answer: Answer, kept: Tensor, k: int, seed: int) -> tuple[Tensor, str]:
    """The new positions, and what is wrong with the answer as a mask."""
    mine, copy = kept.clone(), kept.clone()
    given = answer(mine, k, _generator(seed))
    problem = _not_a_mask(given, kept)
    if problem:
        return kept, problem
    if not mine.equal(copy):
        return kept, "It changed `kept` in place: work on a clone."
    new = given.bool()
    if k and not (new & copy).any() and int(new.count_nonzero()) == k:
        return kept, "These are only the new positions; the result should have the kept ones too."
    gone = copy & ~new
    empty = int((~copy).count_nonzero())
    if k and not (new & copy).any() and int(new.count_nonzero()) == empty - k:
        return kept, "This is the mask turned round: 1 where a weight is, 0 where it is empty."
    if gone.any():
        return kept, f"Growing turned off {places(gone)}, which were kept."
    return new & ~copy, ""


def _always_k(answer: Answer) -> str:
    kept, counts = _kept(), []
    for seed in range(40):
        grown, problem = _grown(answer, kept, 3, seed)
        if problem:
            return problem
        counts.append(int(grown.count_nonzero()))
    if set(counts) == {3}:
        return ""
    if len(set(counts)) == 1:
        return f"Asked for k = 3 it always grew {counts[0]}."
    if max(counts) > 3:
        return (
            f"In 40 tries it grew between {min(counts)} and {max(counts)} weights. A coin flip for "
            "each position is right only on average; choose exactly k positions."
        )
    return (
        f"In 40 tries it sometimes grew only {min(counts)}: positions that are kept, or one twice, "
        "were chosen too. Choose k different ones among the empty."
    )


def _reproducible(answer: Answer) -> str:
    kept, one = _kept(), _generator(7)
    first, problem = _grown(answer, kept, 3, 7)
    if problem:
        return problem
    draws = [answer(kept.clone(), 3, one).bool() for _ in range(5)]
    if all(draw.equal(draws[0]) for draw in draws):
        return (
            "Five draws, one after the other from one generator, gave the same positions. Draw "
            "with `generator`: neither fixed positions nor a generator of your own."
        )
    if not all(_grown(answer, kept, 3, 7)[0].equal(first) for _ in range(5)):
        return (
            "The same generator gave different positions: draw with `generator=generator`, not "
            "from torch's global one. Else no run can be repeated or resumed."
        )
    return ""


def _uniform(answer: Answer) -> str:
    """Each of 27 empty positions is chosen in 1 of 9 tries; 900 tries, so 100 times, sd 9.4."""
    kept, tries = _kept(), 900
    times = torch.zeros(kept.shape)
    one = _generator(0)
    for _ in range(tries):
        times += answer(kept.clone(), 3, one).bool() & ~kept
    never = (times == 0) & ~kept
    if never.any():
        where = "" if int(never.count_nonzero()) > 6 else f", such as {places(never)}"
        return (
            f"In {tries} tries {int(never.count_nonzero())} of the {int((~kept).sum())} empty "
            f"positions were never grown{where}. Each must have the same chance, those that were "
            "just dropped too."
        )
    share = times[~kept]
    if float(share.max()) > 100 + 6 * 9.4 or float(share.min()) < 100 - 6 * 9.4:
        return (
            f"In {tries} tries one position was grown {int(share.max())} times and another "
            f"{int(share.min())} times. Each must have the same chance: about 100 times."
        )
    return ""


def _all_of_it(answer: Answer) -> str:
    kept = _kept()
    for k in (0, int((~kept).count_nonzero())):
        grown, problem = _grown(answer, kept, k, 0)
        count = int(grown.count_nonzero())
        if problem or count != k:
            why = (
                "Did kept positions win? Their score must be below any other." if count < k else ""
            )
            return problem or f"Asked for k = {k} it grew {count}. {why}".rstrip()
    return ""


def _convolution(answer: Answer) -> str:
    kept = sparse.random_mask((4, 3, 3, 3), 20, _generator(3))
    grown, problem = _grown(answer, kept, 11, 0)
    return problem or ("" if int(grown.count_nonzero()) == 11 else "It did not grow 11 weights.")


grow_at_random = Exercise(
    name="ch09.grow_at_random",
    task="`grow_at_random(kept, k, generator)`: the mask with exactly `k` more ones than `kept`, "
    "at random empty positions, each with the same chance. `kept` is a bool mask.",
    minutes=10,
    difficulty=2,
    clues=(
        "Drawing k different positions out of many is the same as shuffling them and taking the "
        "first k.",
        "Random numbers are a shuffle: the k largest of them sit at k random places. Which "
        "positions must not win?",
        "`scores = torch.rand(kept.shape, generator=generator)`, then `scores[kept] = -1`, then "
        "the indices of `scores.flatten().topk(k)`.",
    ),
    cases=(
        Case("exactly k, every time", _always_k),
        Case("the same generator, the same positions", _reproducible),
        Case("every empty position has the same chance", _uniform),
        Case("none, and all", _all_of_it),
        Case("a convolution's weight, 4 × 3 × 3 × 3", _convolution),
    ),
)

# --- 3: dropping by sign --------------------------------------------------------------------------


def _down(number: float) -> int:
    return floor(number + 1e-9)


def _up(number: float) -> int:
    return ceil(number - 1e-9)


def _signs(weight: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    return mask & (weight >= 0), mask & (weight < 0)


def _without(
    scores: Tensor,
    sides: tuple[Tensor, Tensor],
    fraction: float,
    rounded: Callable[[float], int] = _down,
) -> Tensor:
    """All positions but the dropped: of each side its fraction, lowest scores first."""
    kept = torch.ones_like(sides[0])
    for side in sides:
        k = rounded(fraction * int(side.count_nonzero()))
        kept = kept & (~side | sparse.drop(scores, side, k))
    return kept


def _slips(weight: Tensor, mask: Tensor, fraction: float) -> list[tuple[str, Tensor]]:
    """What a mistake is called, and what it leaves."""
    size, (positive, negative) = weight.abs(), _signs(weight, mask)
    above, below = mask & (weight > 0), mask & (weight <= 0)
    together = _down(fraction * int(mask.count_nonzero()))
    zero = (
        f"What of the active weights that are exactly 0, at {places(mask & (weight == 0))}? They "
        "do least and go first: count a 0 as positive, and only as that."
    )
    down = "Round down: floor(fraction × the number of that sign)."
    return [
        (
            "It dropped the largest |w| of each sign; those nearest to 0 go.",
            _without(-size, (positive, negative), fraction),
        ),
        (
            "It dropped the smallest |w| of all. Here each sign loses its own fraction: "
            f"{fraction} of the positive ones and {fraction} of the negative ones.",
            sparse.drop(size, mask, together),
        ),
        (down, _without(size, (positive, negative), fraction, _up)),
        (down, _without(size, (positive, negative), fraction, round)),
        (zero, _without(size, (above, negative), fraction)),
        (zero, _without(size, (above, below), fraction)),
        (zero, _without(size, (positive, below), fraction)),
        (
            "Positions off the mask took part. They are 0 there; only active weights have a sign.",
            _without(size, (weight >= 0, weight < 0), fraction),
        ),
    ]


def _drops(name: str, weight: Tensor, mask: Tensor, fraction: float) -> Case:
    expected = mask & _without(weight.abs(), _signs(weight, mask), fraction)

    def test(answer: Answer) -> str:
        inputs = weight.clone(), mask.clone()
        given = answer(*inputs, fraction)
        problem = _not_a_mask(given, mask)
        if problem:
            return problem
        if not inputs[0].equal(weight) or not inputs[1].equal(mask):
            return "It changed its inputs in place: work on clones."
        kept = given.bool()
        if kept.equal(expected):
            return ""
        return _what_went_wrong(weight, mask, fraction, kept, expected)

    return Case(name, test)


def _what_went_wrong(
    weight: Tensor, mask: Tensor, fraction: float, kept: Tensor, expected: Tensor
) -> str:
    if (kept & ~mask).any():
        return f"It turned on {places(kept & ~mask)}: dropping only turns off."
    if kept.equal(mask & ~expected):
        return "These are the dropped ones; return the mask of those that are kept."
    for hint, left in _slips(weight, mask, fraction):
        if kept.equal(mask & left):
            return hint
    signs = _signs(weight, mask)
    if (kept & signs[1]).equal(signs[1] & _without(weight, signs, fraction)) and not (
        (kept & signs[1]).equal(expected & signs[1])
    ):
        return (
            "It dropped the most negative weights, which are large. Of the negative ones those "
            "nearest to 0 go, the *largest* negative numbers. (Two public codes made this slip.)"
        )
    for word, side in zip(("positive", "negative"), signs, strict=True):
        n = int(side.count_nonzero())
        gone, right = (int((side & ~after).count_nonzero()) for after in (kept, expected))
        if gone != right:
            return (
                f"Of {n} {word} weights it dropped {gone}; right is floor({fraction} × {n}) = "
                f"{right}."
            )
    return f"It dropped {places(mask & ~kept) or 'nothing'}; right is {places(mask & ~expected)}."


def _lopsided() -> tuple[Tensor, Tensor]:
    """Ten small positive weights and ten large negative ones."""
    weight = torch.zeros(5, 8)
    weight.view(-1)[:10] = torch.linspace(0.05, 0.5, 10)
    weight.view(-1)[20:30] = torch.linspace(-2.0, -1.1, 10)
    return weight, weight != 0


def _with_zeros() -> tuple[Tensor, Tensor]:
    weight, mask = _lopsided()
    weight = weight.clone()
    weight.view(-1)[[3, 5]] = 0.0
    return weight, mask


def _conv() -> tuple[Tensor, Tensor]:
    g = _generator(6)
    mask = sparse.random_mask((4, 3, 3, 3), 40, g)
    return torch.randn(4, 3, 3, 3, generator=g) * mask, mask


_book = six_by_six()

drop_each_sign = Exercise(
    name="ch09.drop_each_sign",
    task="`drop_each_sign(weight, mask, fraction)`: what is kept when SET drops as its own "
    "paper does, a bool mask. `fraction` of the positive weights and `fraction` of the negative "
    "ones go, each number rounded down, those nearest to 0. An active 0 counts as positive.",
    minutes=15,
    difficulty=2,
    clues=(
        "Two rounds of the same thing: once for the active weights ≥ 0, once for those < 0.",
        "In each round only that sign takes part: the others get +inf before you look for the "
        "smallest |w|.",
        "`side = mask & (weight < 0)`, `k = floor(fraction * side.sum().item())`, `scores = "
        "weight.abs().masked_fill(~side, torch.inf)`.",
    ),
    cases=(
        _drops("ten small positive and ten large negative weights", *_lopsided(), 0.3),
        _drops("some active weights are 0", *_with_zeros(), 0.2),
        _drops("the book's layer", _book.weight, _book.mask, 0.5),
        _drops("fractions that do not come out even", _book.weight, _book.mask, 0.45),
        _drops("only positive weights", _book.weight.abs(), _book.mask, 0.3),
        _drops("fraction 0", _book.weight, _book.mask, 0.0),
        _drops("a convolution's weight", *_conv(), 0.3),
    ),
)

# --- 4: positions tried -------------------------------------------------------------------------


def _tries(name: str, total: int, active: int, counts: list[int], hints: dict[str, float]) -> Case:
    expected = tried(active, total, counts)

    def test(answer: Answer) -> str:
        given = answer(total, active, list(counts))
        if given is None or given is ...:
            return "It returned nothing."
        given = float(given)
        if not isfinite(given):
            return f"It gave {given}, which is no share."
        if isclose(given, expected, rel_tol=1e-6, abs_tol=1e-9):  # float32 will do
            return ""
        for hint, wrong in hints.items():
            if isclose(given, wrong, rel_tol=1e-6, abs_tol=1e-9):
                return hint
        return f"It gave {given:.4f}; right is {expected:.4f}."

    return Case(name, test)


def _product(total: int, active: int, counts: list[int], empty: Callable[[int], float]) -> float:
    never = 1 - active / total
    for k in counts:
        never *= 1 - k / empty(k)
    return 1 - never


share_tried = Exercise(
    name="ch09.share_tried",
    task="`share_tried(total, active, counts)`: the share of a layer's `total` positions that have "
    "been active at least once, on average, after rewirings that move `counts[0]`, `counts[1]`, "
    "... of its `active` weights and grow them at random.",
    minutes=15,
    difficulty=3,
    clues=(
        "Follow one position that is empty at the start. When is it still untried at the end?",
        "After dropping k weights, how many positions are empty? k of these are drawn, each with "
        "the same chance, and a position that was never active is always among them.",
        "Multiply: the share untried starts at `1 - active / total`, and each rewiring leaves "
        "`1 - k / (total - active + k)` of it.",
    ),
    cases=(
        _tries(
            "no rewiring",
            100,
            20,
            [],
            {
                "Before any rewiring the first mask's positions have been tried.": 0.0,
                "That is the share *not* tried.": 0.8,
            },
        ),
        _tries(
            "one rewiring",
            100,
            20,
            [10],
            {
                "The drop comes first, so `total - active + k` positions are empty. Of the k grown "
                "some were dropped a moment ago and are no new ones.": _product(
                    100, 20, [10], lambda k: 80
                ),
                "Only empty positions can be grown, so k is not shared by all `total`.": _product(
                    100, 20, [10], lambda k: 100
                ),
                "That is the share *not* tried.": 1 - _product(100, 20, [10], lambda k: 90),
            },
        ),
        _tries(
            "fifty rewirings",
            1000,
            100,
            [30] * 50,
            {
                "It adds the grown ones up, but the same position is often grown twice: the "
                "shares untried multiply.": min(1.0, 0.1 + 0.9 * 50 * 30 / 930),
            },
        ),
        _tries("a falling fraction", 1000, 100, [30, 20, 10, 0], {}),
        _tries("a dense layer", 10, 10, [3, 3], {}),
    ),
)
