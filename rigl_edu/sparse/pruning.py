"""Pruning: keep the best of the weights that exist, in one ranking of all layers or layer by layer.

Two pure functions decide, `prune` carries it out on a model. Ranking all layers together lets the
network choose where its ones go; ranking each layer by itself keeps all layers at one density.
The scores are |w| for pruning a trained network (Han et al. 2015), or |w dL/dw| for SNIP, which
prunes once, before training (Lee et al. 2019, eq. 6).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from . import masks as moves
from .distributions import check_density
from .layers import masked_layers

Tensors = Mapping[str, Tensor]  # layer name -> a tensor of the weight's shape
Keep = Callable[[Tensors, Tensors, float], dict[str, Tensor]]


def keep_globally(scores: Tensors, masks: Tensors, density: float) -> dict[str, Tensor]:
    """Of all active weights of all layers keep the highest-scored round(density * N).

    Ties go to the earlier layer and the lower flat index. A layer may end up with nothing.

    Args:
        scores: by layer, of the weight's shape, finite.
        masks: by layer, the same shapes; nonzero where a connection exists.
        density: share of all N positions, active or not, that is left.

    Returns:
        Bool masks by layer. Together they have exactly round(density * N) ones.

    Raises:
        ValueError: if the density is outside (0, 1], above what exists, or leaves nothing; or if
            scores and masks differ in names or shapes.
    """
    _check(scores, masks, density)
    flat_scores = torch.cat([scores[name].flatten() for name in masks])  # (N,)
    flat_mask = torch.cat([mask.flatten() for mask in masks.values()])  # (N,)
    surplus = _surplus(flat_mask, round(density * flat_mask.numel()), "the network")
    kept = moves.drop(flat_scores, flat_mask, surplus)  # (N,)
    parts = kept.split([mask.numel() for mask in masks.values()])
    return {name: part.view(masks[name].shape) for name, part in zip(masks, parts, strict=True)}


def keep_per_layer(scores: Tensors, masks: Tensors, density: float) -> dict[str, Tensor]:
    """In each layer l keep the highest-scored round(density * N_l) of its active weights.

    Rounded layer by layer: the total may miss round(density * N) by some weights, but as the
    density falls no layer's number ever rises, as it could if the layers shared the rounding.
    Arguments and result are those of `keep_globally`; a density that leaves a layer with nothing
    is an error too.
    """
    _check(scores, masks, density)
    surplus = {
        n: _surplus(mask, round(density * mask.numel()), f"layer {n!r}")
        for n, mask in masks.items()
    }
    return {name: moves.drop(scores[name], mask, surplus[name]) for name, mask in masks.items()}


def magnitudes(model: nn.Module) -> dict[str, Tensor]:
    """|w| of every masked layer, by name."""
    return {name: layer.weight.detach().abs() for name, layer in masked_layers(model).items()}


def saliencies(model: nn.Module) -> dict[str, Tensor]:
    """|w dL/dw| of every masked layer, by name: how much the loss reacts to scaling the weight.

    SNIP (Lee et al. 2019, eq. 6), without its normalisation, which changes no ranking. The
    gradients are those in `.grad`: call backward() before, on a batch or on several.

    Raises:
        ValueError: if a layer has no gradient.
    """
    layers = masked_layers(model)
    missing = [name for name, layer in layers.items() if layer.weight.grad is None]
    if missing:
        raise ValueError(f"layers {missing} have no gradient; call backward() first")
    return {
        name: (layer.weight.detach() * layer.weight.grad).abs()  # type: ignore[operator]
        for name, layer in layers.items()
    }


@torch.no_grad()
def prune(
    model: nn.Module,
    density: float,
    keep: Keep = keep_globally,
    scores: Tensors | None = None,
    optimizer: torch.optim.Optimizer | None = None,
) -> nn.Module:
    """Prune a masked model once, in place.

    `sparsify(model, density=1)` gives a dense model the masks this needs. With
    `scores=saliencies(model)`, before any training, it is SNIP.

    Args:
        model: a model with masked layers; what is pruned already stays so.
        density: share of the masked layers' weights that is left.
        keep: `keep_globally` or `keep_per_layer`.
        scores: by layer name; None for `magnitudes(model)`.
        optimizer: one that has taken steps already; its state is cleared where weights go. Without
            that, its momentum would move them at the next step.

    Returns:
        The model.

    Raises:
        ValueError: for a model without masked layers, an impossible density, or scores that are
            not finite; the model is then as it was.
    """
    layers = masked_layers(model)
    if not layers:
        raise ValueError("the model has no masked layer; call sparsify(model, density=1) first")
    masks = {name: layer.mask for name, layer in layers.items()}
    kept = keep(magnitudes(model) if scores is None else scores, masks, density)
    for name, layer in layers.items():
        layer.change_mask(kept[name], kept[name], optimizer)
        layer.mask_gradient()  # no backward pass may come before the next step
    return model


def _check(scores: Tensors, masks: Tensors, density: float) -> None:
    check_density(density)
    shapes = [{name: tuple(t.shape) for name, t in tensors.items()} for tensors in (scores, masks)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"scores are {shapes[0]}, masks are {shapes[1]}; they must be alike")


def _surplus(mask: Tensor, wanted: int, what: str) -> int:
    """How many of a mask's ones have to go."""
    active = int(mask.count_nonzero())
    if wanted == 0:
        raise ValueError(f"{what} has {mask.numel()} positions; the density leaves none of them")
    if wanted > active:
        raise ValueError(
            f"{what} has {active} of {mask.numel()} weights; pruning cannot leave {wanted}"
        )
    return active - wanted
