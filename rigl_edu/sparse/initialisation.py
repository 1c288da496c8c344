"""Sparsity-aware initialisation: how strong a neuron's output is depends on how many inputs it has.

He initialisation draws weights with variance 2 / fan_in, so that a layer of ReLUs hands on a signal
as strong as the one it got (He et al. 2015, section 2.2). A mask takes inputs away. If the variance
still counts them, each layer hands on only about its density of the signal's power, and after a few
layers neither signal nor gradient arrives. The remedy is to count the inputs that exist:

    dense        w_ij ~ N(0, 2 / fan_in)               then masked: what "scratch" training does
    per neuron   w_ij ~ N(0, 2 / fan_in_i)             fan_in_i: inputs neuron i has left
    per layer    w_ij ~ N(0, 2 / (density * fan_in))   the mean over the layer instead

Source: Evci et al. 2022, whose own is per neuron; per layer is Liu et al.'s, as described there.
All three agree on a layer without a mask. The second argument of N is a variance: its square root
is what a random generator wants, and leaving the root out is a mistake seen in public code.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .layers import Masked, refuse_compressed

Draw = Callable[[Tensor, torch.Generator], Tensor]  # (mask, generator) -> weight


def fan_in(mask: Tensor) -> Tensor:
    """How many inputs each neuron has.

    Args:
        mask: (C_out, C_in) or (C_out, C_in / groups, k_h, k_w); nonzero where a connection exists.

    Returns:
        (C_out,), whole numbers. A neuron of a convolution sees its own group's channels only.

    Raises:
        ValueError: if the mask has fewer than two dimensions.
    """
    if mask.dim() < 2:
        raise ValueError(
            f"mask has shape {tuple(mask.shape)}; a weight's has at least 2 dimensions"
        )
    return mask.flatten(1).count_nonzero(dim=1)


def he_std(inputs: Tensor) -> Tensor:
    """Standard deviation of He initialisation, sqrt(2 / max(1, inputs)), in float64.

    A neuron without inputs has no weights to draw; the max keeps its infinity from becoming
    infinity * 0 = NaN under the mask.
    """
    return (2 / inputs.clamp(min=1).double()).sqrt()


def he_dense(mask: Tensor, generator: torch.Generator) -> Tensor:
    """A dense layer's He weights, sqrt(2 / fan_in) * N(0, 1), of which the mask leaves some.

    Args:
        mask: as in `fan_in`, on any device.
        generator: on the CPU; the three methods take the same numbers from it and only scale them
            differently.

    Returns:
        Weights of the mask's shape, float64 on the CPU, 0 off the mask.
    """
    return _draw(he_std(fan_in(torch.ones_like(mask))), mask, generator)


def he_per_neuron(mask: Tensor, generator: torch.Generator) -> Tensor:
    """sqrt(2 / max(1, fan_in_i)) * N(0, 1) for neuron i. Arguments and result as in `he_dense`."""
    return _draw(he_std(fan_in(mask)), mask, generator)


def he_per_layer(mask: Tensor, generator: torch.Generator) -> Tensor:
    """`he_dense` divided by sqrt(density of the layer). Arguments and result as in `he_dense`."""
    density = max(1, int(mask.count_nonzero())) / mask.numel()
    return he_dense(mask, generator) / density**0.5


def initialise_dense(model: nn.Module, seed: int = 0) -> nn.Module:
    """Draw all linear and convolutional weights anew by `he_dense`, in place.

    Layers without a mask count as all ones. Their biases become 0, which is part of He's method.
    Norms and everything else stay as they are. Do this before training: optimizer state is not
    touched.

    Args:
        model: masked or not; its weights are overwritten, its masks are not.
        seed: the same weights on every device and every DDP rank; layers take their numbers in the
            order of `named_modules`.

    Returns:
        The model.

    Raises:
        ValueError: if there is no linear or convolutional layer, or one computes its weight.
    """
    return _initialise(model, he_dense, seed)


def initialise_per_neuron(model: nn.Module, seed: int = 0) -> nn.Module:
    """Draw all weights anew by `he_per_neuron`; otherwise as `initialise_dense`."""
    return _initialise(model, he_per_neuron, seed)


def initialise_per_layer(model: nn.Module, seed: int = 0) -> nn.Module:
    """Draw all weights anew by `he_per_layer`; otherwise as `initialise_dense`."""
    return _initialise(model, he_per_layer, seed)


def _draw(std: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    # In float64, so that the weight's own precision only rounds these numbers; on the CPU, so that
    # every device gets the same ones.
    sample = torch.randn(mask.shape, generator=generator, dtype=torch.float64, device="cpu")
    per_row = std.cpu().view(-1, *[1] * (mask.dim() - 1))  # (C_out, 1) or (C_out, 1, 1, 1)
    return sample * per_row * mask.cpu()


@torch.no_grad()
def _initialise(model: nn.Module, draw: Draw, seed: int) -> nn.Module:
    refuse_compressed(model)
    layers = {n: m for n, m in model.named_modules() if isinstance(m, (nn.Linear, nn.Conv2d))}
    if not layers:
        raise ValueError(f"{type(model).__name__} has no Linear or Conv2d layer to initialise")
    for name, layer in layers.items():
        if not isinstance(layer.weight, nn.Parameter):
            raise ValueError(
                f"layer {name!r} computes its weight (it is parametrized or pruned), so what is "
                "written there would be lost; undo that first"
            )
    generator = torch.Generator().manual_seed(seed)
    for layer in layers.values():
        mask = layer.mask if isinstance(layer, Masked) else torch.ones_like(layer.weight)
        layer.weight.copy_(draw(mask, generator).to(layer.weight.dtype))
        if layer.bias is not None:
            layer.bias.zero_()
    return model
