"""Turn any network into a sparse one: random masks with exact numbers of ones, in place.

Which layers, how densely, and the masks themselves are three steps that `structured` shares.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from .distributions import Distribution, active_counts, check_density, er, erk, uniform
from .layers import Masked, MaskedConv2d, MaskedLinear
from .maskable import check_maskable, check_names, known_names, linear_and_conv

DISTRIBUTIONS: dict[str, Distribution] = {"er": er, "erk": erk}  # uniform needs all layers


def sparsify(
    model: nn.Module,
    density: float = 0.1,
    distribution: str | Distribution | Mapping[str, float] = "erk",
    seed: int = 0,
    dense: Iterable[str] = (),
) -> nn.Module:
    """Give every linear and 2-d convolutional layer of a model a random mask, in place.

    The layers stay the same objects with the same weights (off the mask set to 0), so an optimizer
    built before still owns them. Each layer's number of ones is exact, not a coin flip a weight.
    Biases, norms and embeddings are never masked.

    Args:
        model: any module; changed in place.
        density: share of the weights that stays, over all layers not named in `dense`.
        distribution: "uniform", "er", "erk"; or a function (shapes, density) -> densities; or the
            densities themselves by layer name. With "uniform" the model's first layer (the one
            defined first) stays an ordinary dense layer, which no rule ever touches.
        seed: of the masks' positions; the same masks on every device and every DDP rank.
        dense: names of layers to leave alone, as `model.named_modules()` gives them.

    Returns:
        The model.

    Raises:
        ValueError: for an impossible density, an unknown distribution or layer name, a network
            that is masked already or has nothing to mask, or a weight shared between layers.
        TypeError: for a layer with a forward of its own, one that computes its weight, or a lazy
            one that has no weight yet.
    """
    layers, densities = densities_of(model, density, distribution, dense)
    shapes = {name: tuple(layer.weight.shape) for name, layer in layers.items()}
    counts = active_counts(shapes, densities)
    generator = torch.Generator().manual_seed(seed)
    masks = {name: random_mask(shapes[name], counts[name], generator) for name in layers}
    mask_layers(layers, masks)
    return model


def densities_of(
    model: nn.Module,
    density: float,
    distribution: str | Distribution | Mapping[str, float],
    dense: Iterable[str] = (),
) -> tuple[dict[str, nn.Linear | nn.Conv2d], dict[str, float]]:
    """Which layers `sparsify` would mask, and how densely. Arguments and errors are its own."""
    check_density(density)
    everything = linear_and_conv(model)
    dense = known_names(dense, everything)
    if distribution is uniform:
        distribution = "uniform"  # the same, first layer included
    if distribution == "uniform":
        dense.add(next(iter(everything)))
    layers = {name: layer for name, layer in everything.items() if name not in dense}
    check_maskable(model, layers, dense)
    shapes = {name: tuple(layer.weight.shape) for name, layer in layers.items()}
    if isinstance(distribution, Mapping):
        densities = dict(distribution)
    elif distribution == "uniform":
        # Asked about all layers: the first one is the model's, whatever else is in `dense`.
        everywhere = uniform({n: tuple(m.weight.shape) for n, m in everything.items()}, density)
        densities = {name: everywhere[name] for name in layers}
    elif callable(distribution):
        densities = distribution(shapes, density)
    elif distribution in DISTRIBUTIONS:
        densities = DISTRIBUTIONS[distribution](shapes, density)
    else:
        known = ", ".join(repr(name) for name in ("uniform", *DISTRIBUTIONS))
        raise ValueError(f"unknown distribution {distribution!r}; known are {known}")
    check_names(densities, shapes)
    return layers, {name: densities[name] for name in shapes}


def mask_layers(layers: Mapping[str, nn.Linear | nn.Conv2d], masks: Mapping[str, Tensor]) -> None:
    """Turn ordinary layers into masked ones, with these masks (by name, the weight's shape)."""
    for name, layer in layers.items():
        # The layer becomes its masked subclass instead of being replaced by a copy: whatever else
        # refers to it (an optimizer, a hook, a second name in the model) stays right.
        layer.__class__ = MaskedLinear if isinstance(layer, nn.Linear) else MaskedConv2d
        assert isinstance(layer, Masked)
        layer.start_masking()
        layer.set_mask(masks[name])


def random_mask(shape: tuple[int, ...], active: int, generator: torch.Generator) -> Tensor:
    """Bool mask of the given shape with exactly `active` ones at random positions.

    Args:
        shape: of the mask.
        active: number of ones, at most the number of positions.
        generator: on the CPU, where the mask is made too.
    """
    # The CPU even where a default device is set: that is where the generator lives.
    mask = torch.zeros(shape, dtype=torch.bool, device="cpu")
    order = torch.randperm(mask.numel(), generator=generator, device="cpu")
    mask.view(-1)[order[:active]] = True
    return mask
