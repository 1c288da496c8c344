"""How sparse a network is: layer by layer, and in one number.

What counts is the mask, not the zeros among the weights; layers without a mask count as dense.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from torch import nn

from .compressed import Compressed
from .layers import Masked


class LayerRow(NamedTuple):
    """One line of `layer_table`."""

    name: str
    shape: tuple[int, ...]
    active: int
    total: int
    density: float


def layer_table(model: nn.Module) -> list[LayerRow]:
    """Every linear and convolutional layer: name, weight shape, active and total weights, density.

    An unmasked layer counts as dense. The ones of the *mask* are counted: an active weight may be
    exactly 0, as each one is at the moment it is grown.
    """
    rows = []
    for name, layer in model.named_modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d, Compressed)):
            if isinstance(layer, (Masked, Compressed)):
                shape, active = layer.weight_shape, layer.active
            else:
                shape, active = tuple(layer.weight.shape), layer.weight.numel()
            total = prod(shape)
            rows.append(LayerRow(name, shape, active, total, active / total))
    return rows


def density(model: nn.Module) -> float:
    """Active weights over all weights of the linear and convolutional layers.

    Raises:
        ValueError: if the model has no such layer.
    """
    rows = layer_table(model)
    if not rows:
        raise ValueError(f"{type(model).__name__} has no Linear or Conv2d layer")
    return sum(row.active for row in rows) / sum(row.total for row in rows)
