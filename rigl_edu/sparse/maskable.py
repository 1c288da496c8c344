"""Which layers can have a mask, and what is wrong with the others: all checks of `sparsify`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import nn

from .layers import Masked


def linear_and_conv(model: nn.Module) -> dict[str, nn.Linear | nn.Conv2d]:
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


def known_names(names: Iterable[str], layers: Mapping[str, nn.Module]) -> set[str]:
    """The names as a set; raise for a plain string or a name that is no layer's."""
    if isinstance(names, str):
        raise ValueError(f"dense is the string {names!r}; give a list of layer names")
    names = set(names)
    unknown = names - set(layers)
    if unknown:
        raise ValueError(f"dense names {sorted(unknown)}, but the layers are {list(layers)}")
    return names


def check_maskable(
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
        if isinstance(layer.weight, nn.parameter.UninitializedParameter):
            raise TypeError(
                f"layer {name!r} is a {type(layer).__name__} that has not seen its input's size; "
                "run one batch through the model first"
            )
        own = type(layer).forward not in (nn.Linear.forward, nn.Conv2d.forward)
        if isinstance(layer, nn.Conv2d):
            own |= type(layer)._conv_forward is not nn.Conv2d._conv_forward
        if own:
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
            sharers = [other for other, m in layers.items() if m.weight is layer.weight]
            raise ValueError(
                f"one weight is shared by {shared}; two masks on it would contradict each "
                f"other, so name {sharers} in dense="
            )


def check_names(given: Mapping[str, float], shapes: Mapping[str, object]) -> None:
    """Raise unless a distribution has answered for each layer, and for no other."""
    if set(given) != set(shapes):
        wrong = sorted(set(given) ^ set(shapes))
        raise ValueError(f"densities by layer must name each layer once; missing or extra: {wrong}")
