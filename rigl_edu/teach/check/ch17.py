"""Chapter 17, where next: exploration, N:M masks, and pruning that looks at the inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..layers import places, six_by_six
from .result import Answer, Case, Exercise, alike

# --- 1: how much was explored ---------------------------------------------------------------------


def _masks(shape: tuple[int, ...], active: int, times: int, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(times):
        mask = torch.zeros(shape, dtype=torch.bool).flatten()
        mask[torch.randperm(mask.numel(), generator=generator)[:active]] = True
        found.append(mask.view(shape))
    return found


def _new_of(masks: list[Tensor]) -> list[int]:
    ever, counts = torch.zeros_like(masks[0]), []
    for mask in masks:
        counts.append(int((mask & ~ever).sum()))
        ever = ever | mask
    return counts


def _explores(name: str, masks: list[Tensor]) -> Case:
    right, total = _new_of(masks), masks[0].numel()
    turned_on = [int((b & ~a).sum()) for a, b in zip(masks, masks[1:], strict=False)]
    so_far = [sum(right[: i + 1]) for i in range(len(right))]
    mistakes: dict[str, list[float]] = {
        "It compares each mask with the one before. A position that was on earlier, and off since, "
        "is not new.": [right[0], *turned_on],
        "It compares each mask with the first one only.": [
            right[0],
            *(int((mask & ~masks[0]).sum()) for mask in masks[1:]),
        ],
        "The first mask's positions are new too: all of them.": [0, *right[1:]],
        "One number for each mask, the first one too.": list(right[1:]),
        "These are all positions explored so far. How many does each mask add?": list(so_far),
        "These are shares. Numbers of positions are asked.": [n / total for n in right],
        "That is how many each mask has. Count those that no mask before it had.": [
            int(mask.sum()) for mask in masks
        ],
    }

    def test(answer: Answer) -> str:
        inputs = [mask.clone() for mask in masks]
        given = answer(inputs)
        if given is None or given is ...:
            return "It returned nothing."
        if any(not a.equal(b) for a, b in zip(inputs, masks, strict=True)):
            return "It changed a mask in place. `|=` does that: begin with a clone or with zeros."
        if not isinstance(given, (list, tuple, Tensor)) or getattr(given, "ndim", 1) != 1:
            return f"It should return a list of {len(masks)} numbers, one for each mask."
        found = [float(n) for n in given]
        if alike(found, right):
            return ""
        for hint, wrong in mistakes.items():
            if alike(found, wrong):
                return hint
        return f"It gave {[round(n, 3) for n in found]}; right is {right}."

    return Case(name, test)


_BOOK = six_by_six().mask

newly_explored = Exercise(
    name="ch17.newly_explored",
    task="`newly_explored(masks)`: for each of `masks`, bool tensors of one shape, how many of its "
    "positions were on in none of the masks before it. A list of whole numbers.",
    minutes=10,
    difficulty=1,
    clues=(
        "What must you remember from mask to mask? More than the mask before.",
        "A mask `ever` of all positions that were on so far. It begins with zeros.",
        "For each mask: count `mask & ~ever`, then `ever = ever | mask`.",
    ),
    cases=(
        _explores("three masks", _masks((6, 6), 12, 3, seed=4)),
        _explores("on, off, and on again", [_BOOK, ~_BOOK, _BOOK]),
        _explores("one mask", _masks((6, 6), 12, 1, seed=2)),
        _explores("a convolution, ten masks", _masks((4, 3, 3, 3), 20, 10, seed=3)),
    ),
)

# --- 2: N of M ------------------------------------------------------------------------------------


def _mask_problem(given: Any, shape: torch.Size) -> str:
    if given is None or given is ...:
        return "It returned nothing."
    if not isinstance(given, Tensor) or given.shape != shape:
        what = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
        return f"It should return a mask of shape {tuple(shape)}; this is {what}."
    if not ((given == 0) | (given == 1)).all():
        return "A mask holds only 0 and 1 (or False and True)."
    return ""


def _top(scores: Tensor, keep: int) -> Tensor:
    """Mask of the `keep` highest in the last dimension."""
    mask = torch.zeros(scores.shape, dtype=torch.bool)
    return mask.scatter(-1, scores.topk(keep, -1).indices, True)


def _groups(scores: Tensor, n: int, m: int) -> Tensor:
    rows, columns = scores.shape
    return _top(scores.view(rows, columns // m, m), n).view(rows, columns)


def _keeps(
    name: str,
    scores: Tensor,
    n: int,
    m: int,
    hints: dict[str, Callable[[Tensor, int, int], Tensor]],
    *,
    tied: str = "",
) -> Case:
    right = _groups(scores, n, m)

    def test(answer: Answer) -> str:
        mine = scores.clone()
        given = answer(mine, n, m)
        problem = _mask_problem(given, scores.shape)
        if problem:
            return problem
        if not mine.equal(scores):
            return "It changed the scores in place: work on a clone."
        mask = given.bool()
        for hint, wrong in hints.items():
            if not wrong(scores, n, m).equal(right) and mask.equal(wrong(scores, n, m)):
                return hint
        counts = mask.view(scores.shape[0], -1, m).sum(2)
        if (counts != n).any():
            row, group = (counts != n).nonzero()[0].tolist()
            found = int(counts[row, group])
            where = f"Row {row}, group {group} has {found} of {m}, not {n}."
            return f"{where} {tied}".rstrip()
        got, best = (scores * x.view_as(scores) for x in (mask, right))
        if not torch.allclose(got.sum(1), best.sum(1)):
            return "The counts are right, the choice is not: keep the highest scores of each group."
        return ""

    return Case(name, test)


_PLAIN: dict[str, Callable[[Tensor, int, int], Tensor]] = {
    "The groups run along the inputs, within a row; these run down the columns.": (
        lambda scores, n, m: (
            _groups(scores.T.contiguous(), n, m).T
            if scores.shape[0] % m == 0
            else torch.zeros(scores.shape, dtype=torch.bool)
        )
    ),
    "As many in each row, but not in each group of m neighbours: that is constant fan-in.": (
        lambda scores, n, m: _top(scores, scores.shape[1] // m * n)
    ),
    "The right number in all, wherever the scores are highest: that is unstructured.": (
        lambda scores, n, m: _top(scores.flatten(), scores.numel() // m * n).view_as(scores)
    ),
    "These are the lowest of each group; keep the highest.": (
        lambda scores, n, m: _groups(-scores, n, m)
    ),
    "It keeps m - n of each group: n is how many stay.": (
        lambda scores, n, m: (
            _groups(scores, m - n, m) if n != m - n else torch.zeros(scores.shape, dtype=torch.bool)
        )
    ),
    "Neighbours form a group: columns 0 to m - 1, then m to 2m - 1. These groups take every "
    "so-manieth column.": (
        lambda scores, n, m: (
            _top(scores.view(scores.shape[0], m, -1).transpose(1, 2).contiguous(), n)
            .transpose(1, 2)
            .reshape(scores.shape)
        )
    ),
}


def _random(shape: tuple[int, int], seed: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


n_of_m = Exercise(
    name="ch17.n_of_m",
    task="`n_of_m(scores, n, m)`: a bool mask that keeps, of every `m` neighbours in a row, the "
    "`n` with the highest scores. `scores` is (outputs, inputs), inputs a multiple of `m`.",
    minutes=15,
    difficulty=2,
    clues=(
        "Give the groups a dimension of their own.",
        "`scores.view(rows, columns // m, m)`, then `topk(n, dim=2)` gives the n best of each.",
        "Turn indices into a mask by `zeros.scatter(2, indices, True)`, and take the shape back.",
    ),
    cases=(
        _keeps("1 of 3 on the book's layer", six_by_six().gradient.abs(), 1, 3, _PLAIN),
        _keeps("2 of 4", _random((5, 16), 1), 2, 4, _PLAIN),
        _keeps(
            "all scores equal",
            torch.ones(3, 8),
            2,
            4,
            {},
            tied="Where scores tie a threshold keeps too many or too few: choose n indices.",
        ),
        _keeps("a group without any score", torch.zeros(2, 8), 2, 4, {}),
        _keeps("4 of 4 keeps all", _random((2, 8), 2), 4, 4, {}),
    ),
)

# --- 3: |w| times the input's norm ----------------------------------------------------------------


def _wanda(weight: Tensor, x: Tensor, keep: int) -> Tensor:
    return _top(weight.abs() * x.norm(dim=0), keep)


_WRONG: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {
    "That is magnitude pruning: the inputs have not been looked at.": (
        lambda w, x, k: _top(w.abs(), k)
    ),
    "The sign of a weight does not matter: take |w|.": lambda w, x, k: _top(w * x.norm(dim=0), k),
    "Each input has a norm over the images; a mean lets positive and negative ones cancel.": (
        lambda w, x, k: _top(w.abs() * x.mean(0).abs(), k)
    ),
    "The norm, not its square: the square counts the input twice as much as the weight.": (
        lambda w, x, k: _top(w.abs() * x.square().sum(0), k)
    ),
    "The norm is the root of the sum of squares, not the sum of absolute values.": (
        lambda w, x, k: _top(w.abs() * x.abs().sum(0), k)
    ),
    "The norm is the root of the sum of squares, not the largest value.": (
        lambda w, x, k: _top(w.abs() * x.abs().amax(0), k)
    ),
    "Rank within each row. One ranking of the whole layer empties rows of small weights.": (
        lambda w, x, k: _top((w.abs() * x.norm(dim=0)).flatten(), k * len(w)).view_as(w)
    ),
    "These are the ones to remove; the mask says what stays.": (
        lambda w, x, k: _top(-w.abs() * x.norm(dim=0), k)
    ),
}


def _inputs_matter(name: str, weight: Tensor, x: Tensor, keep: int) -> Case:
    right = _wanda(weight, x, keep)
    wrong = {hint: mask(weight, x, keep) for hint, mask in _WRONG.items()}

    def test(answer: Answer) -> str:
        inputs = weight.clone(), x.clone()
        given = answer(*inputs, keep)
        problem = _mask_problem(given, weight.shape)
        if problem:
            return problem
        if not inputs[0].equal(weight) or not inputs[1].equal(x):
            return "It changed its inputs in place: work on clones."
        mask = given.bool()
        if mask.equal(right):
            return ""
        for hint, other in wrong.items():
            if mask.equal(other):
                return hint
        counts = mask.sum(1)
        if (counts != keep).any():
            row = int((counts != keep).nonzero()[0])
            return f"Row {row} keeps {int(counts[row])} weights, not {keep}."
        return f"It kept {places(mask & ~right)}; in these rows {places(right & ~mask)} score more."

    return Case(name, test)


def _scaled(shape: tuple[int, int], seed: int) -> Tensor:
    """Inputs of very different size, of both signs."""
    generator = torch.Generator().manual_seed(seed)
    scale = torch.logspace(-1, 1, shape[1])[torch.randperm(shape[1], generator=generator)]
    return torch.randn(shape, generator=generator) * scale


def _weights(shape: tuple[int, int], seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.logspace(-1, 0.5, shape[0])[:, None]
    return torch.randn(shape, generator=generator) * rows


def _two_kinds_of_large() -> Tensor:
    """An input that is never large, one that is once, and one that is large twice, (100, 3)."""
    x = torch.zeros(100, 3)
    x[:, 0], x[0, 1], x[:2, 2] = 1, 12, 9  # sums 100, 12, 18; largest 1, 12, 9; norms 10, 12, 12.7
    x[1::2, 0] = -1  # and its mean is 0
    return x


wanda = Exercise(
    name="ch17.wanda",
    task="`wanda(weight, x, keep)`: a bool mask that keeps in each row of `weight` the `keep` "
    "weights with the highest |w| times the norm of their input, the root of the sum of squares "
    "over images. `x` is (images, inputs).",
    minutes=10,
    difficulty=2,
    clues=(
        "One number an input: how large is it, over all images?",
        "`x.norm(dim=0)` has one entry an input and multiplies the columns of `weight.abs()`.",
        "Then `topk(keep, dim=1)`, and `scatter` makes a mask of the indices.",
    ),
    cases=(
        _inputs_matter(
            "eight outputs, twelve inputs", _weights((8, 12), 1), _scaled((50, 12), 2), 4
        ),
        _inputs_matter("more images", _weights((6, 20), 3), _scaled((400, 20), 4), 5),
        _inputs_matter(
            "which norm", torch.tensor([[1, 1, 1.01], [-1, 1, 1.01]]), _two_kinds_of_large(), 1
        ),
        _inputs_matter(
            "all inputs alike: magnitude decides", _weights((4, 10), 5), torch.ones(7, 10), 3
        ),
        _inputs_matter("keep all", _weights((3, 5), 6), _scaled((9, 5), 7), 5),
    ),
)
