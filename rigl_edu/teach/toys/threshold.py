"""Magnitude pruning of one layer: a threshold that moves over the sorted |w|."""

from __future__ import annotations

import torch

from ...sparse import keep_globally
from ..html import Html
from ..layers import ExampleLayer, places
from .card import card, flat


def threshold(layer: ExampleLayer, removed: int = 3) -> Html:
    """The active weights of a layer in order of |w|; the reader moves the threshold.

    Args:
        layer: whose active weights to prune; best `six_by_six()`.
        removed: how many of them are gone where the reader starts.

    Raises:
        ValueError: for a number that would leave no weight, or of weights that are not there.
    """
    rows, columns = layer.weight.shape
    mask = layer.mask.bool()
    active, size = int(mask.count_nonzero()), mask.numel()
    if not 0 <= removed < active:
        raise ValueError(f"removed is {removed}; it must be from 0 to {active - 1}")
    left = active - removed
    kept = keep_globally({"": layer.weight.abs()}, {"": mask}, left / size)[""]
    by_size = layer.weight[mask].abs().sort().values
    below = float(by_size[removed - 1]) if removed else 0.0
    gone = f"at {places(mask & ~kept)}, " if removed else ""
    plain = (
        f"Here you would move a threshold over the {active} weights of a layer of {rows} × "
        f"{columns}, sorted by |w|, and see what stays. With {removed} removed, {gone}"
        f"{left} of {size} positions hold a weight: density {left / size:.2f}. "
        f"The threshold then lies between |w| = {below:.2f} and {by_size[removed]:.2f}. "
        f"The sum of w² of what stays is {_energy(layer, kept):.0%} of the whole. "
        "(Row, column), counted from 0."
    )
    numbers = {
        "columns": columns,
        "weight": flat(layer.weight),
        "mask": [int(on) for on in mask.flatten().tolist()],
    }
    label = f"A pruning threshold on a {rows} by {columns} layer"
    return card("threshold", label, {"layer": numbers, "removed": removed}, plain)


def _energy(layer: ExampleLayer, kept: torch.Tensor) -> float:
    """Share of the sum of squares that the kept weights hold."""
    squares = layer.weight.double().square()
    return float((squares * kept).sum() / (squares * layer.mask).sum())
