"""Snapshots: put a network's values back under the masks it has now.

A lottery ticket is a mask with the values that its weights started from (`lottery`). Taking them is
`snapshot`, putting them back `rewind`; `shuffle_masks` is the control that keeps a ticket's numbers
of weights and forgets their places.

Sources: Frankle & Carbin (2019), "The Lottery Ticket Hypothesis", for tickets and re-initialised
controls; batch norm's statistics go back too, since they are part of the network's state.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

import torch
from torch import Tensor, nn

from .layers import MaskedConv2d, MaskedLinear, masked_layers
from .sparsify import random_mask

# Every parameter and buffer but the masks, by its name in the model.
Snapshot = Mapping[str, Tensor]


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """A copy of all parameters and buffers, batch norm's included, but not of the masks."""
    return {name: value.detach().clone() for name, value in _values(model).items()}


@torch.no_grad()
def rewind(model: nn.Module, state: Snapshot) -> None:
    """Put a snapshot's values back, under the masks that the model has now.

    The values are written into the same tensors, so optimizers, DDP and compiled graphs keep
    looking at them. An optimizer's state is no part of it: start a new optimizer.

    Args:
        model: masked or not; changed in place.
        state: a `snapshot` of this model, or of another one of the same layers, masked or not.
            Where that one had no weights, it holds zeros.

    Raises:
        ValueError: if a name or a shape differs; nothing is changed then.
    """
    _check_fits(model, state)
    for name, value in _values(model).items():
        value.copy_(state[name])
    for layer in masked_layers(model).values():
        layer.weight.mul_(layer.mask)


@torch.no_grad()
def shuffle_masks(model: nn.Module, state: Snapshot, seed: int = 0) -> None:
    """Give each layer a random mask of as many ones, and rewind to a snapshot.

    The two come together because the weights at the new positions are zeros until the snapshot's
    values are put there. A random permutation of a mask is a random mask of its size, so this is
    also the control called a random ticket: the ticket's densities by layer, and nothing else.

    Args:
        model: a model with masked layers; changed in place.
        state: as in `rewind`, taken before pruning.
        seed: the same masks on every device and every DDP rank.

    Raises:
        ValueError: as `rewind`, for a model without masked layers, and if the state has no values
            for weights that the present masks leave out; nothing is changed then.
    """
    layers = layers_with_masks(model)
    _check_fits(model, state)
    for name, layer in layers.items():
        values = state[f"{name}.weight".removeprefix(".")]  # the model may itself be the layer
        absent = values[layer.mask.to(values.device) == 0]
        if absent.numel() and values.any() and not absent.any():
            raise ValueError(
                f"the state is 0 at all {absent.numel()} positions off the mask of layer {name!r}; "
                "take the snapshot before pruning"
            )
    generator = torch.Generator().manual_seed(seed)
    for layer in layers.values():
        layer.set_mask(random_mask(tuple(layer.mask.shape), layer.active, generator))
    rewind(model, state)


def layers_with_masks(model: nn.Module) -> dict[str, MaskedLinear | MaskedConv2d]:
    """The masked layers, of which there must be one."""
    layers = masked_layers(model)
    if not layers:
        raise ValueError("the model has no masked layer; call sparsify(model, density=1) first")
    return layers


def _values(model: nn.Module) -> dict[str, Tensor]:
    """All parameters and buffers by name, the tensors themselves, without the masks."""
    masks = {id(layer.mask) for layer in masked_layers(model).values()}
    everything = chain(model.named_parameters(), model.named_buffers())
    return {name: value for name, value in everything if id(value) not in masks}


def _check_fits(model: nn.Module, state: Snapshot) -> None:
    """Raise unless the state has the model's names and shapes."""
    values = _values(model)
    if set(values) != set(state):
        wrong = sorted(set(values) ^ set(state))
        raise ValueError(f"the state is not a snapshot of such a model; missing or extra: {wrong}")
    for name, value in values.items():
        if state[name].shape != value.shape:
            raise ValueError(
                f"the state has {name!r} of shape {tuple(state[name].shape)}, the model's has "
                f"{tuple(value.shape)}"
            )
