"""What is imitated, on a network: what a layer's units contribute, or what the network puts out.

`responses` are the rows h_i that local imitation (`greedy`) mixes; `output_discrepancy` is the D(a)
that global imitation (`greedy_global`) lowers. Both see the network in evaluation mode and leave
each module in the mode it was in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from .evaluation import evaluating
from .units import Units, check_units, gated

CHUNK = 2**24  # numbers in one block of responses: 128 MiB in float64


def responses(model: nn.Module, units: Units, batches: Sequence[Tensor]) -> Iterator[Tensor]:
    """What each unit contributes to the consumer's output, times N, in blocks for `centred_gram`.

    Their mean over the units is the consumer's output without its bias. Evaluation mode.

    Args:
        model: the network.
        units: the layer.
        batches: inputs of the network.

    Yields:
        (N, F) in float64, of about `CHUNK` numbers; F is samples times outputs, positions included.

    Raises:
        ValueError: if the units do not fit together, or the model does not call the consumer.
    """
    check_units(units)
    for batch in batches:
        for x, outputs in seen_by(units.consumer, model, batch):
            samples = max(1, CHUNK // (units.n * outputs))
            for part in x.split(samples):
                yield _contributions(units, part) * units.n


def output_discrepancy(
    model: nn.Module, units: Units, batches: Sequence[Tensor]
) -> Callable[[Tensor], Tensor]:
    """D(a), the mean squared change of the network's outputs when its units are `gated` with a.

    All in evaluation mode. For the gradient all batches are in memory at once.

    Args:
        model: the network.
        units: the layer.
        batches: inputs of the network, the same at each call of D.

    Returns:
        D, from coefficients (N,) to a scalar on the CPU.
    """
    check_units(units)
    with evaluating(model), torch.no_grad():
        targets = [model(batch) for batch in batches]
    numbers = sum(target.numel() for target in targets)
    if not numbers:
        raise ValueError(f"there are {len(targets)} batches with no outputs; at least 1 is needed")

    def discrepancy(a: Tensor) -> Tensor:
        with evaluating(model), gated(units, a):
            errors = [
                (model(batch).double() - target.double()).square().sum()
                for batch, target in zip(batches, targets, strict=True)
            ]
        return torch.stack(errors).sum().cpu() / numbers

    return discrepancy


@torch.no_grad()
def seen_by(consumer: nn.Module, model: nn.Module, batch: Tensor) -> list[tuple[Tensor, int]]:
    """The inputs (samples, ...) of each call of the consumer, and how many outputs a sample has.

    Raises:
        ValueError: if the model does not call it.
    """
    seen: list[tuple[Tensor, int]] = []

    def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen.append((inputs[0], output[0].numel()))

    handle = consumer.register_forward_hook(record)
    try:
        with evaluating(model):
            model(batch)
    finally:
        handle.remove()
    if not seen:
        raise ValueError(f"the model's forward does not call the consumer {consumer}")
    return seen


@torch.no_grad()
def _contributions(units: Units, x: Tensor) -> Tensor:
    """(N, F): the consumer applied to one unit's inputs, with its columns, without its bias."""
    n, layer = units.n, units.consumer
    dim = 1 if isinstance(layer, nn.Conv2d) else x.ndim - 1
    x = x.double().unflatten(dim, (n, -1))  # (samples, N, block, h, w) or (samples, N, block)
    weight = layer.weight.double().unflatten(1, (n, -1))  # (outputs, N, block, ...)
    rows = []
    for i in range(n):
        # The layer's own forward, so that stride, padding and dilation are as they are.
        tensors = {"weight": weight[:, i]}
        if layer.bias is not None:
            tensors["bias"] = torch.zeros_like(layer.bias, dtype=torch.float64)
        rows.append(functional_call(layer, tensors, (x.select(dim, i),)).flatten())
    return torch.stack(rows)
