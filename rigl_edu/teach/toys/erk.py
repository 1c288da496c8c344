"""ER and ERK with the overflow rule, round by round."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from ...sparse import erk as erk_densities
from ...sparse.distributions import Shapes
from ..html import Html
from .card import card


def erk(networks: Mapping[str, Shapes], density: float = 0.44) -> Html:
    """Share a budget among layers: solve for epsilon, let full layers become dense, solve again.

    Args:
        networks: name -> layer name -> shape of its weight; the reader starts with the first.
        density: where the reader starts: one of 0.02, 0.04, ... 1.

    Raises:
        ValueError: for a density that the toy's slider does not have, or no network.
    """
    if not networks:
        raise ValueError("the toy needs a network")
    if round(50 * density) not in range(1, 51) or abs(50 * density - round(50 * density)) > 1e-9:
        raise ValueError(f"density is {density}; the slider has 0.02, 0.04, ... 1")
    name, shapes = next(iter(networks.items()))
    sizes = {layer: prod(shape) for layer, shape in shapes.items()}
    result = erk_densities(shapes, density)
    layers = ", ".join(
        f"{layer} {result[layer] * size:.2f} of {size}" for layer, size in sizes.items()
    )
    full = [layer for layer in sizes if result[layer] == 1]
    budget = density * sum(sizes.values())
    plain = (
        f"Here you would choose a network and a density, and share the weights among its layers "
        f"round by round. {name} at density {density:.2f} may keep {budget:.2f} of "
        f"{sum(sizes.values())} weights. In each round every layer that is not full gets epsilon "
        f"times the sum of its shape; a layer that would exceed its size becomes dense, and the "
        f"rest is shared again. At the end: {layers}. Dense: {', '.join(full) or 'none'}."
    )
    numbers = {
        "networks": {
            network: [{"name": layer, "shape": list(shape)} for layer, shape in layers_.items()]
            for network, layers_ in networks.items()
        },
        "density": density,
    }
    return card("erk", "One budget, several layers", numbers, plain)
