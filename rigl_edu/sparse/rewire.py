"""One rewiring, decided: which positions every layer keeps, and which it has afterwards.

Nothing is changed here. `UpdateRule` carries the decision out, so that an error on the way leaves
the network as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from . import masks
from .criteria import Layer, share
from .schedule import drop_count

Criterion = Callable[[Layer], Tensor]  # a score for every weight
LayerScore = Callable[[Layer], float]  # a score for the layer


class NewMask(NamedTuple):
    """The decision for one layer, as bool masks of the weight's shape."""

    kept: Tensor  # what is left after dropping
    after: Tensor  # and after growing


class LayerUpdate(NamedTuple):
    """What one rewiring did to one layer, in numbers of weights."""

    name: str
    dropped: int
    grown: int
    regrown: int  # of the grown ones, how many had been dropped a moment before


def decide(
    layers: list[Layer],
    fraction: float,
    drop: Criterion,
    grow: Criterion,
    redistribute: LayerScore | None = None,
) -> list[NewMask]:
    """Drop floor(fraction * active) weights in each layer and grow as many in total.

    Args:
        layers: what the criteria may see, one entry a layer.
        fraction: f(t), the share of active weights to rewire now.
        drop: the lowest scores go.
        grow: the highest scores come, among all positions not kept, so a weight dropped a moment
            ago may come back. As many as were dropped in this layer, unless
            there is a `redistribute`.
        redistribute: scores layers; all weights dropped anywhere are shared in proportion.
    """
    counts = [drop_count(fraction, int(layer.mask.count_nonzero())) for layer in layers]
    kept = [masks.drop(drop(layer), layer.mask, k) for layer, k in zip(layers, counts, strict=True)]
    if redistribute is not None:
        room = [int((~mask).count_nonzero()) for mask in kept]
        counts = share([redistribute(layer) for layer in layers], sum(counts), room)
    return [
        NewMask(mask, masks.grow(grow(layer), mask, k))
        for layer, mask, k in zip(layers, kept, counts, strict=True)
    ]


def summarise(layer: Layer, new: NewMask) -> LayerUpdate:
    """Count what `decide` did to a layer."""
    # What is kept was there before and is there after.
    both = layer.mask & new.after
    kept, before, after, stayed = (
        int(mask.count_nonzero()) for mask in (new.kept, layer.mask, new.after, both)
    )
    return LayerUpdate(layer.name, before - kept, after - kept, stayed - kept)
