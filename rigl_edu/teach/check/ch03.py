"""Chapter 3, lottery tickets: how many rounds, one round, the shuffled control."""

from __future__ import annotations

from copy import deepcopy
from math import isclose
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ... import sparse
from ..layers import places, six_by_six
from .result import Answer, Case, Exercise, draws_anew

# --- 1: how many rounds -------------------------------------------------------------------------


def _rounds(removed: float, fraction: float) -> int:
    rounds, left = 0, 1.0
    while left > 1 - removed / 100 + 1e-9:
        left *= 1 - fraction
        rounds += 1
    return rounds


def _needs(removed: float, fraction: float, hints: dict[int, str]) -> Case:
    """The number of rounds; `hints` maps what a mistake gives there to what it is called."""
    expected = _rounds(removed, fraction)

    def test(answer: Answer) -> str:
        given = answer(removed, fraction)
        if given is None or given is ...:
            return "It returned nothing."
        if isclose(float(given), expected, abs_tol=1e-12):
            return ""
        if float(given) != int(given):
            return f"It gave {float(given):.2f}. A part of a round removes nothing: round up."
        return hints.get(int(given), f"It gave {int(given)} rounds; right is {expected}.")

    return Case(f"{removed:g} % removed, fraction {fraction:g}", test)


rounds_needed = Exercise(
    name="ch03.rounds_needed",
    task="`rounds_needed(removed, fraction)`: the smallest number of rounds after which at least "
    "`removed` per cent of the weights are gone, if each round prunes `fraction` of what is left. "
    "Ignore that numbers of weights are whole.",
    minutes=5,
    difficulty=1,
    clues=(
        "What share is left after one round? After two?",
        "After r rounds (1 - fraction) to the power r is left. It must be at most "
        "1 - removed / 100.",
        "A loop is fine: multiply `left` until it is small enough, and count. Allow `left` a "
        "rounding error of 1e-9.",
    ),
    cases=(
        _needs(
            90,
            0.2,
            {
                5: "Each round takes its fraction of what is left, not of all weights: after 5 "
                "rounds of 20 % a third is left, not nothing.",
                1: "This is the round after which 90 % are left. `removed` says what is gone.",
                10: "After 10 rounds 89.3 % are gone, which is not yet 90.",
                12: "One too many: 11 rounds remove 91.4 %. Is round 0, which prunes nothing, "
                "counted?",
            },
        ),
        _needs(99, 0.5, {6: "After 6 rounds 98.4 % are gone, not yet 99."}),
        _needs(0, 0.2, {1: "Nothing is to be removed: no round is needed."}),
        _needs(
            48.8,
            0.2,
            {
                4: "After 3 rounds exactly 48.8 % are gone. A rounding error made it one round "
                "more: compare with a slack of 1e-9."
            },
        ),
        _needs(
            48.9,
            0.2,
            {
                3: "After 3 rounds 48.8 % are gone, which is not yet 48.9: round nothing on the "
                "way, and allow a slack of 1e-9, not more."
            },
        ),
    ),
)

# --- 2: one round -------------------------------------------------------------------------------


class _Before(NamedTuple):
    trained: Tensor
    mask: Tensor
    start: Tensor
    fraction: float


def _right(b: _Before) -> tuple[Tensor, Tensor]:
    """The mask and the weights with which the next training begins."""
    active = int(b.mask.count_nonzero())
    kept = sparse.drop(b.trained.abs(), b.mask, active - round((1 - b.fraction) * active))
    return kept, b.start * kept


def _book(fraction: float = 0.2) -> _Before:
    layer = six_by_six()
    return _Before(layer.weight, layer.mask, layer.random - 0.5, fraction)


def _half_gone() -> _Before:
    """24 of 36 weights exist, many of those that do not have a large start."""
    generator = torch.Generator().manual_seed(0)
    mask = sparse.random_mask((6, 6), 24, generator)
    trained, start = torch.randn(2, 6, 6, generator=generator)
    return _Before(trained * mask, mask, start, 0.5)


def _is_mask(given: Any, like: Tensor) -> str:
    if not isinstance(given, Tensor) or given.shape != like.shape:
        return f"The mask it returned is not a tensor of shape {tuple(like.shape)}."
    if not ((given == 0) | (given == 1)).all():
        return "A mask holds only 0 and 1 (or False and True)."
    return ""


def _next(name: str, before: _Before) -> Case:
    """One round, its mistakes in turn: count, choice, values."""
    mask, weight = _right(before)
    active, keep = int(before.mask.count_nonzero()), int(mask.count_nonzero())

    def test(answer: Answer) -> str:
        inputs = deepcopy(before)
        given = answer(*inputs)
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            return "It should return two tensors: the mask and the weight."
        problem = _is_mask(given[0], mask)
        if problem:
            return problem
        if any(
            not was.equal(now)
            for was, now in zip(before, inputs, strict=True)
            if isinstance(was, Tensor) and isinstance(now, Tensor)
        ):
            return "It changed one of its inputs in place: work on a clone."
        new, values = given[0].bool(), given[1]
        count = int(new.count_nonzero())
        if (new & ~before.mask).any():
            return f"{places(new & ~before.mask)} was pruned in an earlier round and stays so."
        if count != keep:
            of_all = round((1 - before.fraction) * mask.numel())
            why = (
                "The fraction is of the weights that are left, not of all positions."
                if count in (of_all, active - round(before.fraction * mask.numel()))
                else f"Left are round({1 - before.fraction:g} × {active})."
            )
            return f"{count} weights are left, not {keep}. {why}"
        if not new.equal(mask):
            by_start = sparse.drop(before.start.abs(), before.mask, active - keep)
            signed = sparse.drop(before.trained, before.mask, active - keep)
            largest = sparse.drop(-before.trained.abs(), before.mask, active - keep)
            for wrong, hint in (
                (by_start, "It pruned by the start's values. The trained ones say what to prune."),
                (signed, "A large negative weight is a large weight: rank by |w|."),
                (largest, "It pruned the largest |w|; the smallest go."),
            ):
                if new.equal(wrong):
                    return hint
            return f"It kept {places(new & ~mask)}; the largest |w| are at {places(mask & ~new)}."
        if not isinstance(values, Tensor) or values.shape != weight.shape:
            return "The weight it returned is not a tensor of the layer's shape."
        values = values.to(weight.dtype)
        if values[~mask].any():
            return "Pruned weights are 0; the start has values there, so multiply by the mask."
        if torch.allclose(values, before.trained * mask):
            return "These are the trained values. Rewinding puts the start's values back."
        if not torch.allclose(values, weight):
            return "The surviving weights do not have the values of `start`."
        return ""

    return Case(name, test)


next_ticket = Exercise(
    name="ch03.next_ticket",
    task="`next_ticket(trained, mask, start, fraction)`: prune `fraction` of the active weights of "
    "one layer by their trained magnitude, keeping round((1 - fraction) × active), and rewind. "
    "Return the new mask and the weights that the next training begins with. `mask` is bool.",
    minutes=10,
    difficulty=2,
    clues=(
        "Two tensors of numbers come in. Which one decides, and which one goes out?",
        "Rank |trained| among the active positions only; what is off gets a score below 0.",
        "Turn on the indices of `scores.flatten().topk(keep)`, then `start * new_mask`.",
    ),
    cases=(
        _next("the book's layer", _book()),
        _next("a layer that is half gone", _half_gone()),
        _next("one-shot: fraction 0.75", _book(0.75)),
        _next("a fraction that does not come out even", _book(0.3)),
    ),
)

# --- 3: the shuffled control --------------------------------------------------------------------


def _network() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Masks of two layers, one nearly full and one nearly empty, and a start without zeros."""
    generator = torch.Generator().manual_seed(1)
    masks = {
        "first": sparse.random_mask((12, 10), 90, generator),
        "second": sparse.random_mask((10, 12), 9, generator),
    }
    return masks, {
        name: torch.rand(m.shape, generator=generator) + 0.5 for name, m in masks.items()
    }


def _shuffles(name: str, look: Any) -> Case:
    """The control, looked at by one test: (masks, start, new masks, new weights) -> hint."""

    def test(answer: Answer) -> str:
        masks, start = _network()
        given = answer(deepcopy(masks), deepcopy(start), torch.Generator().manual_seed(0))
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            return "It should return two dicts: masks and weights by layer name."
        if set(given[0]) != set(masks) or set(given[1]) != set(masks):
            return f"Both dicts should name the layers {', '.join(masks)}."
        for layer, mask in masks.items():
            problem = _is_mask(given[0][layer], mask)
            if problem:
                return problem
        return str(look(masks, start, {n: m.bool() for n, m in given[0].items()}, given[1]))

    return Case(name, test)


def _counts(masks: Any, start: Any, new: Any, weights: Any) -> str:
    was = [int(m.count_nonzero()) for m in masks.values()]
    now = [int(m.count_nonzero()) for m in new.values()]
    if was == now:
        return ""
    if sum(was) == sum(now):
        return (
            f"The layers had {was} weights and have {now}: ones moved from layer to layer. "
            "Shuffle within each layer."
        )
    return f"The layers had {was} weights and have {now}. A permutation keeps the number exactly."


def _moves(masks: Any, start: Any, new: Any, weights: Any) -> str:
    for name, mask in masks.items():
        if new[name].equal(mask):
            return f"The mask of {name!r} is what it was: permute its positions."
        for before, after, word in ((mask, new[name], "row"), (mask.T, new[name].T, "column")):
            if sorted(before.tolist()) == sorted(after.tolist()):
                return f"Only whole {word}s of {name!r} moved. Permute all positions of the layer."
        if new[name].sum(1).equal(mask.sum(1)):
            return f"Every row of {name!r} has kept its number. Permute all positions of the layer."
    return ""


def _values(masks: Any, start: Any, new: Any, weights: Any) -> str:
    for name, mask in new.items():
        given = weights[name].to(start[name].dtype)
        if given[~mask].any():
            return f"{name!r} has weights off its new mask: multiply by the mask."
        if not torch.allclose(given, start[name] * mask):
            if not given[mask].all():
                return (
                    f"{name!r} has zeros on its new mask: the weights were masked by the old mask "
                    "too."
                )
            return (
                f"The weights of {name!r} do not have the start's values at their new places. The "
                "mask moves, the values stay where they are."
            )
    return ""


def _draws(answer: Answer) -> str:
    def masks_of(generator: torch.Generator) -> Tensor:
        masks, start = _network()
        return torch.cat([m.flatten().bool() for m in answer(masks, start, generator)[0].values()])

    return draws_anew(masks_of)


shuffled_ticket = Exercise(
    name="ch03.shuffled_ticket",
    task="`shuffled_ticket(masks, start, generator)`: the control that keeps how many weights each "
    "layer has and forgets where. `masks` (bool) and `start` are dicts of tensors by layer name. "
    "Draw the new places from `generator`. Return new masks and the weights that training begins "
    "with, both by layer name.",
    minutes=10,
    difficulty=2,
    clues=(
        "What may change, and what must not? Positions may; each layer's number may not.",
        "`torch.randperm(mask.numel(), generator=generator)` is a random order of the positions.",
        "`mask.flatten()[order].view(mask.shape)` for each layer; the weights are the start's "
        "times the new mask.",
    ),
    cases=(
        _shuffles("the numbers", _counts),
        _shuffles("the places", _moves),
        _shuffles("the values", _values),
        Case("two draws", _draws),
    ),
)
