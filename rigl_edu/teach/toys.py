"""Toys: small machines that run inside the published page, with no kernel behind them.

A toy is an HTML card with its numbers inlined and a few kilobytes of plain JavaScript: `toy.js`
has the parts (radio buttons, slider, buttons, grid of tiles), one more file has the algorithm.
The card's HTML says in words what the toy shows, for whoever reads without JavaScript; the words
are computed by `rigl_edu.sparse`, the tiles by the JavaScript, and a test holds the two equal.
"""

from __future__ import annotations

import json
from html import escape
from importlib.resources import files

import torch
from torch import Tensor

from ..sparse import drop, drop_count, grow
from .html import Html, inline
from .layers import ExampleLayer, places


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


def card(name: str, label: str, numbers: dict[str, object], plain: str) -> Html:
    """A toy: its card, its numbers, its words for the time without JavaScript, its script.

    Args:
        name: of the JavaScript file that mounts it.
        label: what a screen reader calls it.
        numbers: what the JavaScript gets, as JSON.
        plain: what it would show.
    """
    # data-lm-suppress-shortcuts: else JupyterLab takes the arrow and Enter keys for itself.
    return Html(
        f"<style>{source('toy.css')}</style>\n"
        f'<div class="rigl-toy" data-toy="{name}" data-label="{escape(label)}" '
        f'data-lm-suppress-shortcuts="true" '
        f'data-numbers="{escape(json.dumps(numbers, separators=(",", ":")))}">'
        f"<p><strong>{escape(label)}.</strong> <noscript>JavaScript is off, so the buttons are "
        f"missing. </noscript>{inline(plain)}</p></div>\n"
        f"<script>(() => {{\n{source('toy.js')}{source(name + '.js')}}})();</script>",
        f"{label}. {plain}",
    )


def source(name: str) -> str:
    """A file of this folder, without its comment lines and indentation."""
    lines = files(__package__).joinpath(name).read_text(encoding="utf-8").splitlines()
    code = [line.strip() for line in lines]
    return "".join(f"{line}\n" for line in code if line and not line.startswith("//"))


def flat(values: Tensor) -> list[float]:
    """Row by row, each with as few decimals as name the number: 0.82, not 0.8199999928474426.

    Different float32 numbers keep different names in the same order, so no rank changes.
    """
    if values.dtype == torch.float32:
        return [float(str(value)) for value in values.flatten().numpy()]
    return values.flatten().tolist()
