"""Chapter 12, redistribution: a layer's score, a budget with a floor, what a move costs."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor
from typing import Any

import torch
from torch import Tensor

from ..layers import six_by_six
from .result import Answer, Case, Exercise

# --- 1: the score of a layer --------------------------------------------------------------------


def _scores(
    name: str, gradients: list[Tensor], mask: Tensor, mistakes: Mapping[str, float]
) -> Case:
    """The score of one layer; `mistakes` maps a hint to what that mistake gives here."""
    mean = torch.stack(gradients).mean(0)
    expected = float(mean[mask].abs().mean()) if mask.any() else 0.0

    def test(answer: Answer) -> str:
        given = answer([gradient.clone() for gradient in gradients], mask.clone())
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


def _book_scores(batches: int) -> Case:
    """The book's layer: its momentum for a gradient, with noise if there are several batches."""
    layer = six_by_six()
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(batches, 6, 6, generator=generator)
    gradients = list(layer.momentum + noise) if batches > 1 else [layer.momentum]
    stacked = torch.stack(gradients)
    mean, on = stacked.mean(0), stacked.mean(0)[layer.mask]
    return _scores(
        f"the book's layer, batches: {batches}",
        gradients,
        layer.mask,
        {
            "Absolute values come after the mean over the batches: what changes its sign from "
            "batch to batch is noise, and must cancel.": float(
                stacked.abs().mean(0)[layer.mask].mean()
            ),
            "That is the last batch's score. Take the mean over all of them first.": float(
                gradients[-1][layer.mask].abs().mean()
            ),
            "That is the first batch's score. Take the mean over all of them first.": float(
                gradients[0][layer.mask].abs().mean()
            ),
            "It adds the batches up. Divide by how many there are.": float(
                batches * on.abs().mean()
            ),
            "That is the sum. Sums favour big layers, whatever they do: take the mean.": float(
                on.abs().sum()
            ),
            "That is the mean over all 36 positions. The gradients are dense: leave out the "
            "missing weights, also from the count.": float(mean.abs().mean()),
            "The sum is right, but divided by all 36 positions. Divide by the active ones.": float(
                on.abs().sum() / 36
            ),
            "Positions with different signs must not cancel each other: |·| before the mean over "
            "positions.": float(on.mean()),
            "|·| comes before the mean over positions, not after it.": float(on.mean().abs()),
        },
    )


def _with_zeros() -> Case:
    """Two active weights have gradient 0: they count."""
    values = torch.tensor([[0.0, 0.6, 0.9], [-0.3, 0.0, 0.8]])
    mask = torch.tensor([[True, True, False], [True, True, False]])
    return _scores(
        "active weights whose gradient is 0",
        [values, values],
        mask,
        {
            "Two active weights have the gradient 0, as those behind a dead unit do. They count: "
            "divide by the mask's ones, not by the nonzero values.": 0.45,
        },
    )


score_of_batches = Exercise(
    name="ch12.score_of_batches",
    task="`score_of_batches(gradients, mask)`: a layer's score from several batches, one dense "
    "gradient each. Take the mean over the batches, then the mean |value| over the active "
    "weights. 0 for a layer without any. `mask` is bool.",
    minutes=5,
    difficulty=1,
    clues=(
        "Two means and one |·|. In which order?",
        "`sum(gradients) / len(gradients)` is dense; `[mask]` picks the active ones of it.",
        "`mean[mask].abs().mean()`, and 0.0 where `mask.any()` is false.",
    ),
    cases=(
        _book_scores(1),
        _book_scores(4),
        _with_zeros(),
        _scores(
            "a layer without active weights",
            list(torch.rand(2, 2, 3, generator=torch.Generator().manual_seed(0))),
            torch.zeros(2, 3, dtype=torch.bool),
            {},
        ),
    ),
)

# --- 2: sharing a budget, with a floor ----------------------------------------------------------


def _share(scores: list[float], budget: int, least: list[int]) -> list[int]:
    """A layer that would get less than its floor gets the floor; the others share the rest."""
    exact = [float(n) for n in least]
    waiting = list(range(len(scores)))
    while waiting:
        left = budget - sum(n for i, n in enumerate(least) if i not in waiting)
        total = sum(scores[i] for i in waiting)
        part = {i: left * (scores[i] / total if total else 1 / len(waiting)) for i in waiting}
        low = [i for i in waiting if part[i] < least[i] - 1e-9]
        if not low:
            exact = [part.get(i, float(n)) for i, n in enumerate(least)]
            break
        waiting = [i for i in waiting if i not in low]
    counts = [floor(x + 1e-9) for x in exact]
    order = sorted(waiting, key=lambda i: counts[i] - exact[i])
    for i in order[: budget - sum(counts)]:
        counts[i] += 1
    return counts


def _shares(
    name: str,
    scores: list[float],
    budget: int,
    least: list[int],
    mistakes: Mapping[str, list[int]],
    total: str = "",
) -> Case:
    """One budget to share. `total` explains a wrong sum, `mistakes` wrong splits."""
    expected = _share(scores, budget, least)

    def test(answer: Answer) -> str:
        given, problem = _counts(answer, scores, budget, least)
        if problem:
            return problem
        if given == expected:
            return ""
        for hint, wrong in mistakes.items():
            if given == wrong:
                return hint
        under = [i for i, (n, low) in enumerate(zip(given, least, strict=True)) if n < low]
        if under:
            i = under[0]
            return f"Layer {i} gets {given[i]} and must get {least[i]} at least."
        if sum(given) != budget:
            return f"It handed out {sum(given)}, not {budget}: {given}. {total}".rstrip()
        return f"It gave {given}; right is {expected}."

    return Case(name, test)


def _counts(
    answer: Answer, scores: list[float], budget: int, least: list[int]
) -> tuple[list[int], str]:
    """What the student's function returns, as a list of whole numbers, or what is wrong with it."""
    inputs = list(scores), list(least)
    given = answer(inputs[0], budget, inputs[1])
    if inputs != (scores, least):
        return [], "It changed its inputs: work on copies of `scores` and `least`."
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


share_at_least = Exercise(
    name="ch12.share_at_least",
    task="`share_at_least(scores, budget, least)`: a list of whole numbers, how many weights each "
    "layer gets. In proportion to the scores, but no layer fewer than its `least`, and exactly "
    "`budget` in total, which is enough for all the least. Round by largest remainder; all scores "
    "0 means equal claims.",
    minutes=20,
    difficulty=3,
    clues=(
        "The page's loop takes out layers that would get more than their room. Turn it round: "
        "which layers leave here, and with how many weights?",
        "A layer that gets its least takes more than its share, so less is left for the others. "
        "One of them may now be below its own: repeat.",
        "`while waiting: part = ...; low = [i for i in waiting if part[i] < least[i]]`. If `low` "
        "is empty, keep the parts and stop; else give those their least, subtract it from what is "
        "left, and go on without them. Round last: down, then one more by largest remainder.",
    ),
    cases=(
        _shares(
            "shares without remainder, no layer below its least",
            [1.0, 2.0, 5.0],
            16,
            [1, 1, 1],
            {
                "Each layer got its least first and shared the rest by score. In proportion means "
                "that the least only counts where the share is below it.": [3, 4, 9],
            },
        ),
        _shares(
            "shares with remainders",
            [1.02, 1.0, 0.98, 3.0],
            10,
            [0, 0, 0, 0],
            {},
            total="Rounding each share by itself does not keep the total. Round down, then hand "
            "out what is missing by largest remainder.",
        ),
        _shares(
            "the largest remainder",
            [0.50, 0.29, 0.21],
            9,
            [1, 1, 1],
            {
                "The weight left over went to the layer with the largest score. It goes to the one "
                "with the largest remainder: 4.50, 2.61, 1.89.": [5, 2, 1],
                "The weights left over went to the first layers. They go to the largest "
                "remainders: 4.50, 2.61, 1.89.": [5, 3, 1],
            },
        ),
        _shares(
            "a layer below its least",
            [1.0, 3.0, 6.0],
            20,
            [5, 0, 0],
            {
                "What the first layer gets on top was taken from the largest alone. The others "
                "share what is left in proportion, 3 : 6.": [5, 6, 9],
            },
            total="What a layer gets on top of its share must come from the others.",
        ),
        _shares(
            "one layer is below, and without its least a second",
            [1.0, 3.0, 6.0],
            20,
            [8, 5, 0],
            {},
            total="With the first layer at its least, the second's share falls below its own: "
            "repeat until no layer is below.",
        ),
        _shares(
            "all scores are 0",
            [0.0, 0.0, 0.0],
            6,
            [1, 0, 0],
            {},
            total="Nothing speaks for one layer over another: equal claims.",
        ),
        _shares("a score of 0", [0.0, 1.0, 3.0], 10, [2, 1, 0], {}),
        _shares("nothing to spare", [1.0, 2.0, 4.0], 12, [5, 4, 3], {}),
        _shares("the layers of this page", [0.3275, 0.5, 1.2], 24, [12, 2, 1], {}),
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
