"""The angle between two solutions: weights of all masked layers as one vector.

Retrained from the same start, does a pruned network come back to the solution it was pruned from?
The distance between the weights mixes up length and direction; the angle asks for the direction
alone. Two unrelated vectors of many entries are close to a right angle.

A solution is its full weights by layer name (`masked_weights`); a mask says which part to look at.

Source: Maene, Li & Moens (2021), "Towards Understanding Iterative Magnitude Pruning", angular
distance between pruning rounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import atan2, pi

import torch
from torch import Tensor, nn

from .layers import masked_layers

Weights = Mapping[str, Tensor]  # layer name -> its weight
Masks = Mapping[str, Tensor]  # layer name -> its mask, the weight's shape, zeros and ones


def masked_weights(model: nn.Module) -> dict[str, Tensor]:
    """A copy of every masked layer's weight by name, which training on does not change."""
    return {name: m.weight.detach().clone() for name, m in masked_layers(model).items()}


def as_vector(weights: Weights, masks: Masks) -> Tensor:
    """The masked layers' weights, one after the other, 0 off the masks.

    Args:
        weights: by name, at least the layers that `masks` names.
        masks: by name, the weights' shapes; they give the layers' order.

    Returns:
        (N,), where N counts all positions, active or not; differentiable in the weights.

    Raises:
        ValueError: if a layer is missing or its shape is not the mask's.
    """
    missing = [name for name in masks if name not in weights]
    if missing or not masks:
        raise ValueError(f"masks name layers {list(masks)}; weights are missing for {missing}")
    for name, mask in masks.items():
        if weights[name].shape != mask.shape:
            raise ValueError(
                f"layer {name!r} has a weight of shape {tuple(weights[name].shape)} and a mask "
                f"of shape {tuple(mask.shape)}"
            )
    return torch.cat([(weights[name] * mask).flatten() for name, mask in masks.items()])  # (N,)


def angular_distance(first: Weights, second: Weights, masks: Masks) -> float:
    """(2 / pi) * angle between two weight vectors, both restricted to the masks.

    0 for one direction, 1 for a right angle, 2 for opposite directions.

    Args:
        first: weights by layer name.
        second: the same layers' in another network.
        masks: the positions that both have. Of two successive pruning rounds these are the later
            one's masks; of any two networks, the products of their masks.

    Raises:
        ValueError: if the layers do not fit, or a vector is 0 on the masks and has no direction.
    """
    # Few numbers come out, so the exact way is affordable: on the CPU, in float64.
    a, b = (as_vector(weights, masks).detach().cpu().double() for weights in (first, second))
    if not a.any() or not b.any():
        raise ValueError("one of the two weight vectors is 0 at every position of the masks")
    a, b = a / a.norm(), b / b.norm()
    # Two unit vectors span a rhombus with the diagonals 2 sin(angle / 2) and 2 cos(angle / 2).
    # arccos(a . b) is the same angle, but near 0 and pi its slope is infinite: a rounding of 1e-16
    # in the product becomes an angle of 1e-8, and a product of 1 + 1e-16 has none.
    return 2 / pi * 2 * atan2(float((a - b).norm()), float((a + b).norm()))
