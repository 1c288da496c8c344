"""What to drop, what to grow, and which layer to give more.

A criterion looks at one layer and scores it: a tensor, one score a weight, for dropping (the
lowest go) and growing (the highest come); one number for redistribution (the higher gets more).
Any function of a `Layer` will do. A new method is a new function here and one line in `methods`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import floor
from typing import NamedTuple

import torch
from torch import Tensor


def _unchanged(kept: Tensor) -> Tensor:
    return kept


class Layer(NamedTuple):
    """What a criterion may look at: one masked layer at the moment of a rewiring.

    Besides the fields there is `optimizer_momentum`, the optimizer's own in the weight's shape.
    """

    name: str
    weight: Tensor  # zero off the mask
    mask: Tensor  # bool, weight's shape, as it was before this rewiring
    gradient: Tensor | None  # dense: positions off the mask too; None if the rule needs none
    momentum: Tensor | None  # the rule's own dense moving average, if it keeps one
    generator: torch.Generator  # on the CPU, the same on every DDP rank
    listed_momentum: Tensor | None = None  # the optimizer's own, of the parameter's shape
    spread: Callable[[Tensor], Tensor] = _unchanged  # from the parameter's shape to the weight's

    @property
    def optimizer_momentum(self) -> Tensor | None:
        """The optimizer's own, zero off the mask; None before its first step or if it keeps none.

        Of a compressed layer it is made at each call: few criteria look at it, and a tensor of the
        weight's shape costs more time there than a training step on that layer.
        """
        return None if self.listed_momentum is None else self.spread(self.listed_momentum)


def magnitude(layer: Layer) -> Tensor:
    """|w|. All methods here drop by it: a weight near 0 is missed least."""
    return layer.weight.abs()


def random(layer: Layer) -> Tensor:
    """Uniform random numbers. SET grows by it (Mocanu et al. 2018, algorithm 1)."""
    # Drawn on the CPU so that every device, and every process of a DDP run, draws the same.
    scores = torch.rand(layer.weight.shape, generator=layer.generator, device="cpu")
    return scores.to(layer.weight.device)


def gradient(layer: Layer) -> Tensor:
    """|dL/dw|, dense. RigL grows by it (Evci et al. 2020, section 3 (4)).

    To first order, a step on the weight with the largest one lowers the loss most.
    """
    return _gradient_of(layer).abs()


def momentum(layer: Layer) -> Tensor:
    """|moving average of the dense gradient|. SNFS grows by it (Dettmers & Zettlemoyer 2019)."""
    return _momentum_of(layer).abs()


def mean_momentum(layer: Layer) -> float:
    """Mean |momentum| over the active weights: SNFS's claim of a layer to new weights."""
    return _mean_of_active(_momentum_of(layer), layer.mask)


def mean_optimizer_momentum(layer: Layer) -> float:
    """Mean |the optimizer's momentum| over the active weights. RigL-SM redistributes by it.

    Sundar & Dwaraknath (2021), section 6.2: the momentum there is zero off the mask, as ours is.

    Raises:
        ValueError: if the optimizer keeps no momentum of the weights.
    """
    own = layer.optimizer_momentum
    if own is None:
        raise ValueError(
            f"the optimizer keeps no momentum of layer {layer.name!r}; use SGD with momentum, or "
            "Adam, and take an optimizer step before the first rewiring"
        )
    return _mean_of_active(own, layer.mask)


def mean_gradient(layer: Layer) -> float:
    """Mean |dL/dw| over the active weights. RigL-SG redistributes by it (same source)."""
    return _mean_of_active(_gradient_of(layer), layer.mask)


def mean_magnitude(layer: Layer) -> float:
    """Mean |w| over the active weights: a choice SNFS's authors compared (their section 5)."""
    return _mean_of_active(layer.weight, layer.mask)


def nonzeros(layer: Layer) -> float:
    """Number of active weights: each layer gets about as many as it had (SNFS's code)."""
    return float(layer.mask.count_nonzero())


# A rule whose criteria are all among these needs no gradient.
WITHOUT_GRADIENT = {magnitude, random, mean_magnitude, nonzeros}


def share(scores: list[float], budget: int, capacity: list[int]) -> list[int]:
    """Divide `budget` weights among layers in proportion to their scores, exactly.

    No layer gets more than its capacity; what a full layer cannot take goes to the others, again
    in proportion to their scores. Whole numbers by largest remainder. The proportional split is
    SNFS's (Dettmers & Zettlemoyer 2019, section 3); filling up full layers this way, so that the
    total is exact at once, is ours: the public codes repeat an equal split of the excess and
    correct the rest at later updates.

    Args:
        scores: one a layer, at least 0; all equal shares where every score is 0.
        budget: how many weights to hand out, at most the sum of capacities.
        capacity: how many each layer can take.
    """
    if not 0 <= budget <= sum(capacity):
        raise ValueError(f"budget {budget} does not fit: capacities add up to {sum(capacity)}")
    if not all(0 <= score < float("inf") for score in scores):
        raise ValueError(f"redistribution scores are {scores}; each must be finite and at least 0")
    exact = [0.0] * len(scores)
    open_layers = [i for i, room in enumerate(capacity) if room > 0]
    left = float(budget)
    while open_layers:
        total = sum(scores[i] for i in open_layers)
        # All scores 0: nothing speaks for one layer over another.
        claims = {i: scores[i] / total if total > 0 else 1 / len(open_layers) for i in open_layers}
        full = [i for i in open_layers if left * claims[i] >= capacity[i]]
        if not full:
            for i in open_layers:
                exact[i] = left * claims[i]
            break
        for i in full:
            exact[i] = capacity[i]
            left -= capacity[i]
        open_layers = [i for i in open_layers if i not in full]
    counts = [floor(x + 1e-9) for x in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: counts[i] - exact[i])
    with_room = [i for i in by_remainder if counts[i] < capacity[i]]
    for i in with_room[: budget - sum(counts)]:
        counts[i] += 1
    return counts


def _mean_of_active(values: Tensor, mask: Tensor) -> float:
    # The sum over all would be wrong for a dense tensor; an emptied layer has no claim.
    return float(values[mask].abs().mean()) if mask.any() else 0.0


def _gradient_of(layer: Layer) -> Tensor:
    if layer.gradient is None:
        raise ValueError("this criterion needs a rule with needs_gradient = True")
    return layer.gradient


def _momentum_of(layer: Layer) -> Tensor:
    if layer.momentum is None:
        raise ValueError(
            "this criterion needs a rule with a dense momentum: dense_momentum=0.9, and a step "
            "before the first rewiring"
        )
    return layer.momentum
