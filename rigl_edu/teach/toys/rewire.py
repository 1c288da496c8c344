"""Drop and grow on one layer, step by step."""

from __future__ import annotations

from torch import Tensor

from ...sparse import drop, drop_count, grow
from ..html import Html
from ..layers import ExampleLayer, places
from .card import card, flat


def rewire(layer: ExampleLayer, fraction: float = 0.3) -> Html:
    """Drop and grow on one layer by SET, SNFS and RigL, step by step.

    Args:
        layer: what to rewire; best `six_by_six()`.
        fraction: share of the active weights to rewire, where the reader starts: one of 0.1, 0.2,
            ... 0.9.

    Raises:
        ValueError: for a fraction that the toy's slider does not have.
    """
    if round(10 * fraction) not in range(1, 10) or abs(10 * fraction - round(10 * fraction)) > 1e-9:
        raise ValueError(f"fraction is {fraction}; the slider has 0.1, 0.2, ... 0.9")
    rows, columns = layer.weight.shape
    mask = layer.mask.bool()
    active = int(mask.count_nonzero())
    k = drop_count(fraction, active)
    kept = drop(layer.weight.abs(), mask, k)

    def choice(scores: Tensor) -> str:
        return places(grow(scores.abs(), kept, k) & ~kept)

    plain = (
        f"Here you would choose a rule, press drop and then grow, and see what a layer of {rows} × "
        f"{columns} keeps. {active} of its {mask.numel()} weights are active. At fraction "
        f"{fraction} each rule drops the {k} with the smallest |w|, at {places(mask & ~kept)}, and "
        f"then grows {k} of the empty positions: "
        f"SET at random, at {choice(layer.random)}; "
        f"SNFS by |momentum|, at {choice(layer.momentum)}; "
        f"RigL by |gradient|, at {choice(layer.gradient)}. "
        "(Row, column), counted from 0."
    )
    numbers = {
        "columns": columns,
        "weight": flat(layer.weight),
        "mask": [int(on) for on in mask.flatten().tolist()],
        "gradient": flat(layer.gradient),
        "momentum": flat(layer.momentum),
        "random": flat(layer.random),
    }
    label = f"Drop and grow on a {rows} by {columns} layer"
    return card("rewire", label, {"layer": numbers, "fraction": fraction}, plain)
