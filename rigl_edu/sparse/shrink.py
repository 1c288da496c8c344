"""Smaller dense layers from a sparse network: units that nothing reads, or that read nothing, go.

At high sparsity a hidden unit may end without any active weight on one of its two sides.

    no outgoing weight   nobody reads the unit: leave it out
    no incoming weight   its value is the constant relu(b): add w * relu(b) to the readers' biases

The network without such units computes the same function with smaller matrices, which every
machine multiplies faster, with no special kernel. One unit that goes may leave others alone, so
this repeats until nothing changes. How many go is the training's affair: see chapter 16.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .layers import MaskedLinear
from .sparsify import mask_layers


class _Dense(NamedTuple):
    """A linear layer as plain tensors."""

    weight: Tensor  # (out, in), zero off the mask
    mask: Tensor  # (out, in) bool
    bias: Tensor  # (out,)


@torch.no_grad()
def shrink(model: nn.Sequential) -> nn.Sequential:
    """The same function with fewer units, as a new network of masked layers.

    Args:
        model: `Flatten`, `Linear` and `ReLU` modules in a row, as `lab.models.mlp` makes them, of
            which some or all linear layers are masked. It is left as it was.

    Returns:
        A new `nn.Sequential` with layers of the same kinds and in the same places. Its outputs are
        the old ones' to rounding.

    Raises:
        ValueError: for a module of another kind, or linear layers that are not alternated by ReLU.
    """
    chain = _chain(model)
    sizes: list[int] = []
    while sizes != [len(layer.bias) for layer in chain]:
        sizes = [len(layer.bias) for layer in chain]
        chain = _without_unread(_without_constant(chain))
    small: list[nn.Module] = []
    layers = iter(chain)
    for module in model:
        if not isinstance(module, nn.Linear):
            small.append(copy.deepcopy(module))
            continue
        mine = next(layers)
        outputs, inputs = mine.weight.shape
        like = {"dtype": mine.weight.dtype, "device": mine.weight.device}
        linear = nn.utils.skip_init(nn.Linear, inputs, outputs, **like)
        linear.weight.copy_(mine.weight)
        linear.bias.copy_(mine.bias)
        if isinstance(module, MaskedLinear):
            mask_layers({"": linear}, {"": mine.mask})
        small.append(linear)
    return nn.Sequential(*small)


def _chain(model: nn.Sequential) -> list[_Dense]:
    chain = []
    for module in model:
        if isinstance(module, nn.Linear):
            weight = module.weight.detach().clone()
            mask = torch.ones_like(weight, dtype=torch.bool)
            if isinstance(module, MaskedLinear):
                mask = module.mask.bool()
            outputs = weight.shape[0]
            bias = (
                weight.new_zeros(outputs) if module.bias is None else module.bias.detach().clone()
            )
            chain.append(_Dense(weight, mask, bias))
        elif not isinstance(module, (nn.ReLU, nn.Flatten)):
            raise ValueError(
                f"shrink knows Flatten, Linear and ReLU in a row, not {type(module).__name__}"
            )
    kinds = [type(m) for m in model if not isinstance(m, nn.Flatten)]
    alternating = (
        all(issubclass(kind, nn.ReLU) == bool(i % 2) for i, kind in enumerate(kinds))
        and len(kinds) % 2
    )
    if not alternating:
        raise ValueError("shrink needs linear layers with a ReLU between any two, and none after")
    return chain


def _without_unread(chain: list[_Dense]) -> list[_Dense]:
    """Leave out hidden units that no active weight reads, from the last layer to the first."""
    chain = list(chain)
    for i in range(len(chain) - 2, -1, -1):
        reader, layer = chain[i + 1], chain[i]
        read = reader.mask.any(0)  # (units,)
        chain[i + 1] = _Dense(reader.weight[:, read], reader.mask[:, read], reader.bias)
        chain[i] = _Dense(layer.weight[read], layer.mask[read], layer.bias[read])
    return chain


def _without_constant(chain: list[_Dense]) -> list[_Dense]:
    """Leave out hidden units that read nothing; what they are worth goes to the readers' biases."""
    chain = list(chain)
    for i in range(len(chain) - 1):
        layer, reader = chain[i], chain[i + 1]
        reads = layer.mask.any(1)  # (units,)
        constant = layer.bias[~reads].relu()  # (gone,)
        bias = reader.bias + reader.weight[:, ~reads] @ constant  # (out,)
        chain[i] = _Dense(layer.weight[reads], layer.mask[reads], layer.bias[reads])
        chain[i + 1] = _Dense(reader.weight[:, reads], reader.mask[:, reads], bias)
    return chain
