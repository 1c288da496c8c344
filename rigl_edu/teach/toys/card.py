"""What all toys share on the Python side: the card, its numbers, its words, its script."""

from __future__ import annotations

import json
from html import escape
from importlib.resources import files

import torch
from torch import Tensor

from ..html import Html, inline


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
