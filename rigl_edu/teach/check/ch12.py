"""Chapter 12, redistribution: a layer's score, sharing a budget, what a move costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ... import sparse
from ..layers import six_by_six
from .result import Answer, Case, Exercise

# --- 1: the score of a layer --------------------------------------------------------------------


def _scores(name: str, values: Tensor, mask: Tensor, mistakes: Mapping[str, float]) -> Case:
    """The score of one layer; `mistakes` maps a hint to what that mistake gives here."""
    expected = float(values[mask].abs().mean()) if mask.any() else 0.0

    def test(answer: Answer) -> str:
        given = answer(values.clone(), mask.clone())
        if given is None or given is ...:
            return "It returned nothing."
        if isinstance(given, Tensor) and given.numel() != 1:
            return f"It returned a tensor of shape {tuple(given.shape)}; a score is one number."
        score = float(given)
        if abs(score - expected) < 1e-5:
            return ""
        if score != score:
            return (
                "It gave nan: a mean over no weights. A layer without active weights has no claim, "
                "so its score is 0."
            )
        for hint, wrong in mistakes.items():
            if abs(score - wrong) < 1e-5:
                return hint
        return f"It gave {score:.4f}; right is {expected:.4f}."

    return Case(name, test)


def _book_scores() -> Case:
    layer = six_by_six()
    values, mask = layer.momentum, layer.mask
    on = values[mask]
    return _scores(
        "the book's layer, its momentum",
        values,
        mask,
        {
            "That is the sum. Sums favour big layers, whatever they do: take the mean.": float(
                on.abs().sum()
            ),
            "That is the mean over all 36 positions. The values are dense: leave out the missing "
            "weights, also from the count.": float(values.abs().mean()),
            "The sum is right, but divided by all 36 positions. Divide by the active ones.": float(
                on.abs().sum() / 36
            ),
            "With their signs the values cancel. Take absolute values first.": float(on.mean()),
            "Absolute values come before the mean, not after it.": float(on.mean().abs()),
            "That is the largest one. The score is the mean.": float(on.abs().max()),
            "That is the root of the mean square, not the mean.": float(on.square().mean().sqrt()),
        },
    )


def _with_zeros() -> Case:
    """Two active weights have gradient 0: they count."""
    values = torch.tensor([[0.0, 0.6, 0.9], [-0.3, 0.0, 0.8]])
    mask = torch.tensor([[True, True, False], [True, True, False]])
    return _scores(
        "active weights whose gradient is 0",
        values,
        mask,
        {
            "Two active weights have the gradient 0, as those behind a dead unit do. They count: "
            "divide by the mask's ones, not by the nonzero values.": 0.45,
        },
    )


mean_of_active = Exercise(
    name="ch12.mean_of_active",
    task="`mean_of_active(values, mask)`: the mean |value| over the active weights of a layer, 0 "
    "for a layer without any. `values` is dense (a gradient, say), `mask` is bool.",
    minutes=5,
    difficulty=1,
    clues=(
        "Which positions count, and by what do you divide?",
        "`values[mask]` picks the active ones, as a flat tensor.",
        "`values[mask].abs().mean()`, and 0.0 where `mask.any()` is false.",
    ),
    cases=(
        _book_scores(),
        _with_zeros(),
        _scores(
            "a layer without active weights",
            torch.rand(2, 3, generator=torch.Generator().manual_seed(0)),
            torch.zeros(2, 3, dtype=torch.bool),
            {},
        ),
    ),
)

# --- 2: sharing a budget ------------------------------------------------------------------------


def _shares(
    name: str,
    scores: list[float],
    budget: int,
    room: list[int],
    mistakes: Mapping[str, list[int]],
    total: str = "",
) -> Case:
    """One budget to share. `total` explains a wrong sum, `mistakes` wrong splits."""
    expected = sparse.share(scores, budget, room)

    def test(answer: Answer) -> str:
        given, problem = _counts(answer, scores, budget, room)
        if problem:
            return problem
        if given == expected:
            return ""
        for hint, wrong in mistakes.items():
            if given == wrong:
                return hint
        over = [i for i, (n, most) in enumerate(zip(given, room, strict=True)) if n > most]
        if over:
            i = over[0]
            return f"Layer {i} gets {given[i]} and has room for {room[i]}: cap it at its room."
        if sum(given) != budget:
            return f"It handed out {sum(given)}, not {budget}: {given}. {total}".rstrip()
        return f"It gave {given}; right is {expected}."

    return Case(name, test)


def _counts(
    answer: Answer, scores: list[float], budget: int, room: list[int]
) -> tuple[list[int], str]:
    """What the student's function returns, as a list of whole numbers, or what is wrong with it."""
    inputs = list(scores), list(room)
    given = answer(inputs[0], budget, inputs[1])
    if inputs != (scores, room):
        return [], "It changed its inputs: work on copies of `scores` and `room`."
    if given is None or given is ...:
        return [], "It returned nothing."
    try:
        numbers = [float(n) for n in given]
    except TypeError:
        return [], f"It returned a {type(given).__name__}; it should be a list, one number a layer."
    if len(numbers) != len(scores):
        return [], f"{len(scores)} layers, but {len(numbers)} numbers came back."
    if any(n != int(n) for n in numbers):
        return [], f"Weights come in whole numbers; this is {_short(given)}."
    return [int(n) for n in numbers], ""


def _short(values: Any) -> str:
    return "[" + ", ".join(f"{float(value):g}" for value in values) + "]"


share = Exercise(
    name="ch12.share",
    task="`share(scores, budget, room)`: a list of whole numbers, how many new weights each layer "
    "gets. In proportion to the scores, no layer more than its room, exactly `budget` in total. "
    "What a full layer cannot take goes to the others, again in proportion. Round by largest "
    "remainder; all scores 0 means equal claims.",
    minutes=20,
    difficulty=3,
    clues=(
        "First the exact shares, as fractions. A layer whose share is at least its room gets its "
        "room and is out. Then start again with the other layers and what is left.",
        "Only when no more layer is full do you round: down, and then one more to the layers with "
        "the largest remainders until the total is right.",
        "`while open: claims = ...; full = [i for i in open if left * claims[i] >= room[i]]`. If "
        "`full` is empty, keep `left * claims[i]` and stop; else set them to their room, subtract "
        "it from `left`, and take them out of `open`.",
    ),
    cases=(
        _shares("shares without remainder, room for all", [1.0, 2.0, 5.0], 16, [99, 99, 99], {}),
        _shares(
            "shares with remainders",
            [1.02, 1.0, 0.98, 3.0],
            10,
            [99, 99, 99, 99],
            {},
            total="Rounding each share by itself does not keep the total. Round down, then hand "
            "out what is missing by largest remainder.",
        ),
        _shares(
            "the largest remainder",
            [0.50, 0.29, 0.21],
            9,
            [99, 99, 99],
            {
                "The weight left over went to the layer with the largest score. It goes to the one "
                "with the largest remainder: 4.50, 2.61, 1.89.": [5, 2, 1],
                "The weights left over went to the first layers. They go to the largest "
                "remainders: 4.50, 2.61, 1.89.": [5, 3, 1],
            },
        ),
        _shares(
            "a layer that fills up",
            [1.0, 3.0, 6.0],
            20,
            [99, 99, 4],
            {
                "What the full layer cannot take was shared equally. It goes to the others in "
                "proportion to their scores, 1 : 3.": [6, 10, 4],
            },
            total="What the full layer cannot take must go to the others.",
        ),
        _shares(
            "one layer fills up, and with its rest a second",
            [2.0, 3.0, 5.0],
            20,
            [99, 8, 4],
            {},
            total="After the first layer is full, the second layer's share grows and exceeds its "
            "room too: repeat until no layer is full.",
        ),
        _shares(
            "all scores are 0",
            [0.0, 0.0, 0.0],
            6,
            [99, 99, 99],
            {},
            total="Nothing speaks for one layer over another: equal claims.",
        ),
        _shares("nothing to hand out", [1.0, 2.0], 0, [5, 5], {}),
        _shares("every layer fills up", [1.0, 2.0, 0.0], 12, [5, 4, 3], {}),
        _shares("a layer without room", [5.0, 2.0, 2.0], 8, [0, 9, 9], {}),
        _shares("the layers of this page", [0.3275, 0.5, 1.2], 6, [27, 6, 3], {}),
    ),
)

# --- 3: what a move costs -----------------------------------------------------------------------


def _costs(
    name: str, moved: dict[str, int], positions: dict[str, int], mistakes: Mapping[str, int]
) -> Case:
    expected = 2 * sum(n * positions[layer] for layer, n in moved.items())

    def test(answer: Answer) -> str:
        given = answer(dict(moved), dict(positions))
        if given is None or given is ...:
            return "It returned nothing."
        if float(given) == expected:
            return ""
        for hint, wrong in mistakes.items():
            if float(given) == wrong:
                return hint
        return f"It gave {float(given):g}; right is {expected}."

    return Case(name, test)


_POSITIONS = {"group1.1.conv1": 32 * 32, "group2.1.conv1": 16 * 16, "group3.1.conv1": 8 * 8}

flops_of_move = Exercise(
    name="ch12.flops_of_move",
    task="`flops_of_move(moved, positions)`: by how many FLOPs one forward pass becomes dearer. "
    "`moved` maps a layer to the weights it gains (negative: loses), `positions` maps it to the "
    "number of places in its output image, height × width.",
    minutes=5,
    difficulty=1,
    clues=(
        "How often is one weight of a convolution used in a forward pass?",
        "Once at each position of the output image, with one multiplication and one addition.",
        "2 × the sum over layers of moved × positions. A loss counts with its minus.",
    ),
    cases=(
        _costs(
            "one weight more in group 3",
            {"group3.1.conv1": 1},
            _POSITIONS,
            {
                "A multiplication and an addition: two FLOPs each time the weight is used.": 64,
                "The weight is used at every position of the output image, not once.": 2,
                "That is a training step. Asked is a forward pass.": 384,
            },
        ),
        _costs(
            "1000 weights from group 3 to group 1",
            {"group3.1.conv1": -1000, "group1.1.conv1": 1000},
            _POSITIONS,
            {
                "A loss makes the pass cheaper: keep the minus.": 2 * 1000 * (1024 + 64),
                "The number of weights stays, the FLOPs do not: each layer has its own number of "
                "positions.": 0,
                "The weights that left group 3 cost something there: subtract it.": 2 * 1000 * 1024,
            },
        ),
        _costs(
            "a layer that neither gains nor loses",
            {"group3.1.conv1": -300, "group2.1.conv1": 0, "group1.1.conv1": 300},
            _POSITIONS,
            {},
        ),
    ),
)
