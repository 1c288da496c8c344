"""The units of one layer inside a network: weigh them with coefficients, or remove them for good.

A unit is an output neuron of a linear layer or an output channel of a convolution: the *producer*.
The layer that reads the units is the *consumer*. Between the two there may be a norm over channels
and whatever treats each channel by itself and keeps their order: activations, pooling, `Flatten`.
A consumer that is linear reads, after `Flatten`, a block of columns of each channel.

The consumer's output is the sum of what each unit contributes, plus its bias. With coefficients a_i
(`selection`) unit i's contribution counts N a_i times, so a_i = 1/N is the layer as it is. That can
be had in two ways: `gated` multiplies the consumer's inputs by N a_i, which a gradient can follow;
`keep_units` multiplies the consumer's columns instead and removes the units with a_i = 0, which
makes the network smaller.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Units(NamedTuple):
    """Where the units of one layer come from, pass and go to: modules of a network."""

    producer: nn.Linear | nn.Conv2d  # one unit for each output
    norm: nn.BatchNorm1d | nn.BatchNorm2d | None  # over these units, if there is one
    consumer: nn.Linear | nn.Conv2d  # the only layer that reads them

    @property
    def n(self) -> int:
        """How many units there are, N in the formulas."""
        return self.producer.weight.shape[0]


def check_units(units: Units) -> None:
    """Raise a ValueError unless the three fit together and single units can be removed."""
    for role, layer in (("producer", units.producer), ("consumer", units.consumer)):
        # Exactly these two: a mask or a parametrization would have to shrink too.
        if type(layer) not in (nn.Linear, nn.Conv2d):
            raise ValueError(
                f"the {role} is a {type(layer).__name__}; it must be a plain Linear or Conv2d"
            )
        if isinstance(layer, nn.Conv2d) and layer.groups != 1:
            raise ValueError(
                f"the {role} is a convolution with {layer.groups} groups; single channels can "
                "only be removed with 1"
            )
    n, consumer = units.n, units.consumer
    if units.norm is not None and not isinstance(units.norm, (nn.BatchNorm1d, nn.BatchNorm2d)):
        raise ValueError(
            f"the norm is a {type(units.norm).__name__}; it must be a BatchNorm1d, a BatchNorm2d "
            "or None"
        )
    if units.norm is not None and units.norm.num_features != n:
        raise ValueError(f"the norm has {units.norm.num_features} channels for {n} units")
    reads = consumer.weight.shape[1]
    if reads % n or (isinstance(consumer, nn.Conv2d) and reads != n):
        raise ValueError(
            f"the consumer reads {reads} inputs, which do not come from {n} units: a Conv2d needs "
            "one for each, a Linear the same number for each"
        )


@contextmanager
def gated(units: Units, coefficients: Tensor) -> Iterator[None]:
    """Within the `with` block, each unit's contribution to the consumer counts N a_i times.

    Args:
        units: the layer.
        coefficients: a, (N,); the network's output is differentiable in it.

    Raises:
        ValueError: if the units do not fit together or there are not N coefficients.
    """
    check_units(units)
    _check_coefficients(units, coefficients)
    dim = -3 if isinstance(units.consumer, nn.Conv2d) else -1

    def scale(consumer: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        (x,) = inputs
        gates = (units.n * coefficients).to(x)  # (N,)
        gates = gates.repeat_interleave(x.shape[dim] // units.n)  # (inputs of the consumer,)
        return x * (gates[:, None, None] if dim == -3 else gates)

    handle = units.consumer.register_forward_pre_hook(scale)
    try:
        yield
    finally:
        handle.remove()


@torch.no_grad()
def keep_units(units: Units, coefficients: Tensor) -> None:
    """Remove the units with a_i = 0 from all three modules, in place, and scale the others' effect.

    The modules stay the same objects, but their parameters are new and smaller: an optimizer has to
    be made afterwards. In evaluation mode the output is that of `gated`, up to rounding.

    Args:
        units: the layer.
        coefficients: a, (N,), each 0 or more, not all 0.

    Raises:
        ValueError: if the units do not fit together, or for other coefficients.
    """
    check_units(units)
    _check_coefficients(units, coefficients)
    n = units.n
    a = coefficients.detach().double()
    if not (a >= 0).all() or not 0 < float(a.sum()) < torch.inf:
        raise ValueError(f"coefficients are {a}; each must be 0 or more, finite, and not all 0")
    producer, norm, consumer = units
    kept = (a > 0).nonzero().squeeze(1).to(producer.weight.device)  # (kept,)

    scale = (n * a[a > 0]).to(consumer.weight)  # (kept,)
    for module in (producer, norm):
        for name in ("weight", "bias", "running_mean", "running_var"):
            old = getattr(module, name, None)
            if module is not None and old is not None:
                _replace(module, name, old[kept])
    weight = consumer.weight.unflatten(1, (n, -1))  # (outputs, N, block, ...)
    weight = torch.einsum("on...,n->on...", weight[:, kept.to(weight.device)], scale)
    _replace(consumer, "weight", weight.flatten(1, 2))  # (outputs, inputs left, ...)

    _set_size(producer, "out", len(kept))
    if norm is not None:
        norm.num_features = len(kept)
    _set_size(consumer, "in", consumer.weight.shape[1])


def _replace(module: nn.Module, name: str, value: Tensor) -> None:
    old = getattr(module, name)
    if isinstance(old, nn.Parameter):
        value = nn.Parameter(value, requires_grad=old.requires_grad)
    setattr(module, name, value)


def _set_size(layer: nn.Linear | nn.Conv2d, side: str, size: int) -> None:
    setattr(layer, f"{side}_{'features' if isinstance(layer, nn.Linear) else 'channels'}", size)


def _check_coefficients(units: Units, coefficients: Tensor) -> None:
    if coefficients.shape != (units.n,):
        raise ValueError(f"coefficients have shape {tuple(coefficients.shape)} for {units.n} units")
