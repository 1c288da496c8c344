"""Chapter 5, why tickets win: barrier, hidden units in another order, repellent loss, ensembles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ... import sparse
from ..layers import six_by_six
from .result import Answer, Case, Exercise

# --- numbers, shared by three exercises ---------------------------------------------------------


def _judge(given: Any, right: float, mistakes: Mapping[str, float]) -> str:
    """The hint for a number: "" if right, else the mistake that gives this very number."""
    if given is None or given is ...:
        return "It returned nothing."
    if isinstance(given, Tensor) and given.numel() != 1:
        return f"It should return one number; this is a tensor of shape {tuple(given.shape)}."
    try:
        number = float(given.detach() if isinstance(given, Tensor) else given)
    except (TypeError, ValueError):
        return f"It should return one number; this is a {type(given).__name__}."
    if abs(number - right) < 1e-4:
        return ""
    for hint, wrong in mistakes.items():
        if abs(number - wrong) < 1e-4:
            return hint
    return f"It gave {number:.4f}; right is {right:.4f}."


# --- 1: the barrier -----------------------------------------------------------------------------


def _errors(name: str, errors: list[float], mistakes: dict[str, float]) -> Case:
    alphas = [i / (len(errors) - 1) for i in range(len(errors))]
    right = sparse.lii(errors, alphas)

    def test(answer: Answer) -> str:
        return _judge(answer(list(errors)), right, mistakes)

    return Case(name, test)


barrier = Exercise(
    name="ch05.barrier",
    task="`barrier(errors)`: the highest error on a line minus the mean of the errors at its two "
    "ends. `errors` is a list at evenly spaced points; the first and the last are the ends.",
    minutes=5,
    difficulty=1,
    clues=(
        "Which of the numbers are networks that somebody trained? The others lie between them.",
        "The level to compare with is the mean of the two ends, not of the whole list.",
        "`max(errors) - (errors[0] + errors[-1]) / 2`",
    ),
    cases=(
        _errors(
            "a hill in the middle",
            [10.0, 30.0, 60.0, 34.0, 14.0],
            {
                "This is the highest error itself: subtract the mean of the two ends.": 60.0,
                "Subtract the mean of the two ends, not of the whole list.": 60 - 29.6,
                "Only the first end was subtracted: take the mean of both.": 50.0,
                "Only the last end was subtracted: take the mean of both.": 46.0,
                "The two ends were added; their mean is half of that.": 36.0,
                "The sign is the wrong way round: a hill is a positive barrier.": -48.0,
            },
        ),
        _errors(
            "a hill that is not in the middle",
            [10.0, 60.0, 30.0, 20.0, 10.0],
            {"The hill may stand anywhere: take the highest error, not the middle one.": 20.0},
        ),
        _errors(
            "one end worse than the other, no hill",
            [10.0, 12.0, 15.0, 18.0, 20.0],
            {
                "The ends belong to the line: the highest error may be one of them.": 3.0,
                "Compare with the mean of the two ends, not with the worse one.": 0.0,
                "Compare with the mean of the two ends, not with the better one.": 10.0,
            },
        ),
        _errors(
            "a valley",
            [20.0, 12.0, 8.0, 12.0, 20.0],
            {"A valley is no barrier: take the highest error, not the largest change.": 12.0},
        ),
    ),
)

# --- 2: hidden units in another order -----------------------------------------------------------


def _layers(hidden: int = 4) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(2)
    return torch.randn(hidden, 3, generator=g), torch.randn(2, hidden, generator=g)


def _reorders(name: str, order: list[int]) -> Case:
    first, second = _layers()
    places = torch.tensor(order)
    right = first[places], second[:, places]

    def test(answer: Answer) -> str:
        a, b = first.clone(), second.clone()
        given = answer(a, b, places.clone())
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            return "It should return two tensors, the weights of both layers."
        if not (a.equal(first) and b.equal(second)):
            return "It changed its inputs in place."
        for what, tensor, like in zip(("first", "second"), given, right, strict=True):
            if not isinstance(tensor, Tensor) or tensor.shape != like.shape:
                return f"The {what} weight should have shape {tuple(like.shape)}."
        return _misplaced(given[0], given[1], first, second, places)

    return Case(name, test)


def _misplaced(
    new_first: Tensor, new_second: Tensor, first: Tensor, second: Tensor, order: Tensor
) -> str:
    back = order.argsort()
    if new_first.equal(first[order]) and new_second.equal(second[:, order]):
        return ""
    if new_first.equal(first) and new_second.equal(second):
        return "Nothing moved: row i of the first weight should be unit order[i]."
    if new_first.equal(first[back]) and new_second.equal(second[:, back]):
        return "This puts unit i at place order[i]; asked is unit order[i] at place i."
    if new_first.equal(first[order]) and new_second.equal(second):
        return "The second layer still reads the units in the old order: the function has changed."
    if new_second.equal(second[:, order]) and new_first.equal(first):
        return "The first layer still writes the units in the old order: the function has changed."
    if new_first.equal(first[order]) and new_second.equal(second[:, back]):
        return "The two layers were reordered in opposite ways; use the same order in both."
    return "Unit i is row i of the first weight and column i of the second. Move both together."


permuted = Exercise(
    name="ch05.permuted",
    task="`permuted(first, second, order)`: the weights of a two-layer network whose hidden units "
    "stand in another order, unit `order[i]` at place i, so that the function stays the same. "
    "`first` is (hidden, inputs), `second` is (outputs, hidden), `order` a tensor of places.",
    minutes=10,
    difficulty=2,
    clues=(
        "Where does a hidden unit appear in the first weight? And in the second?",
        "Unit i is row i of `first`, which makes it, and column i of `second`, which reads it.",
        "`first[order]` takes the rows, `second[:, order]` the columns.",
    ),
    cases=(
        _reorders("a cycle of four units", [1, 2, 3, 0]),
        _reorders("two units change places", [1, 0, 2, 3]),
        _reorders("all stay where they are", [0, 1, 2, 3]),
    ),
)

# --- 3: the repellent loss ----------------------------------------------------------------------


def _solutions(count: int) -> list[Tensor]:
    """Earlier solutions of the book's layer: full weights, also where the mask is off now."""
    layer = six_by_six()
    g = torch.Generator().manual_seed(5)
    noise = torch.randn(count, 6, 6, generator=g)
    return [layer.weight + (i + 1) * 0.3 * noise[i] for i in range(count)]


Cosines = Callable[[Tensor, Tensor, Sequence[Tensor]], list[Tensor]]


def _cosines(weight: Tensor, mask: Tensor, earlier: Sequence[Tensor]) -> list[Tensor]:
    now = (weight * mask).flatten()
    return [torch.cosine_similarity(now, (old * mask).flatten(), dim=0) for old in earlier]


def _repels(
    name: str,
    earlier: list[Tensor],
    strength: float,
    sign: float = 1.0,
) -> Case:
    layer = six_by_six()
    weight, mask = sign * layer.weight, layer.mask.float()
    right = strength * float(
        sparse.mean_squared_cosine({"w": weight}, {"w": mask}, [{"w": old} for old in earlier])
    )

    def test(answer: Answer) -> str:
        given = answer(weight.clone(), mask.clone(), [old.clone() for old in earlier], strength)
        return _judge(given, right, _mistaken(weight, mask, earlier, strength))

    return Case(name, test)


def _mistaken(
    weight: Tensor, mask: Tensor, earlier: Sequence[Tensor], strength: float
) -> dict[str, float]:
    """What a mistake is called -> what it gives."""
    if not earlier:
        return {}
    cosines = torch.stack(_cosines(weight, mask, earlier))
    unmasked = torch.stack(_cosines(weight, torch.ones_like(mask), earlier))
    products = torch.stack([(weight * mask * old).sum() for old in earlier])
    found = {
        "Square the cosine: the opposite direction is forbidden as well.": cosines.mean(),
        "Take the square, not the absolute value.": cosines.abs().mean(),
        "The lengths of the earlier solutions count off the mask too: multiply them by the mask.": (
            unmasked.square().mean()
        ),
        "Divide the product by both lengths: the loss must not know how long the vectors are.": (
            products.square().mean()
        ),
    }
    if len(earlier) > 1:
        found |= {
            "Take the mean over the earlier solutions, not their sum.": cosines.square().sum(),
            "Only the last solution repels. Then the network may go back to the one before it.": (
                cosines[-1].square()
            ),
            "Only the first solution repels: all earlier ones must.": cosines[0].square(),
            "Square each cosine before you take the mean.": cosines.mean().square(),
        }
    mistakes = {hint: strength * float(value) for hint, value in found.items()}
    mistakes["The strength is missing: multiply by it."] = float(cosines.square().mean())
    return mistakes


def _has_a_gradient(answer: Answer) -> str:
    layer = six_by_six()
    weight = layer.weight.clone().requires_grad_()
    loss = answer(weight, layer.mask.float(), _solutions(2), 2.0)
    if not isinstance(loss, Tensor) or not loss.requires_grad:
        return "The optimizer needs its gradient: compute with tensors, without `.item()`."
    loss.backward()
    if weight.grad is None:
        return "It has no gradient for `weight`: compute with the tensor, not with its numbers."
    ours = layer.weight.clone().requires_grad_()
    earlier = [{"w": old} for old in _solutions(2)]
    (2 * sparse.mean_squared_cosine({"w": ours}, {"w": layer.mask.float()}, earlier)).backward()
    if ours.grad is None or torch.allclose(weight.grad, ours.grad, atol=1e-5):
        return ""
    return "The value is right, its gradient is not: lengths have one too, so no `.item()` inside."


repellent = Exercise(
    name="ch05.repellent",
    task="`repellent(weight, mask, earlier, strength)`: the repellent loss of one layer. `earlier` "
    "is a list of full weights of earlier solutions; without any the loss is 0.",
    minutes=15,
    difficulty=2,
    clues=(
        "Two vectors: the weight on the mask, and an earlier solution on the same mask. What tells "
        "whether they point the same way?",
        "The cosine is the product of the vectors divided by both lengths. Square it, and take the "
        "mean over all earlier solutions.",
        "For one solution: `now, old = (weight * mask).flatten(), (solution * mask).flatten()`, "
        "then `(now @ old / (now.norm() * old.norm())) ** 2`.",
    ),
    cases=(
        _repels("one earlier solution", _solutions(1), 1.0),
        _repels("the strength", _solutions(1), 2.0),
        _repels("the opposite direction", _solutions(1), 1.0, sign=-1.0),
        _repels("three earlier solutions", _solutions(3), 2.0),
        _repels("attraction, a strength of -1", _solutions(3), -1.0),
        _repels("no earlier solution", [], 2.0),
        Case("its gradient", _has_a_gradient),
    ),
)

# --- 4: what an ensemble gains ------------------------------------------------------------------


def _logits(rows: list[list[list[float]]]) -> list[Tensor]:
    return [torch.tensor(z) for z in rows]


def _gains(name: str, logits: list[Tensor], labels: Tensor) -> Case:
    right = sparse.ensemble_gain(logits, labels)
    alone = [sparse.accuracy(z, labels) for z in logits]
    average = sum(alone) / len(alone)
    together = right + average
    summed = sparse.accuracy(torch.stack(logits).mean(0), labels)
    votes = torch.stack([torch.nn.functional.one_hot(z.argmax(1), 3) for z in logits]).sum(0)
    voted = sparse.accuracy(votes.float(), labels)
    mistakes = {
        "Average the probabilities, not the logits: one very sure network outvotes the others.": (
            summed - average
        ),
        "This counts votes. Average the probabilities, so that a sure network counts for more.": (
            voted - average
        ),
        "This is the ensemble's accuracy: subtract the mean accuracy of its networks.": together,
        "Subtract the mean accuracy of the networks, not the best one's.": together - max(alone),
        "Probabilities come from a softmax over the classes, `softmax(1)`, not over the images.": (
            sparse.accuracy(torch.stack([z.softmax(0) for z in logits]).mean(0), labels) - average
        ),
        "Probabilities come from a softmax; a sigmoid looks at each class by itself.": (
            sparse.accuracy(torch.stack([z.sigmoid() for z in logits]).mean(0), labels) - average
        ),
        "A fraction; asked are points of percent, 100 times that.": right / 100,
        "The sign is the wrong way round: the ensemble minus its networks.": -right,
    }

    def test(answer: Answer) -> str:
        return _judge(answer([z.clone() for z in logits], labels.clone()), right, mistakes)

    return Case(name, test)


# Two networks that err on different images and are unsure where they err.
_HELPFUL = _logits(
    [
        [[2.0, 0.0, 0.0], [0.5, 0.4, 0.0], [0.0, 0.0, 2.0], [2.0, 0.0, 0.0], [1.0, 0.0, 0.0]],
        [[0.4, 0.5, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0], [2.0, 0.0, 0.0], [1.0, 0.0, 0.0]],
    ]
)
# Three networks; one is sure beyond measure, and wrong.
_LOUD = _logits(
    [
        [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]],
        [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]],
        [[0.0, 0.0, 50.0], [0.0, 2.0, 0.0]],
    ]
)
# Two networks of which a softmax, a sigmoid and the logits make different answers.
_SQUASHED = _logits(
    [
        [[-3.3, 1.6, 1.1], [6.4, -0.7, -0.2], [2.1, 1.4, -3.8]],
        [[0.7, -3.2, 1.5], [0.3, 1.1, -2.7], [-6.0, 0.0, 9.0]],
        [[4.1, 0.3, -1.8], [2.0, 2.8, 1.1], [-0.4, -3.9, -6.5]],
    ]
)
# Two networks nearly undecided and wrong, one sure and right.
_SURE = _logits(
    [
        [[0.5, 0.6, 0.0], [0.0, 2.0, 0.0]],
        [[0.5, 0.6, 0.0], [0.0, 2.0, 0.0]],
        [[5.0, 0.0, 0.0], [2.0, 0.0, 0.0]],
    ]
)

gain = Exercise(
    name="ch05.gain",
    task="`gain(logits, labels)`: accuracy of the networks' averaged probabilities minus the mean "
    "accuracy of the networks, in points of percent. `logits` is a list of (images, classes).",
    minutes=10,
    difficulty=2,
    clues=(
        "An ensemble answers with the mean of its networks' probabilities. How do logits become "
        "probabilities?",
        "`softmax` over the classes, then the mean over the networks, then `argmax`.",
        "`torch.stack([z.softmax(1) for z in logits]).mean(0)`; compare its `argmax(1)` with the "
        "labels, and subtract the mean of the accuracies.",
    ),
    cases=(
        _gains("two networks that help each other", _HELPFUL, torch.tensor([0, 1, 2, 0, 1])),
        _gains("one network is sure beyond measure", _LOUD, torch.tensor([0, 1])),
        _gains("two unsure networks against a sure one", _SURE, torch.tensor([0, 0])),
        _gains("what makes a probability", _SQUASHED, torch.tensor([0, 1, 2])),
        _gains("one network alone", _HELPFUL[:1], torch.tensor([0, 1, 2, 0, 1])),
    ),
)
