"""Chapter 10, SNFS and DSR: a fair mean, DSR's drop and its thresholds, what SNFS can save."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ... import sparse
from ..layers import places, six_by_six
from .result import Answer, Case, Exercise, alike

# --- 1: the running mean ------------------------------------------------------------------------


def _blend(gradients: list[Tensor], keep: float, add: float, start: Tensor | None = None) -> Tensor:
    mean = torch.zeros_like(gradients[0]) if start is None else start
    for gradient in gradients:
        mean = keep * mean + add * gradient
    return mean


def _mean(name: str, gradients: list[Tensor], decay: float) -> Case:
    n = len(gradients)
    plain = _blend(gradients, decay, 1 - decay)
    expected = plain / (1 - decay**n)
    hints = {
        "That is the page's mean, which starts at 0 and is too small at first. Divide it by what "
        "its weights add up to.": plain,
        "The weights of n gradients add up to 1 - decay ** n. One step too many or too few: after "
        "one gradient divide by 1 - decay.": plain / (1 - decay ** (n + 1)),
        "Divide once, at the end; M itself goes on without the division.": _divided_each_time(
            gradients, decay
        ),
        "The two factors are swapped: the old mean is kept by `decay`, the new gradient gets the "
        "rest.": _blend(gradients, 1 - decay, decay) / (1 - decay**n),
        "That is SGD's buffer: it adds the whole gradient. A mean adds only `1 - decay` of it.": (
            _blend(gradients, decay, 1)
        ),
        "Each gradient counts the same here; the newest should count most.": torch.stack(
            gradients
        ).mean(0),
        "It starts from the first gradient, which then counts too much. Start from 0 and divide "
        "at the end.": _blend(gradients[1:], decay, 1 - decay, gradients[0]),
        "It takes |gradient| before the mean. Signs must cancel first, that is what removes "
        "noise; |·| comes when positions are ranked.": (
            _blend([g.abs() for g in gradients], decay, 1 - decay) / (1 - decay**n)
        ),
        "The gradients come oldest first.": (
            _blend(gradients[::-1], decay, 1 - decay) / (1 - decay**n)
        ),
        "It multiplies by what the weights add up to; divide.": plain * (1 - decay**n),
    }
    hints = {hint: wrong for hint, wrong in hints.items() if not torch.allclose(wrong, expected)}

    def test(answer: Answer) -> str:
        copies = [gradient.clone() for gradient in gradients]
        given = answer(copies, decay)
        if given is None or given is ...:
            return "It returned nothing."
        if not isinstance(given, Tensor) or given.shape != expected.shape:
            return f"It should return a tensor of shape {tuple(expected.shape)}."
        if not all(a.equal(b) for a, b in zip(copies, gradients, strict=True)):
            return "It changed the gradients in place: a mean only looks at them."
        given = given.to(expected.dtype)
        if torch.allclose(given, expected, atol=1e-6):
            return ""
        for hint, wrong in hints.items():
            if torch.allclose(given, wrong, atol=1e-6):
                return hint
        return "The mean is not right; of one gradient g it must be g, of equal ones that same one."

    return Case(name, test)


def _divided_each_time(gradients: list[Tensor], decay: float) -> Tensor:
    mean = torch.zeros_like(gradients[0])
    for n, gradient in enumerate(gradients, 1):
        mean = (decay * mean + (1 - decay) * gradient) / (1 - decay**n)
    return mean


def _gradients(n: int) -> list[Tensor]:
    g = torch.Generator().manual_seed(n)
    return list(torch.randn(n, 2, 3, generator=g))


fair_mean = Exercise(
    name="ch10.fair_mean",
    task="`fair_mean(gradients, decay)`: a running mean that is not too small at first. M starts "
    "at 0, and each gradient g makes it `decay * M + (1 - decay) * g`, oldest first. In the end "
    "divide M by the sum of the weights that the gradients have in it.",
    minutes=10,
    difficulty=1,
    clues=(
        "With which weight is the newest of n gradients in M? The one before it? Add them up.",
        "1 - decay, (1 - decay) · decay, (1 - decay) · decay², ...: n of them add up to "
        "1 - decay ** n.",
        "A loop with `mean = decay * mean + (1 - decay) * gradient`, a new tensor each time, and "
        "`mean / (1 - decay ** len(gradients))` at the end.",
    ),
    cases=(
        _mean("three gradients", _gradients(3), 0.9),
        _mean("one gradient", _gradients(1), 0.9),
        _mean("decay 0: no memory", _gradients(4), 0.0),
        _mean("forty gradients", _gradients(40), 0.8),
    ),
)

# --- 2: what DSR drops ----------------------------------------------------------------------------

_Net = tuple[list[Tensor], list[Tensor]]


def _views(weights: list[Tensor], masks: list[Tensor]) -> list[sparse.Layer]:
    g = torch.Generator().manual_seed(0)
    return [
        sparse.Layer(str(i), weight, mask, weight, None, g)
        for i, (weight, mask) in enumerate(zip(weights, masks, strict=True))
    ]


def _drops(name: str, net: _Net, threshold: float) -> Case:
    weights, masks = net
    expected = [new.kept for new in sparse.decide_dsr(_views(weights, masks), threshold)]

    def test(answer: Answer) -> str:
        given = answer([w.clone() for w in weights], [m.clone() for m in masks], threshold)
        problem = _not_masks(given, masks)
        if problem:
            return problem
        kept = [mask.bool() for mask in given]
        for i, (left, right) in enumerate(zip(kept, expected, strict=True)):
            if not left.equal(right):
                return _slip(i, weights[i], masks[i], left, right, threshold)
        return ""

    return Case(name, test)


def _not_masks(given: Any, masks: list[Tensor]) -> str:
    if given is None or given is ...:
        return "It returned nothing."
    if isinstance(given, Tensor) or len(given) != len(masks):
        return f"It should return a list of {len(masks)} masks, one for each layer."
    for one, mask in zip(given, masks, strict=True):
        if not isinstance(one, Tensor) or one.shape != mask.shape:
            return f"Each mask should have its layer's shape, {tuple(mask.shape)} here."
        if not ((one == 0) | (one == 1)).all():
            return "A mask holds zeros and ones; these are other numbers."
    return ""


def _slip(
    i: int, weight: Tensor, mask: Tensor, left: Tensor, right: Tensor, threshold: float
) -> str:
    if (left & ~mask).any():
        return (
            f"Layer {i}: it turned on {places(left & ~mask)}. Dropping only turns off; an emptied "
            "layer gets back one of its *own* weights."
        )
    if left.equal(mask & ~right):
        return "These are the dropped ones; return the masks of those that are kept."
    if not left.any():
        return (
            f"Layer {i} lost all its weights, and a layer without any can never grow again. It "
            "keeps its largest |w|."
        )
    if left.equal(mask & (weight >= threshold)):
        return "Compare |w|, not w: a large negative weight is no small weight."
    if left.equal(mask & (weight.abs() > threshold)):
        return "A weight of exactly the threshold stays: |w| < threshold goes."
    if not (mask & (weight.abs() >= threshold)).any():
        return f"Layer {i} would lose all: it keeps one weight, its largest |w|, {places(right)}."
    return (
        f"Layer {i}: it keeps {places(left)}, right is {places(right)}. All layers have the same "
        "threshold; each loses what is below it."
    )


def _two(scale: float = 1.0) -> _Net:
    """The book's layer, and one like it with other values."""
    layer = six_by_six()
    second = torch.where(layer.mask, layer.random - 0.5, torch.zeros(()))
    second.view(-1)[second.abs().argmax()] = -0.46  # the largest |w| alone, and not the largest w
    return [layer.weight, scale * second], [layer.mask, layer.mask]


def _at_threshold() -> _Net:
    weight = torch.tensor([[0.5, -0.25, 0.0], [0.0, -0.5, 0.125]])
    return [weight], [weight != 0]


dsr_drop = Exercise(
    name="ch10.dsr_drop",
    task="`dsr_drop(weights, masks, threshold)`: a list of bool masks, what DSR keeps. All active "
    "weights with |w| < threshold go, in every layer. A layer that would lose all keeps its "
    "largest |w|.",
    minutes=10,
    difficulty=2,
    clues=(
        "One comparison for each layer, and then a look at whether anything is left.",
        "`left = mask & (weight.abs() >= threshold)`.",
        "If `not left.any()`: `weight.abs().masked_fill(~mask, -1).argmax()` is the flat index of "
        "the largest active weight; turn it on in `left.view(-1)`.",
    ),
    cases=(
        _drops("two layers", _two(), 0.2),
        _drops("weights at the threshold", _at_threshold(), 0.25),
        _drops("nothing is small", _two(), 0.001),
        _drops("a layer of small weights", _two(0.01), 0.2),
    ),
)

# --- 3: the threshold finds its level -----------------------------------------------------------


def _steer(
    sizes: list[float],
    threshold: float,
    target: int,
    times: int,
    high: float = 1.1,
    low: float = 0.9,
    *,
    equal: bool = False,
    down: float = 0.5,
) -> list[float]:
    """H at each rewiring. Mistakes: `equal` drops weights of exactly H too, `down` of 2 rises."""
    found = []
    for _ in range(times):
        found.append(threshold)
        dropped = sum(size < threshold or (equal and size == threshold) for size in sizes)
        if dropped > high * target:
            threshold *= down
        elif dropped < low * target:
            threshold /= down
    return found


def _steers(
    name: str, weights: list[float], threshold: float, target: int, times: int, hint: str = ""
) -> Case:
    """`hint` names the mistake that the case isolates."""
    sizes = [abs(w) for w in weights]
    right = _steer(sizes, threshold, target, times)
    mistakes = {
        "Compare |w|: a large negative weight is no small weight.": _steer(
            weights, threshold, target, times
        ),
        "The first entry is the threshold that the first rewiring uses, the one that comes in.": (
            _steer(sizes, threshold, target, times + 1)[1:]
        ),
        f"One entry a rewiring, {times} of them.": _steer(sizes, threshold, target, times + 1),
        "Within a tenth of the target the threshold stays as it is.": _steer(
            sizes, threshold, target, times, 1, 1
        ),
        "The wrong way round: where too many were dropped, H must fall.": (
            _steer(sizes, threshold, target, times, down=2)
        ),
        "A weight of exactly the threshold stays: only |w| < H goes.": _steer(
            sizes, threshold, target, times, equal=True
        ),
    }

    def test(answer: Answer) -> str:
        given = answer(torch.tensor(weights), threshold, target, times)
        if given is None or given is ...:
            return "It returned nothing."
        if not isinstance(given, (list, tuple)):
            return f"It should return a list of {times} numbers, one for each rewiring."
        found = [float(h) for h in given]
        if alike(found, right, 1e-9):
            return ""
        for mistake, wrong in mistakes.items():
            if not hint and alike(found, wrong, 1e-9):
                return mistake
        if len(found) != len(right):
            return f"It returned {len(found)} thresholds; {times} rewirings use {times}."
        first = next(i for i in range(times) if abs(found[i] - right[i]) > 1e-9)
        if first == 0:
            return f"The first rewiring uses the threshold that comes in, {threshold:g}."
        dropped = sum(size < right[first - 1] for size in sizes)
        return (
            f"Rewiring {first} drops {dropped} of a target of {target}, so the next H is "
            f"{right[first]:g}, not {found[first]:g}. {hint}"
        ).rstrip()

    return Case(name, test)


_HUNDRED = [(i + 0.5) / 128 for i in range(100)]
_SIGNED = [(-1) ** i * w for i, w in enumerate(_HUNDRED)]  # every second one negative
_EDGE = "Only more than 1.1 or fewer than 0.9 times the target move it; do not round these."

thresholds = Exercise(
    name="ch10.thresholds",
    task="`thresholds(weights, threshold, target, times)`: the list of DSR's thresholds H at "
    "`times` rewirings, if the `weights` (a flat tensor) never changed. Each rewiring drops the "
    "|w| < H. H is halved after more than 1.1 × target, doubled after fewer than 0.9 × target.",
    minutes=10,
    difficulty=2,
    clues=(
        "Each turn of a loop is one rewiring: note the threshold, count, steer.",
        "`int((weights.abs() < threshold).sum())` is how many a rewiring would drop.",
        "Start with `found = []`. `times` times: append the threshold, then the two comparisons "
        "of `next_threshold` on this page.",
    ),
    cases=(
        _steers("it starts too low", _HUNDRED, 1 / 128, 16, 7),
        _steers("weights of both signs", _SIGNED, 1.0, 24, 5),
        _steers("a little more than the target", _HUNDRED, 0.25, 30, 3),  # 32 of 30
        _steers("no threshold fits: it goes up and down", _HUNDRED, 0.125, 23, 6),
        _steers("weights of exactly the threshold", [0.5, 0.5, 0.25, 0.125], 0.25, 1, 3),
        _steers("11 dropped of a target of 10", _HUNDRED, 11 / 128, 10, 2, _EDGE),
        _steers("9 dropped of a target of 10", _HUNDRED, 9 / 128, 10, 2, _EDGE),
        _steers("6 dropped of a target of 5", _HUNDRED, 6 / 128, 5, 2, _EDGE),
        _steers("4 dropped of a target of 5", _HUNDRED, 4 / 128, 5, 2, _EDGE),
        _steers("no rewiring", _HUNDRED, 0.25, 10, 0),
    ),
)

# --- 4: what SNFS can save ------------------------------------------------------------------------


def _density(share: float, hints: dict[str, float]) -> Case:
    expected = (3 * share - 1) / 2 if share > 1 / 3 else None

    def test(answer: Answer) -> str:
        given = answer(share)
        if given is ...:
            return "It returned nothing."
        if expected is None:
            if given is None:
                return ""
            return (
                f"It gave {given}. A third of dense training is the dense weight gradient; at or "
                "below that no density will do: return None."
            )
        if given is None:
            return "It returned nothing."
        if abs(float(given) - expected) < 1e-9:
            return ""
        for hint, wrong in hints.items():
            if abs(float(given) - wrong) < 1e-9:
                return hint
        return f"It gave {float(given):.3f}; right is {expected:.3f}."

    return Case(f"share {share}", test)


density_for = Exercise(
    name="ch10.density_for",
    task="`density_for(share)`: the density at which SNFS's training costs `share` of dense "
    "training's FLOPs, or None if there is none. Take forward FLOPs proportional to the density, "
    "f_S = d · f_D, and no redistribution.",
    minutes=10,
    difficulty=2,
    clues=(
        "SNFS costs 2 f_S + f_D, dense training 3 f_D. Put f_S = d · f_D in and divide.",
        "(2 d + 1) / 3 = share. Solve for d. What does it give for share = 0.2?",
        "d = (3 · share - 1) / 2, which must be above 0.",
    ),
    cases=(
        _density(
            0.5,
            {
                "That is a static mask's answer, 3 f_S: SNFS pays f_D for its gradients.": 0.5,
                "Divide by dense *training*, 3 f_D, not by a forward pass.": -0.25,
                "That is the share at density `share`; the question is the other way round.": 2 / 3,
            },
        ),
        _density(0.4, {}),
        _density(1.0, {}),
        _density(0.2, {}),
        _density(1 / 3, {}),
    ),
)
