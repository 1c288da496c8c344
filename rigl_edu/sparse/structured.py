"""Structured sparsity: whole k x k kernels are the units that are dropped and grown.

A kernel is what connects one input channel to one output channel. With whole kernels present or
absent, a convolution becomes a smaller set of ordinary ones, which hardware can run fast; in
return the mask has less freedom.

Source: Sundar & Dwaraknath (2021), appendix D. Linear layers stay dense there, and the
convolutions are sparser in return, so that the network's density is met.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .criteria import Layer
from .distributions import active_counts, check_density
from .maskable import linear_and_conv
from .methods import RigL
from .rewire import NewMask
from .sparsify import densities_of, mask_layers, random_mask


def sparsify_kernels(
    model: nn.Module, density: float = 0.1, distribution: str = "er", seed: int = 0
) -> nn.Module:
    """Give every convolution a random mask of whole kernels, in place; linear layers stay dense.

    A layer's number of kernels is exact: the nearest whole numbers to its density, adding up to
    the nearest for all layers.

    Args:
        model: any module with 2-d convolutions.
        density: share of all convolution and linear weights that stays.
        distribution: "uniform", "er" or "erk" over the convolutions. The reproduction's runs
            that are labelled ERK used ER.
        seed: of the masks' positions.

    Returns:
        The model.

    Raises:
        ValueError: as `sparsify`, and if the linear layers alone exceed the density.
    """
    check_density(density)
    everything = linear_and_conv(model)
    linear = [name for name, layer in everything.items() if isinstance(layer, nn.Linear)]
    total = sum(layer.weight.numel() for layer in everything.values())
    in_linear = sum(everything[name].weight.numel() for name in linear)
    left = density * total - in_linear
    if left <= 0:
        raise ValueError(
            f"density {density} leaves no weight for convolutions: the linear layers, which stay "
            f"dense, have {in_linear} of {total} weights"
        )
    layers, densities = densities_of(model, left / (total - in_linear), distribution, linear)
    kernels = {name: tuple(layer.weight.shape[:2]) for name, layer in layers.items()}
    counts = active_counts(kernels, densities)
    generator = torch.Generator().manual_seed(seed)
    masks = {}
    for name, layer in layers.items():
        mask = random_mask(kernels[name], counts[name], generator)  # (c_out, c_in / groups)
        masks[name] = _expand(mask, layer.weight)  # (c_out, c_in / groups, k_h, k_w)
    mask_layers(layers, masks)
    return model


class StructuredRigL(RigL):
    """RigL with kernels as units: lowest |mean weight| go, largest |mean gradient| come.

    Arguments as for `RigL`. In a linear layer that is masked each weight is a unit of its own.

    Raises:
        ValueError: also if a mask is not made of whole kernels; see `sparsify_kernels`.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, **schedule: Any) -> None:
        super().__init__(model, optimizer, **schedule)
        for name, layer in self.layers.items():
            mask = layer.mask.bool()
            if not torch.equal(mask, _expand(_first_of_kernel(mask), mask)):
                raise ValueError(
                    f"the mask of layer {name!r} is not made of whole kernels; "
                    "use sparsify_kernels(model, ...) instead of sparsify"
                )

    def decide(self, layers: list[Layer]) -> list[NewMask]:
        """RigL's decision on the kernels' means, written back to all weights of each kernel."""
        decisions = super().decide([of_kernels(layer) for layer in layers])
        return [
            NewMask(_expand(new.kept, layer.mask), _expand(new.after, layer.mask))
            for layer, new in zip(layers, decisions, strict=True)
        ]


def of_kernels(layer: Layer) -> Layer:
    """The layer as the rule sees it: one weight a kernel, (c_out, c_in / groups)."""
    gradient = layer.gradient
    return layer._replace(
        weight=_mean_of_kernel(layer.weight),
        mask=_first_of_kernel(layer.mask),
        gradient=None if gradient is None else _mean_of_kernel(gradient),
    )


def _mean_of_kernel(values: Tensor) -> Tensor:
    return values.flatten(2).mean(2) if values.ndim > 2 else values


def _first_of_kernel(mask: Tensor) -> Tensor:
    return mask[:, :, 0, 0] if mask.ndim > 2 else mask


def _expand(mask: Tensor, like: Tensor) -> Tensor:
    """A mask over kernels as one over weights: (c_out, c_in) to (c_out, c_in, k_h, k_w)."""
    return mask[..., None, None].expand_as(like) if like.ndim > 2 else mask
