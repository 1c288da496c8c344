"""Chapter 2, pruning: the cubic schedule, one ranking of all layers, what the training costs."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor
from typing import Any

import torch
from torch import Tensor

from ... import sparse
from .result import Answer, Case, Exercise

NOTHING = "It returned nothing."


def _number(name: str, arguments: tuple[float, ...], right: float, hints: dict[str, float]) -> Case:
    """One number expected; `hints` maps what a mistake is called to what it gives."""

    def test(answer: Answer) -> str:
        given = answer(*arguments)
        if given is None or given is ...:
            return NOTHING
        if abs(float(given) - right) < 1e-6:
            return ""
        for hint, wrong in hints.items():
            if abs(float(given) - wrong) < 1e-6:
                return hint
        return f"It gave {float(given):.4f}; right is {right:.4f}."

    return Case(name, test)


# --- 1: the cubic schedule ----------------------------------------------------------------------


def _cubic(t: int, start: int, until: int, final: float, hints: dict[str, float]) -> Case:
    right = sparse.cubic_density(t, start, until, final)
    name = f"t={t}, start={start}, until={until}, final={final}"
    return _number(name, (t, start, until, final), right, hints)


cubic_density = Exercise(
    name="ch02.cubic_density",
    task="`cubic_density(t, start, until, final)`: the density at step t, 1 up to `start`, "
    "`final` from `until` on, and in between falling as a cubic: fast at first, slowly at the end.",
    minutes=5,
    difficulty=1,
    clues=(
        "First compute how much of the way is done: 0 at `start`, 1 at `until`.",
        "What is left of the way, (1 - progress), to the power of three, goes from 1 to 0.",
        "`final + (1 - final) * (1 - progress) ** 3`, with progress kept between 0 and 1.",
    ),
    cases=(
        _cubic(0, 0, 1000, 0.1, {"It starts at 0: that is the sparsity.": 0.0}),
        _cubic(
            500,
            0,
            1000,
            0.1,
            {
                "That is the sparsity, 1 - density.": 1 - (0.1 + 0.9 / 8),
                "A straight line. The cubic has lost more by half-time.": 0.55,
                "A square, not a cubic: the power is 3.": 0.1 + 0.9 / 4,
                "It must end at `final`, not at 0: final + (1 - final) × the cubic.": 1 / 8,
                "Slow at first and fast at the end: the cubic is upside down.": 1 - 0.9 / 8,
            },
        ),
        _cubic(
            750,
            500,
            1000,
            0.1,
            {
                "Progress is counted from `start`: (t - start) / (until - start).": 0.1
                + 0.9 / 4**3,
                "Divide by until - start; divided by `until` it never arrives.": 0.1
                + 0.9 * 0.75**3,
            },
        ),
        _cubic(
            100,
            500,
            1000,
            0.1,
            {"Before `start` progress is negative; hold it at 0.": 0.1 + 0.9 * 1.8**3},
        ),
        _cubic(
            1500,
            500,
            1000,
            0.1,
            {"After `until` the cubic goes on, below `final`; hold progress at 1.": 0.1 - 0.9},
        ),
    ),
)

# --- 2: one ranking of all layers ---------------------------------------------------------------


def _network(seed: int, scales: Sequence[float] = (1.0, 0.3, 2.0)) -> list[Tensor]:
    g = torch.Generator().manual_seed(seed)
    shapes = ((6, 5), (8, 6), (3, 8))
    return [s * torch.randn(shape, generator=g) for s, shape in zip(scales, shapes, strict=True)]


def _masks(given: Any, weights: list[Tensor]) -> str:
    if given is None or given is ...:
        return NOTHING
    if not isinstance(given, (list, tuple)) or len(given) != len(weights):
        return f"Return a list of {len(weights)} masks, one for each layer."
    for mask, w in zip(given, weights, strict=True):
        if not isinstance(mask, Tensor) or mask.shape != w.shape:
            return f"A layer of shape {tuple(w.shape)} needs a mask of that shape."
        if not ((mask == 0) | (mask == 1)).all():
            return "A mask has zeros and ones only: return masks, not weights."
    return ""


def _chosen(scores: list[Tensor], density: float, keep: sparse.pruning.Keep) -> list[Tensor]:
    named = {str(i): score for i, score in enumerate(scores)}
    ones = {name: torch.ones_like(score) for name, score in named.items()}
    return list(keep(named, ones, density).values())


def _same(given: Sequence[Tensor], masks: Sequence[Tensor]) -> bool:
    return all(g.bool().equal(m) for g, m in zip(given, masks, strict=True))


def _miscounted(count: int, exact: float) -> str:
    if count == floor(exact) - 1:
        return "A comparison with > leaves out the weight at the threshold: count instead."
    if count in (floor(exact), ceil(exact)):
        return f"{exact:.1f} is rounded to the nearest whole number, neither down nor up."
    return "A comparison with a threshold takes or leaves all weights that tie: count instead."


def _prunes(name: str, weights: list[Tensor], density: float) -> Case:
    total = sum(w.numel() for w in weights)
    wanted = round(density * total)
    right = _chosen([w.abs() for w in weights], density, sparse.keep_globally)
    mistakes = {
        "Each layer by itself. Rank the weights of all layers together.": _chosen(
            [w.abs() for w in weights], density, sparse.keep_per_layer
        ),
        "It ranks with the sign. A large negative weight is a large weight: use |w|.": _chosen(
            weights, density, sparse.keep_globally
        ),
        "It keeps the smallest; they are the ones to go.": _chosen(
            [-w.abs() for w in weights], density, sparse.keep_globally
        ),
    }

    def test(answer: Answer) -> str:
        inputs = [w.clone() for w in weights]
        given = answer(inputs, density)
        problem = _masks(given, weights)
        if problem:
            return problem
        if not all(a.equal(b) for a, b in zip(inputs, weights, strict=True)):
            return "It changed the weights. Return masks; pruning with them comes after."
        for hint, wrong in mistakes.items():
            if _same(given, wrong) and not _same(wrong, right):
                return hint
        count = int(sum(mask.sum() for mask in given))
        if count == total - wanted:
            return f"{count} ones: that is what should go. A mask is 1 where a weight stays."
        if count != wanted:
            return f"{count} ones of {total}, not {wanted}. {_miscounted(count, density * total)}"
        flat = torch.cat([w.abs().flatten() for w in weights])
        on = torch.cat([mask.bool().flatten() for mask in given])
        kept, gone = float(flat[on].min()), float(flat[~on].max())
        if gone > kept:
            return (
                f"A weight of size {gone:.3f} went while one of {kept:.3f} stayed. Compare the "
                "sizes as they are, all layers in one ranking."
            )
        return ""

    return Case(name, test)


prune_globally = Exercise(
    name="ch02.prune_globally",
    task="`prune_globally(weights, density)`: `weights` is a list of tensors, one a layer. Return "
    "a list of bool masks that keep the largest |w| of all layers together, exactly "
    "round(density × N) of them.",
    minutes=15,
    difficulty=2,
    clues=(
        "Lay all layers end to end: `torch.cat([w.abs().flatten() for w in weights])`.",
        "`topk` gives the positions of the largest. A mask of that length, then `split` it by the "
        "layers' sizes and `view` each part as its layer.",
        "`kept = zeros(N, bool); kept[sizes.topk(round(density * N)).indices] = True`",
    ),
    cases=(
        _prunes("three layers of different scale", _network(1), 0.15),  # 15.3 weights
        _prunes("another density", _network(0), 0.4),  # 40.8
        _prunes("a layer that is emptied", _network(2, (1.0, 1e-4, 1.0)), 0.2),
        _prunes("ties", [w.mul(2).round() for w in _network(3)], 0.3),
    ),
)

# --- 3: what gradual pruning costs --------------------------------------------------------------


def _share(steps: int, start: int, until: int, final: float) -> Case:
    at = [sparse.cubic_density(t, start, until, final) for t in range(steps)]
    ramp = at[start:until]
    return _number(
        f"steps={steps}, start={start}, until={until}, final={final}",
        (steps, start, until, final),
        sum(at) / steps,
        {
            "That is the final network's cost. Most of training is denser.": final,
            "The mean of first and last is right for a straight line only.": (1 + final) / 2,
            "That is the mean over the ramp. Before it the network is dense, after it final.": sum(
                ramp
            )
            / len(ramp),
            "That is the sum; divide by the number of steps.": sum(at),
            "The steps after `until` count too.": sum(at[:until]) / until,
            "That is what is saved; the cost is the rest.": 1 - sum(at) / steps,
        },
    )


training_share = Exercise(
    name="ch02.training_share",
    task="`training_share(steps, start, until, final)`: FLOPs of gradual pruning over those of "
    "dense training, both `steps` steps long (t = 0, 1, ..., steps - 1). The density follows the "
    "cubic at every step, and a step's FLOPs are in proportion to it.",
    minutes=10,
    difficulty=2,
    clues=(
        "The cost of training is 3 E[f_S], the mean over the steps. What is f_S at step t?",
        "f_S(t) = d(t) f_D, so the share is the mean of d(t) over all steps.",
        "`sum(cubic_density(t, start, until, final) for t in range(steps)) / steps`, with your "
        "answer to exercise 1.",
    ),
    cases=(
        _share(1000, 200, 800, 0.1),
        _share(1000, 0, 1000, 0.1),
        _share(500, 100, 200, 0.5),
    ),
)
