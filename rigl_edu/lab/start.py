"""How each method's training starts: first weights, first masks, and what came before."""

import copy
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rigl_edu.sparse import (
    fan_in,
    he_std,
    masked_layers,
    prune,
    saliencies,
    sparsify,
    sparsify_kernels,
)
from rigl_edu.sparse.angle import Weights

from .augment import normalise, stream
from .data import Dataset
from .recipes import THIN, Recipe
from .thin import make_thin
from .tickets import ancestors, read_finished, ticket_masks

UNMASKED = ("dense", "small_dense")  # methods of a network without masks, and of its usual width


def first_seed(recipe: Recipe, seed: int) -> int:
    """What the network's first weights are drawn with; a re-initialised one has another draw."""
    return stream(seed, "reinit", 0).initial_seed() if recipe.method == "reinit" else seed


def start(model: nn.Module, recipe: Recipe, seed: int, data: Dataset, checkpoint: Path) -> None:
    """Make of a new network the one with which the method's training starts.

    Args:
        model: dense, on the training device; changed in place.
        recipe: its method, density and distribution.
        seed: of random masks.
        data: SNIP looks at the first batch of its training images, imitation at more of them.
        checkpoint: the run's own; a run with `ticket_of` finds the other one beside it.

    Raises:
        ValueError: the run that this one starts from is not there, or not finished.
    """
    if recipe.method in UNMASKED:
        return
    if recipe.method in THIN:
        trained = read_finished(recipe.ticket_of, recipe, seed, data, checkpoint)
        model.load_state_dict(trained["model"])
        make_thin(model, recipe, seed, data)
        return
    if recipe.method == "rigl_struct":
        sparsify_kernels(model, recipe.density, recipe.distribution, seed=seed)
    elif recipe.method in ("pruning", "snip") or recipe.ticket_of:
        # All ones. "uniform" leaves the first layer out of the ranking, as the reproduction did.
        sparsify(model, 1.0, recipe.distribution, seed=seed)
    else:
        sparsify(model, recipe.density, recipe.distribution, seed=seed)
    if recipe.ticket_of and not recipe.rewind:
        masks = masks_of_ticket(model, recipe, seed, data, checkpoint)
        for name, layer in masked_layers(model).items():
            layer.set_mask(masks[name])
    if recipe.method == "snip":
        probe = copy.deepcopy(model)  # so that batch norms and gradients stay as they were
        images, labels = data.train_images[: recipe.batch], data.train_labels[: recipe.batch]
        F.cross_entropy(probe(normalise(images, data.mean, data.std)), labels).backward()
        prune(model, recipe.density, scores=saliencies(probe))
    if recipe.initialisation == "per_neuron":
        make_up_for_masks(model)


def masks_of_ticket(
    model: nn.Module, recipe: Recipe, seed: int, data: Dataset, checkpoint: Path
) -> dict[str, Tensor]:
    """The masks that the run `ticket_of` leads to; `model` is masked at density 1."""
    state = read_finished(recipe.ticket_of, recipe, seed, data, checkpoint)["model"]
    return ticket_masks(model, recipe, seed, state)


@torch.no_grad()
def make_up_for_masks(model: nn.Module) -> None:
    """Multiply neuron i's weights by sqrt(fan_in / inputs it has left), in place.

    What `rigl_edu.sparse.he_per_neuron` does to He's weights, done to those that a network's
    builder drew: ResNet-20 without batch norm has smaller ones in each block's second convolution.
    """
    for layer in masked_layers(model).values():
        factor = he_std(fan_in(layer.mask)) / he_std(
            fan_in(torch.ones_like(layer.mask))
        )  # (C_out,)
        layer.weight.mul_(factor.to(layer.weight).view(-1, *[1] * (layer.weight.dim() - 1)))


def earlier_solutions(recipe: Recipe, seed: int, data: Dataset, checkpoint: Path) -> list[Weights]:
    """Of all runs that led to this one, the weights for the repellent loss; none without it."""
    if not recipe.repellent:
        return []
    device = data.train_images.device
    return [
        {
            name.removesuffix(".weight"): tensor.to(device)
            for name, tensor in state["model"].items()
            if name.endswith(".weight")
        }
        for _, state in ancestors(recipe, seed, data, checkpoint)
    ]
