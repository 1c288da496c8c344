"""Uniform and ERK masks at equal weights or at equal FLOPs, for WRN-22-2."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import nn

from ...lab.models import wide_resnet
from ...sparse import active_counts, erk, uniform
from ..html import Html
from .card import card

BUDGETS = ("equal weights", "equal FLOPs")


class LayerSize(NamedTuple):
    """What the count of a layer's FLOPs needs."""

    shape: tuple[int, ...]
    positions: int  # of the output image: how often each weight is used in a forward pass
    extra: int  # FLOPs besides: one for each input of a linear layer


@cache
def wrn_sizes() -> dict[str, LayerSize]:
    """The layers of WRN-22-2 on 32 x 32 images, by name."""
    model, found = wide_resnet(22, 2, num_classes=10), {}

    def watch(name: str, layer: Any) -> None:
        def note(_: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            linear = isinstance(layer, nn.Linear)
            positions = output.numel() // layer.weight.shape[0]
            extra = layer.in_features if linear else 0
            found[name] = LayerSize(tuple(layer.weight.shape), positions, extra)

        layer.register_forward_hook(note)

    for name, layer in model.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            watch(name, layer)
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, 32, 32))
    order = [n for n, m in model.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    return {name: found[name] for name in order}


def flops_of(sizes: Mapping[str, LayerSize], weights: Mapping[str, float]) -> float:
    """FLOPs of one forward pass with so many weights in each layer."""
    return sum(2 * weights[n] * size.positions + size.extra for n, size in sizes.items())


def erk_density(density: float, budget: str) -> float:
    """The ERK density with as many weights, or as many FLOPs, as uniform masks of a density.

    Found by bisection, on weights that are not yet rounded.

    Raises:
        ValueError: for an unknown budget.
    """
    if budget not in BUDGETS:
        raise ValueError(f"budget is {budget!r}; known are {', '.join(BUDGETS)}")
    sizes = wrn_sizes()
    shapes = {name: size.shape for name, size in sizes.items()}
    numel = {name: torch.Size(shape).numel() for name, shape in shapes.items()}

    def spent(densities: Mapping[str, float]) -> float:
        weights = {name: d * numel[name] for name, d in densities.items()}
        return sum(weights.values()) if budget == BUDGETS[0] else flops_of(sizes, weights)

    wanted, low, high = spent(uniform(shapes, density)), 0.001, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        if spent(erk(shapes, middle)) < wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def equal_budget(density: float = 0.1) -> Html:
    """Which ERK masks spend what uniform masks spend, of weights or of FLOPs.

    Args:
        density: of the uniform masks, where the reader starts: 0.02, 0.03, ... 0.5.

    Raises:
        ValueError: for a density that the slider does not have.
    """
    if not 0.02 <= density <= 0.5 or abs(100 * density - round(100 * density)) > 1e-9:
        raise ValueError(f"density is {density}; the slider has 0.02, 0.03, ... 0.5")
    sizes = wrn_sizes()
    shapes = {name: size.shape for name, size in sizes.items()}
    full = flops_of(sizes, {name: torch.Size(shape).numel() for name, shape in shapes.items()})

    def said(name: str, densities: Mapping[str, float]) -> str:
        counts = active_counts(shapes, densities)
        share = flops_of(sizes, {n: float(count) for n, count in counts.items()}) / full
        return f"{name}: {sum(counts.values()):,} weights, {share:.3f} of the dense FLOPs"

    pairs = "; ".join(
        said(f"ERK at {budget}, density {erk_density(density, budget):.4f}", erk(shapes, d))
        for budget in BUDGETS
        for d in [erk_density(density, budget)]
    )
    plain = (
        "Here you would choose a density and a budget, and see how uniform and ERK masks spend it "
        f"in WRN-22-2. {said(f'Uniform masks, density {density:.2f}', uniform(shapes, density))}; "
        f"{pairs}."
    )
    numbers = {
        "layers": [[name, list(s.shape), s.positions, s.extra] for name, s in sizes.items()],
        "density": density,
    }
    return card("equal_budget", "Equal weights or equal FLOPs", numbers, plain)
