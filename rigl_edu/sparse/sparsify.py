"""Turn any network into a sparse one, and say how sparse it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .distributions import Distribution, active_counts, check_density, er, erk, uniform
from .layers import Masked, MaskedConv2d, MaskedLinear

DISTRIBUTIONS: dict[str, Distribution] = {"uniform": uniform, "er": er, "erk": erk}


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
        TypeError: for a layer with a forward of its own, or one that computes its weight.
    """
    check_density(density)
    everything = _linear_and_conv(model)
    dense = _known_names(dense, everything)
    if distribution == "uniform":
        dense.add(next(iter(everything)))
    layers = {name: layer for name, layer in everything.items() if name not in dense}
    _check_maskable(model, layers, dense)
    shapes = {name: tuple(layer.weight.shape) for name, layer in layers.items()}
    if isinstance(distribution, Mapping):
        densities = dict(distribution)
    elif distribution == "uniform":
        densities = dict.fromkeys(layers, density)  # the dense first layer is not among them
    elif callable(distribution):
        densities = distribution(shapes, density)
    elif distribution in DISTRIBUTIONS:
        densities = DISTRIBUTIONS[distribution](shapes, density)
    else:
        known = ", ".join(repr(name) for name in DISTRIBUTIONS)
        raise ValueError(f"unknown distribution {distribution!r}; known are {known}")
    _check_names(densities, shapes)
    counts = active_counts(shapes, {name: densities[name] for name in shapes})

    generator = torch.Generator().manual_seed(seed)
    for name, layer in layers.items():
        # The layer becomes its masked subclass instead of being replaced by a copy: whatever else
        # refers to it (an optimizer, a hook, a second name in the model) stays right.
        layer.__class__ = MaskedLinear if isinstance(layer, nn.Linear) else MaskedConv2d
        assert isinstance(layer, Masked)
        layer.start_masking()
        layer.set_mask(random_mask(shapes[name], counts[name], generator))
    return model


def random_mask(shape: tuple[int, ...], active: int, generator: torch.Generator) -> Tensor:
    """Bool mask of the given shape with exactly `active` ones at random positions (on the CPU)."""
    # The CPU even where a default device is set: that is where the generator lives.
    mask = torch.zeros(shape, dtype=torch.bool, device="cpu")
    order = torch.randperm(mask.numel(), generator=generator, device="cpu")
    mask.view(-1)[order[:active]] = True
    return mask


class LayerRow(NamedTuple):
    """One line of `layer_table`."""

    name: str
    shape: tuple[int, ...]
    active: int
    total: int
    density: float


def layer_table(model: nn.Module) -> list[LayerRow]:
    """Every linear and convolutional layer: name, weight shape, active and total weights, density.

    An unmasked layer counts as dense. The ones of the *mask* are counted: an active weight may be
    exactly 0, as each one is at the moment it is grown.
    """
    rows = []
    for name, layer in model.named_modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            total = layer.weight.numel()
            active = layer.active if isinstance(layer, Masked) else total
            rows.append(LayerRow(name, tuple(layer.weight.shape), active, total, active / total))
    return rows


def density(model: nn.Module) -> float:
    """Active weights over all weights of the linear and convolutional layers.

    Raises:
        ValueError: if the model has no such layer.
    """
    rows = layer_table(model)
    if not rows:
        raise ValueError(f"{type(model).__name__} has no Linear or Conv2d layer")
    return sum(row.active for row in rows) / sum(row.total for row in rows)


def _linear_and_conv(model: nn.Module) -> dict[str, nn.Linear | nn.Conv2d]:
    """All layers that could have a mask by name, in the order of definition."""
    layers: dict[str, nn.Linear | nn.Conv2d] = {}
    for name, module in model.named_modules():
        if isinstance(module, Masked):
            raise ValueError(f"layer {name!r} has a mask already; sparsify a model once")
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            layers[name] = module
    if not layers:
        raise ValueError(f"{type(model).__name__} has no Linear or Conv2d layer to mask")
    return layers


def _known_names(names: Iterable[str], layers: Mapping[str, nn.Module]) -> set[str]:
    if isinstance(names, str):
        raise ValueError(f"dense is the string {names!r}; give a list of layer names")
    names = set(names)
    unknown = names - set(layers)
    if unknown:
        raise ValueError(f"dense names {sorted(unknown)}, but the layers are {list(layers)}")
    return names


def _check_maskable(
    model: nn.Module, layers: Mapping[str, nn.Linear | nn.Conv2d], dense: set[str]
) -> None:
    """Raise unless a mask on each of these layers would mean what it says."""
    if not layers:
        raise ValueError(
            f"no Linear or Conv2d layer is left to mask: {sorted(dense)} stay dense (uniform "
            "always keeps the first layer dense)"
        )
    owners: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        owners.setdefault(id(parameter), []).append(name)
    for name, layer in layers.items():
        if type(layer).forward not in (nn.Linear.forward, nn.Conv2d.forward):
            raise TypeError(
                f"layer {name!r} is a {type(layer).__name__} with its own forward, which a mask "
                "may not fit; name it in dense= to leave it alone"
            )
        if "weight" not in dict(layer.named_parameters(recurse=False)):
            raise TypeError(
                f"layer {name!r} computes its weight (it is parametrized or pruned), which a mask "
                "would not outlive; undo that first, or name it in dense= to leave it alone"
            )
        shared = owners[id(layer.weight)]
        modules = {id(model.get_submodule(owner.rpartition(".")[0])) for owner in shared}
        if len(modules) > 1:
            raise ValueError(
                f"one weight is shared by {shared}; two masks on it would contradict each "
                "other, so name these layers in dense="
            )


def _check_names(given: Mapping[str, float], shapes: Mapping[str, object]) -> None:
    if set(given) != set(shapes):
        wrong = sorted(set(given) ^ set(shapes))
        raise ValueError(f"densities by layer must name each layer once; missing or extra: {wrong}")
