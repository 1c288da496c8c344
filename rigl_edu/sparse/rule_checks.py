"""What a rule refuses: arguments, layers, and optimizers that move weights which are not there."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan

import torch

from .compressed_layers import SparseLayer

Layers = Mapping[str, SparseLayer]  # by name


def check_schedule(every: int, until: int, regrown: str) -> None:
    """Raise for steps that are no steps, or an unknown word."""
    if every < 1 or until < 0 or every != int(every) or until != int(until):
        raise ValueError(
            f"every={every} must be at least 1, until={until} at least 0, both whole numbers"
        )
    if regrown not in ("keep", "reset"):
        raise ValueError(f"regrown is {regrown!r}; it must be 'keep' or 'reset'")


def check_layers(layers: Layers, optimizer: torch.optim.Optimizer, gradients: bool) -> None:
    """Raise unless there are layers, all the optimizer's own, and none frozen that must not be."""
    if not layers:
        raise ValueError("the model has no masked layer; call sparsify(model, ...) first")
    owned = {id(p) for group in optimizer.param_groups for p in group["params"]}
    strangers = [n for n, layer in layers.items() if id(layer.parameter) not in owned]
    if strangers:
        raise ValueError(f"the optimizer does not own the weights of layers {strangers}")
    frozen = [n for n, layer in layers.items() if not layer.parameter.requires_grad]
    if frozen and gradients:
        raise ValueError(
            f"layers {frozen} are frozen and have no gradient to rewire by; name them in "
            "sparsify's dense=, or train them"
        )


def check_momentum(optimizer: torch.optim.Optimizer) -> None:
    """Raise for an optimizer that has a momentum and does not use it."""
    if any(group.get("momentum") == 0 for group in optimizer.param_groups):
        raise ValueError(
            f"{type(optimizer).__name__} keeps no momentum with momentum=0; RigL-SM needs one"
        )


def checked_step(optimizer: torch.optim.Optimizer, layers: Layers) -> None:
    """Take an optimizer step in which weights whose gradient and state are 0 must not move.

    Raises:
        ValueError: before the step, if there are weights off the masks already; after it, if it
            has put some there, which are cleared, or numbers that are not finite.
    """
    before = [name for name, layer in layers.items() if layer.leak()]
    if before:
        raise ValueError(
            f"layers {before} have weights off their masks: somebody drew or replaced them after "
            "the rule was made; call layer.set_mask(layer.mask) then"
        )
    optimizer.step()
    leaks = {name: layer.leak() for name, layer in layers.items()}
    broken = [name for name, leak in leaks.items() if isnan(leak)]
    if broken:
        raise ValueError(f"layers {broken} are not finite after a step: a gradient was not")
    moved = [name for name, leak in leaks.items() if leak]
    for name in moved:
        mask = layers[name].mask.bool()
        layers[name].change_mask(mask, mask, optimizer)
    if moved:
        raise ValueError(
            f"{type(optimizer).__name__} moved weights of layers {moved} whose gradient is 0; use "
            "an optimizer that works weight by weight, like SGD or AdamW"
        )
