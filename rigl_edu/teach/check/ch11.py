"""Chapter 11, RigL: the drop fraction, growing, a whole rewiring, a rule of your own."""

from __future__ import annotations

from copy import deepcopy
from math import cos, pi
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ... import sparse
from ..layers import places, six_by_six
from .result import Answer, Case, Exercise

# --- 1: the cosine drop fraction --------------------------------------------------------------


def _fraction_at(t: int, until: int, fraction: float, hints: dict[str, float]) -> Case:
    """The fraction at one step; `hints` maps what a mistake is called to what it gives there."""
    expected = sparse.cosine_fraction(t, until, fraction)

    def test(answer: Answer) -> str:
        given = answer(t, until, fraction)
        if given is None or given is ...:
            return "It returned nothing."
        if abs(float(given) - expected) < 1e-6:
            return ""
        for hint, wrong in hints.items():
            if abs(float(given) - wrong) < 1e-6:
                return hint
        return f"It gave {float(given):.4f}; right is {expected:.4f}."

    return Case(f"t={t}, until={until}, fraction={fraction}", test)


cosine_fraction = Exercise(
    name="ch11.cosine_fraction",
    task="`cosine_fraction(t, until, fraction)`: the share of active weights to rewire at step t, "
    "falling by half a cosine from `fraction` to 0, and 0 from `until` on.",
    minutes=5,
    difficulty=1,
    clues=(
        "What must it be at t = 0, and what at t = until? Which part of a cosine goes that way?",
        "cos(0) = 1 and cos(π) = -1. Shift and scale so that 1 becomes `fraction`, -1 becomes 0.",
        "`fraction / 2 * (1 + cos(pi * t / until))` before `until`, and 0 after it.",
    ),
    cases=(
        _fraction_at(
            0,
            1000,
            0.3,
            {
                "At the start it must be `fraction` itself: 1 + cos(0) is 2, so halve it.": 0.6,
                "It starts at 0 and should end there: the curve is upside down.": 0.0,
                "Return the fraction, not the share that stays.": 0.7,
            },
        ),
        _fraction_at(
            500,
            1000,
            0.3,
            {
                "cos(t / until) does not reach -1: the angle must go from 0 to π.": 0.15
                * (1 + cos(0.5)),
                "That is a cosine of degrees; `math.cos` wants radians, from 0 to π.": 0.15
                * (1 + cos(90)),
                "The angle goes to 2π: a whole cosine comes back up. Half of one is enough.": 0.0,
                "A quarter of a cosine; RigL's is half a one, from 1 down to -1.": 0.3
                * cos(pi / 4),
            },
        ),
        _fraction_at(
            250,
            1000,
            0.3,
            {"A straight line. The cosine stays high at first: 0.2561 here, not 0.2250.": 0.225},
        ),
        _fraction_at(1000, 1000, 0.5, {}),
        _fraction_at(
            1500,
            1000,
            0.5,
            {
                "After `until` the masks stay, but a cosine goes up again: return 0 there.": 0.25,
                "After `until` it must be 0; here it went on with the formula.": -0.25,
            },
        ),
    ),
)

# --- 2: growing ---------------------------------------------------------------------------------


class _Growth(NamedTuple):
    gradient: Tensor
    kept: Tensor
    k: int


def _kept() -> Tensor:
    """The 6 x 6 layer's mask after dropping 3 weights."""
    layer = six_by_six()
    return sparse.drop(layer.weight.abs(), layer.mask, 3)


def _grows(name: str, given: _Growth, *, fewer: str = "", more: str = "", wrong: str = "") -> Case:
    """Growing must keep, count and choose right; each hint names the mistake that breaks it."""
    gradient, kept, k = given
    before = int(kept.count_nonzero())

    def test(answer: Answer) -> str:
        inputs = gradient.clone(), kept.clone()
        grown = answer(*inputs, k)
        problem = _not_a_mask(grown, kept)
        if problem:
            return problem
        if not inputs[0].equal(gradient) or not inputs[1].equal(kept):
            return "It changed its inputs in place: work on `kept.clone()`."
        new = grown.bool()
        if k and new.equal(sparse.grow(gradient.abs(), kept, k) & ~kept):
            return "These are only the new positions; the result should have the kept ones too."
        gone = kept & ~new
        if gone.any():
            return f"Growing turned off {places(gone)}, which were kept. {wrong}".rstrip()
        count = int(new.count_nonzero()) - before
        if count < k:
            return f"It grew {count}, not {k}. {fewer}".rstrip()
        if count > k:
            return f"It grew {count}, not {k}. {more}".rstrip()
        return _badly_chosen(gradient, kept, new, wrong)

    return Case(name, test)


def _not_a_mask(given: Any, like: Tensor) -> str:
    if given is None or given is ...:
        return "It returned nothing."
    if not isinstance(given, Tensor) or given.shape != like.shape:
        shape = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
        return f"It should return a mask of shape {tuple(like.shape)}; this is {shape}."
    if not ((given == 0) | (given == 1)).all():
        return "A mask holds only 0 and 1 (or False and True)."
    return ""


def _badly_chosen(gradient: Tensor, kept: Tensor, new: Tensor, hint: str) -> str:
    """A larger |gradient| left empty while a smaller one was grown. Ties may go either way."""
    scores = gradient.abs()
    grown, empty = new & ~kept, ~new
    if not grown.any() or not empty.any():
        return ""
    worst, missed = float(scores[grown].min()), float(scores[empty].max())
    if missed <= worst:
        return ""
    where = places((scores == missed) & empty)
    return (
        f"It grew a position with |gradient| {worst:.2f} and left {where} with {missed:.2f} empty. "
        f"{hint}"
    ).rstrip()


def _positive(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) / 2 + 0.1


def _kept_has_largest() -> _Growth:
    gradient, kept = _positive((6, 6), 1), _kept()
    gradient[kept] += 1
    return _Growth(gradient, kept, 3)


def _one_negative() -> _Growth:
    gradient, kept = _positive((6, 6), 2), _kept()
    gradient[0, 2] = -0.95
    return _Growth(gradient, kept, 3)


def _mostly_zero() -> _Growth:
    """A layer with dead units: only two empty positions have a gradient, five are to grow."""
    gradient = torch.zeros(6, 6)
    gradient[0, 2], gradient[4, 0] = 0.4, -0.3
    return _Growth(gradient, _kept(), 5)


def _tied() -> _Growth:
    return _Growth(torch.full((6, 6), 0.25), _kept(), 4)


def _convolution() -> _Growth:
    kept = sparse.random_mask((4, 3, 3, 3), 20, torch.Generator().manual_seed(3))
    return _Growth(_positive((4, 3, 3, 3), 4), kept, 7)


def _all_of_it() -> _Growth:
    kept = _kept()
    return _Growth(six_by_six().gradient, kept, int((~kept).count_nonzero()))


grow = Exercise(
    name="ch11.grow",
    task="`grow(gradient, kept, k)`: the mask with `k` more ones than `kept`, at the empty "
    "positions where |gradient| is largest. `kept` is a bool mask, `gradient` is dense.",
    minutes=10,
    difficulty=2,
    clues=(
        "Which positions are candidates? Everything that is not kept, whatever it was before.",
        "Give the kept positions a score that can never win. 0 can: it ties with a dead unit's "
        "gradient.",
        "`scores = gradient.abs().masked_fill(kept, -torch.inf)`, then the indices of "
        "`scores.flatten().topk(k)`, then turn these on in a flattened clone of `kept`.",
    ),
    cases=(
        _grows(
            "a kept weight has the largest gradient",
            _kept_has_largest(),
            fewer="Kept positions took part and won places; rank only the empty ones.",
            wrong="Rank the empty positions, largest |gradient| first.",
        ),
        _grows(
            "the largest gradient is negative",
            _one_negative(),
            wrong="Rank by |gradient|: a large negative one lowers the loss as much.",
        ),
        _grows("the book's layer", _Growth(six_by_six().gradient, _kept(), 3)),
        _grows(
            "all gradients are equal",
            _tied(),
            fewer="Comparing with `>` leaves out those at the threshold; choose k indices.",
            more="Comparing with `>=` takes all that tie at the threshold; choose k indices.",
        ),
        _grows(
            "most gradients are exactly 0",
            _mostly_zero(),
            fewer="A kept position whose score was set to 0 ties with an empty one whose gradient "
            "is 0; use -inf for the kept ones.",
        ),
        _grows("k = 0", _Growth(six_by_six().gradient, _kept(), 0)),
        _grows("a convolution's weight, 4 × 3 × 3 × 3", _convolution()),
        _grows("every empty position grows", _all_of_it()),
    ),
)

# --- 3: the rewiring of a layer -----------------------------------------------------------------


class _Before(NamedTuple):
    weight: Tensor
    mask: Tensor
    gradient: Tensor
    momentum: Tensor
    fraction: float


class _After(NamedTuple):
    mask: Tensor
    weight: Tensor
    momentum: Tensor


def _rewired(b: _Before) -> tuple[Tensor, _After]:
    """What the package does: the mask after the drop, and everything after the rewiring."""
    k = sparse.drop_count(b.fraction, int(b.mask.count_nonzero()))
    kept = sparse.drop(b.weight.abs(), b.mask, k)
    after = sparse.grow(b.gradient.abs(), kept, k)
    stay = after & b.mask
    return kept, _After(after, b.weight * stay, b.momentum * stay)


def _rewires(name: str, before: _Before, *looks: Any) -> Case:
    """A rewiring, looked at by several tests in turn: (before, kept, right, given) -> hint."""
    kept, right = _rewired(before)

    def test(answer: Answer) -> str:
        inputs = deepcopy(before)
        given = answer(*inputs)
        if not isinstance(given, (tuple, list)) or len(given) != 3:
            return "It should return three tensors: mask, weight, momentum."
        for what, tensor in zip(("weight", "momentum"), given[1:], strict=True):
            if not isinstance(tensor, Tensor) or tensor.shape != before.weight.shape:
                return f"The {what} it returned is not a tensor of the layer's shape."
        problem = _not_a_mask(given[0], before.mask)
        if problem:
            return problem
        touched = [
            field
            for field, was, now in zip(before._fields, before, inputs, strict=True)
            if isinstance(was, Tensor) and isinstance(now, Tensor) and not was.equal(now)
        ]
        if touched:
            return f"It changed its input {touched[0]} in place: work on a clone."
        result = _After(given[0].bool(), given[1], given[2])
        for look in looks:
            hint = look(before, kept, right, result)
            if hint:
                return str(hint)
        return ""

    return Case(name, test)


def _exact_count(before: _Before, kept: Tensor, right: _After, given: _After) -> str:
    was, now = int(before.mask.count_nonzero()), int(given.mask.count_nonzero())
    if now == was:
        return ""
    if now > was:
        why = "Were the dropped ones active? Weights that are off are 0, the smallest |w| of all."
    else:
        why = "Grow as many as were dropped, among the positions that are empty after the drop."
    return f"{was} weights were active, now {now} are. {why}"


def _right_drop(before: _Before, kept: Tensor, right: _After, given: _After) -> str:
    lost, due = before.mask & ~given.mask, before.mask & ~kept
    if lost.equal(due):
        return ""
    n, k = int(lost.count_nonzero()), int(due.count_nonzero())
    active = int(before.mask.count_nonzero())
    if n > k:
        return f"{n} weights are gone, not {k}: k is {before.fraction} × {active}, rounded down."
    if n < k:
        return (
            f"{n} weights are gone, not {k}: k is {before.fraction} × {active}, rounded down. Or "
            "did a dropped one come back? Its |gradient| is small here, the dense gradient is "
            "larger elsewhere."
        )
    return (
        f"It dropped {places(lost)}; the smallest |w| are at {places(due)}. By |w|, a large "
        "negative weight is a large weight."
    )


def _right_growth(before: _Before, kept: Tensor, right: _After, given: _After) -> str:
    return _badly_chosen(
        before.gradient,
        kept,
        given.mask | kept,
        "Rank |gradient|, dense (not multiplied by the mask) and without its sign.",
    )


def _regrows(before: _Before, kept: Tensor, right: _After, given: _After) -> str:
    back = before.mask & ~kept & right.mask
    if not (back & ~given.mask).any():
        return ""
    return (
        f"{places(back)} was just dropped, and its |gradient| is among the largest: it may come "
        "back. Candidates are all positions not kept, not only those that were off before."
    )


def _counts_the_mask(before: _Before, kept: Tensor, right: _After, given: _After) -> str:
    dropped = int((before.mask & ~given.mask).count_nonzero())
    k = int((before.mask & ~kept).count_nonzero())
    if int(given.mask.count_nonzero()) == int(before.mask.count_nonzero()) and dropped == k:
        return ""
    return (
        "Some active weights are exactly 0, as each is when it has just been grown. Read the mask "
        "to know what is active, not `weight != 0`; and drop exactly k where values tie."
    )


def _weights(before: _Before, kept: Tensor, right: _After, given: _After) -> str:
    return _values("weight", before.weight, before.mask, kept, right, given.weight)


def _momenta(before: _Before, kept: Tensor, right: _After, given: _After) -> str:
    return _values("momentum", before.momentum, before.mask, kept, right, given.momentum)


def _values(
    what: str, was: Tensor, mask: Tensor, kept: Tensor, right: _After, given: Tensor
) -> str:
    """Zero off the new mask, zero where grown, untouched elsewhere."""
    off = ~right.mask & (given != 0)
    if off.any():
        return f"The {what} at {places(off)} is not 0, and the mask is off there: the invariant."
    new = right.mask & ~mask & (given != 0)
    if new.any():
        return f"A grown weight starts with {what} 0; at {places(new)} it does not."
    changed = kept & (given != was)
    if changed.any():
        return f"The {what} at {places(changed)} changed, though it was kept."
    back = right.mask & mask & ~kept & (given != was)
    if back.any():
        return (
            f"{places(back)} was dropped and grown again: it was never gone, so its {what} stays. "
            "Only what was off before starts at 0."
        )
    return ""


def _calm(fraction: float = 0.3) -> _Before:
    """The book's layer with small gradients where weights are: nothing comes back."""
    layer = six_by_six()
    gradient = torch.where(layer.mask, layer.gradient / 100, layer.gradient)
    return _Before(layer.weight, layer.mask, gradient, layer.momentum * layer.mask, fraction)


def _book() -> _Before:
    """The book's layer, with a momentum that has leaked off the mask."""
    layer = six_by_six()
    return _Before(layer.weight, layer.mask, layer.gradient, layer.momentum, 0.3)


def _newborn() -> _Before:
    """Five active weights are exactly 0."""
    b = _calm(0.25)
    weight = b.weight.clone()
    for place in ((0, 4), (2, 5), (5, 2), (3, 0), (3, 1)):
        weight[place] = 0
    return b._replace(weight=weight)


def _full() -> _Before:
    """A layer that is dense: all that is dropped must come back."""
    g = torch.Generator().manual_seed(5)
    weight, gradient, momentum = torch.randn(3, 4, 5, generator=g)
    return _Before(weight, torch.ones(4, 5, dtype=torch.bool), gradient, momentum, 0.3)


def _conv() -> _Before:
    g = torch.Generator().manual_seed(6)
    weight, gradient, momentum = torch.randn(3, 4, 3, 3, 3, generator=g)
    mask = sparse.random_mask((4, 3, 3, 3), 30, g)
    return _Before(weight * mask, mask, gradient, momentum * mask, 0.4)


_ALL = (_exact_count, _regrows, _right_growth, _weights, _momenta)

rewire = Exercise(
    name="ch11.rewire",
    task="`rewire(weight, mask, gradient, momentum, fraction)`: the new mask, weight and momentum "
    "of a layer after one RigL update. k = floor(fraction × active). A weight that was off starts "
    "at 0 with momentum 0; one that is dropped and grown again keeps both. `mask` is bool; the "
    "optimizer's `momentum` may be nonzero anywhere.",
    minutes=20,
    difficulty=2,
    clues=(
        "Three steps: what is kept, what is on afterwards, and what starts from 0.",
        "Drop among the active only: off positions get +inf before you look for the smallest |w|. "
        "Then grow with your answer to the exercise before.",
        "A value survives where the mask was on before and is on after: `stay = after & mask`; "
        "the new weight is `weight * stay`, and the new momentum likewise.",
    ),
    cases=(
        _rewires("the numbers", _calm(), _exact_count),
        _rewires("what is dropped", _calm(), _right_drop),
        _rewires("what is grown", _calm(), _right_growth),
        _rewires("a dropped weight with a large gradient", _book(), _regrows, _right_growth),
        _rewires("active weights that are 0", _newborn(), _counts_the_mask),
        _rewires("the new weights", _book(), _weights),
        _rewires("the new momentum", _book(), _momenta),
        _rewires("k = 0", _calm(0.05), *_ALL),
        _rewires("a dense layer", _full(), *_ALL),
        _rewires("a convolution's weight", _conv(), *_ALL),
    ),
)

# --- 4: a rule of your own ----------------------------------------------------------------------

_SCHEDULE = {"every": 1, "until": 10**6, "fraction": 0.3}


def _one_step(answer: Answer, gradient: Tensor) -> tuple[Any, Tensor]:
    """The rule the student made, and the mask after one rewiring of the book's layer."""
    layer = six_by_six()
    model = sparse.sparsify(nn.Linear(6, 6, bias=False), density=1.0)
    assert isinstance(model, sparse.MaskedLinear)
    with torch.no_grad():
        model.weight.copy_(layer.weight)
    model.set_mask(layer.mask)
    rule = answer(model, torch.optim.SGD(model.parameters(), lr=0.1), **_SCHEDULE)
    if isinstance(rule, sparse.UpdateRule):
        (model.weight * gradient).sum().backward()  # whose gradient is `gradient`
        rule.step()
    return rule, model.mask.bool()


def _is_a_rule(answer: Answer) -> str:
    rule, _ = _one_step(answer, six_by_six().gradient)
    if rule is None or rule is ...:
        return "It returned nothing: return the rule."
    if not isinstance(rule, sparse.UpdateRule):
        return f"It returned a {type(rule).__name__}; it should be an UpdateRule."
    lost = {name: value for name, value in _SCHEDULE.items() if getattr(rule, name) != value}
    if lost:
        return f"The schedule did not reach the rule: {lost}. Pass `**schedule` on."
    return ""


def _drops_small(answer: Answer) -> str:
    layer, kept = six_by_six(), _kept()
    _, after = _one_step(answer, layer.gradient)
    gone = kept & ~after
    if gone.any():
        return (
            f"It dropped {places(gone)}. Only growing is upside down: drop the smallest |w|, "
            "`drop=magnitude`."
        )
    return ""


def _grows_small(answer: Answer) -> str:
    layer, kept = six_by_six(), _kept()
    _, after = _one_step(answer, layer.gradient)
    grown, g = after & ~kept, layer.gradient

    def choice(scores: Tensor) -> Tensor:
        return sparse.grow(scores, kept, 3) & ~kept

    if grown.equal(choice(-g.abs())):
        return ""
    if grown.equal(choice(g.abs())):
        return "This is RigL itself: the highest score grows, so the score needs a minus."
    if grown.equal(choice(-g)) or grown.equal(choice(g)):
        return "It ranks the gradient with its sign: the smallest |gradient| is the one nearest 0."
    return (
        f"It grew {places(grown)}; the smallest |gradient| are at {places(choice(-g.abs()))}. A "
        "criterion sees `layer.gradient`; the highest score grows."
    )


def _copes_with_zeros(answer: Answer) -> str:
    gradient = six_by_six().gradient.clone()
    gradient[:, 4] = 0  # a dead input
    try:
        _, after = _one_step(answer, gradient)
    except ValueError as error:
        if "finite" in str(error):
            return "1 / |gradient| is infinite where the gradient is 0. A minus sign is enough."
        raise
    return "" if (gradient[after & ~_kept()] == 0).all() else "A gradient of 0 is the smallest."


upside_down = Exercise(
    name="ch11.upside_down",
    task="`upside_down(model, optimizer, **schedule)`: an `UpdateRule` that drops as RigL does and "
    "grows where |gradient| is smallest. If RigL's choice matters, this rule should do worse.",
    minutes=10,
    difficulty=2,
    clues=(
        "RigL is one line: `UpdateRule(model, optimizer, drop=magnitude, grow=gradient, "
        "**schedule)`. Which of the criteria changes?",
        "A criterion is a function of a `Layer` that returns a score for every weight; the highest "
        "scores grow.",
        "`def smallest(layer): return -layer.gradient.abs()`",
    ),
    cases=(
        Case("it makes a rule", _is_a_rule),
        Case("it drops the smallest |w|", _drops_small),
        Case("it grows the smallest |gradient|", _grows_small),
        Case("gradients of 0", _copes_with_zeros),
    ),
)
