"""DSR: one threshold for the whole network decides what goes, and it adapts.

Dynamic sparse reparameterization (Mostafa & Wang 2019). The other methods drop a set share of
each layer. DSR drops every weight whose magnitude is below one threshold H, wherever it is, so a
layer of small weights loses more. What was dropped is grown at random, shared among the layers in
proportion to the weights they have left: layers that keep their weights gain more. H itself is
steered so that about `target` weights move at each rewiring.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from . import masks as moves
from .criteria import Layer, magnitude, random, share
from .rewire import NewMask
from .rule import Rule


def decide_dsr(layers: list[Layer], threshold: float) -> list[NewMask]:
    """Drop all |w| < threshold, grow as many at random where nothing was a moment ago.

    Two limits are ours: a layer keeps its largest weight, as one without any could never grow
    again; and no more is dropped than there are free positions to grow, the larger weights stay.

    Args:
        layers: what the method sees, one entry a layer.
        threshold: H, in the unit of the weights.
    """
    active = [int(layer.mask.count_nonzero()) for layer in layers]
    room = [layer.mask.numel() - n for layer, n in zip(layers, active, strict=True)]
    kept = [layer.mask & (magnitude(layer) >= threshold) for layer in layers]
    if sum(active) - sum(int(mask.count_nonzero()) for mask in kept) > sum(room):
        kept = _without_smallest(layers, sum(room))
    kept = [
        mask if mask.any() else _largest(layer) for mask, layer in zip(kept, layers, strict=True)
    ]
    left = [int(mask.count_nonzero()) for mask in kept]
    counts = share([float(n) for n in left], sum(active) - sum(left), room)
    return [
        # Grown from the mask as it was: a weight just dropped may not come back at once.
        NewMask(mask, mask | (moves.grow(random(layer), layer.mask, n) & ~layer.mask))
        for layer, mask, n in zip(layers, kept, counts, strict=True)
    ]


def next_threshold(threshold: float, dropped: int, target: int) -> float:
    """H for the next rewiring: halved above 1.1 times the target, doubled below 0.9 times it."""
    if dropped > 1.1 * target:
        return threshold / 2
    if dropped < 0.9 * target:
        return threshold * 2
    return threshold


class DSR(Rule):
    """Dynamic sparse reparameterization (Mostafa & Wang 2019).

    Args:
        model: a model that `sparsify` has masked.
        optimizer: its optimizer.
        target: how many weights to rewire each time, in all layers together. None: a tenth of
            the active ones (ours; the paper has 20 000 for WRN-28-2, 14 % of them at density 0.1).
        threshold: H at the start, in the unit of the weights.
        every: steps between rewirings. The paper's code lengthens it from 100 to 800.
        until: from this step on the masks stay.
        seed: of the random growth.

    Raises:
        ValueError: for a target that is not positive or not below the number of active weights, a
            threshold that is not positive, and as `Rule`.
    """

    needs_gradient = False

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        target: int | None = None,
        threshold: float = 1e-3,
        every: int = 100,
        until: int,
        seed: int = 0,
    ) -> None:
        if target is not None and target < 1:
            raise ValueError(f"target is {target}; it must be at least 1")
        if not 0 < threshold < float("inf"):
            raise ValueError(f"threshold is {threshold}; it must be above 0 and finite")
        super().__init__(model, optimizer, every=every, until=until, seed=seed)
        active = sum(layer.active for layer in self.layers.values())
        if target is not None and target >= active:
            raise ValueError(f"target is {target}; it must be below the {active} active weights")
        self.target = max(1, active // 10) if target is None else target
        self.threshold = threshold

    def decide(self, layers: list[Layer]) -> list[NewMask]:
        """As `decide_dsr`, with this rule's threshold."""
        return decide_dsr(layers, self.threshold)

    def _rewire(self) -> None:
        super()._rewire()
        assert self.last_update is not None
        dropped = sum(update.dropped for update in self.last_update)
        self.threshold = next_threshold(self.threshold, dropped, self.target)

    def state_dict(self) -> dict[str, Any]:
        """As every rule's, with the threshold."""
        return super().state_dict() | {"threshold": self.threshold}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        if "threshold" not in state:
            raise ValueError(f"state has {sorted(state)}; DSR's must have a threshold too")
        super().load_state_dict({k: v for k, v in state.items() if k != "threshold"})
        self.threshold = float(state["threshold"])


def _without_smallest(layers: list[Layer], k: int) -> list[Tensor]:
    """The masks without the k smallest active weights of all layers together."""
    scores = torch.cat([magnitude(layer).flatten() for layer in layers])  # (N,)
    active = torch.cat([layer.mask.flatten() for layer in layers])  # (N,)
    parts = moves.drop(scores, active, k).split([layer.mask.numel() for layer in layers])
    return [part.view(layer.mask.shape) for part, layer in zip(parts, layers, strict=True)]


def _largest(layer: Layer) -> Tensor:
    """Mask of the one active weight with the largest magnitude."""
    return moves.drop(magnitude(layer), layer.mask, int(layer.mask.count_nonzero()) - 1)
