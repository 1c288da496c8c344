"""What a mask costs: its weights, FLOPs and bytes move with it, the measured seconds do not."""

from __future__ import annotations

import json

import torch
from torch import Tensor

from ...lab.records import published_results
from ...sparse import MaskedLinear, forward_flops, grow
from ..cost import BENCHMARK
from ..html import Html
from ..layers import ExampleLayer, places
from .card import card, flat


def mask_cost(layer: ExampleLayer, active: int = 12) -> Html:
    """A mask with as many ones as the reader likes, what it costs, and what was measured.

    The ones stand where the layer's random numbers are largest.

    Args:
        layer: whose shape and random numbers to use; best `six_by_six()`.
        active: number of ones, where the reader starts.

    Raises:
        ValueError: for a number of ones that the layer cannot have.
    """
    rows, columns = layer.mask.shape
    size = rows * columns
    if not 1 <= active <= size:
        raise ValueError(f"active is {active}; it must be from 1 to {size}")
    mask = grow(layer.random, torch.zeros_like(layer.mask), active)
    masked = MaskedLinear(columns, rows, bias=False)
    dense_flops = forward_flops(masked, (columns,))
    masked.set_mask(mask)
    steps = {
        name: {rule: times[rule]["ms"] for rule in ("dense", "Static")}
        for name, times in json.loads((published_results() / BENCHMARK).read_text())["step"].items()
    }
    measured = ", and ".join(
        f"{ms['Static']:.0f} ms with the mask against {ms['dense']:.0f} ms without for {name}"
        for name, ms in steps.items()
    )
    plain = (
        f"Here you would move the number of weights of a layer of {rows} × {columns} and watch "
        f"what it costs. With {active} of {size} weights the mask is on at {places(mask)}. "
        f"A forward pass takes {forward_flops(masked, (columns,))} FLOPs; dense takes "
        f"{dense_flops}. The weights take {4 * size} bytes if all are stored and "
        f"{csr_bytes(mask, index=4)} bytes as CSR with indices of 4 bytes. The seconds of a "
        f"training step were measured, once, at density 0.1: {measured}."
    )
    numbers = {"rows": rows, "columns": columns, "random": flat(layer.random)}
    label = f"What a mask on a {rows} by {columns} layer costs"
    return card("mask_cost", label, {"layer": numbers, "active": active, "steps": steps}, plain)


def csr_bytes(mask: Tensor, index: int) -> int:
    """Bytes of a layer with this mask as compressed rows of float32 values.

    Args:
        mask: shape (rows, columns).
        index: bytes of one index.
    """
    active = int(mask.count_nonzero())
    return active * (4 + index) + (len(mask) + 1) * index  # values, columns; starts of rows
