"""The methods as the training loop meets them: first masks, the rule, and what training costs."""

import copy
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from rigl_edu.sparse import (
    DSR,
    SET,
    SNFS,
    GradualPruning,
    RigL,
    RigLSG,
    RigLSM,
    Rule,
    SNFSReproduced,
    Static,
    StructuredRigL,
    UpdateRule,
    dsr_flops,
    lottery_flops,
    prune,
    pruning_flops,
    redistributed_rigl_flops,
    rigl_flops,
    saliencies,
    snfs_flops,
    sparsify,
    sparsify_kernels,
    static_flops,
)

from .augment import normalise
from .data import Dataset
from .recipes import Recipe
from .tickets import read_ticket, take_masks

# Methods of a network without masks; the others have a rule.
UNMASKED = ("dense", "small_dense")
REWIRING: dict[str, type[UpdateRule]] = {
    "set": SET,
    "snfs": SNFS,
    "snfs_reproduced": SNFSReproduced,
    "rigl": RigL,
    "rigl_sg": RigLSG,
    "rigl_sm": RigLSM,
    "rigl_struct": StructuredRigL,
}


def start_masks(
    model: nn.Module, recipe: Recipe, seed: int, data: Dataset, checkpoint: Path
) -> None:
    """Give the network the masks with which the method's training starts.

    Args:
        model: dense, on the training device; changed in place.
        recipe: its method, density and distribution.
        seed: of random masks.
        data: SNIP looks at the first batch of its training images.
        checkpoint: the run's own; a run with `ticket_of` finds its masks in one beside it.

    Raises:
        ValueError: there is no finished run to take a ticket's masks from.
    """
    if recipe.method in UNMASKED:
        return
    if recipe.method == "rigl_struct":
        sparsify_kernels(model, recipe.density, recipe.distribution, seed=seed)
    elif recipe.method in ("pruning", "snip") or recipe.ticket_of:
        # All ones. "uniform" leaves the first layer out of the ranking, as the reproduction did.
        sparsify(model, 1.0, recipe.distribution, seed=seed)
    else:
        sparsify(model, recipe.density, recipe.distribution, seed=seed)
    if recipe.ticket_of:
        take_masks(model, read_ticket(recipe, seed, data, checkpoint)["model"])
    if recipe.method == "snip":
        probe = copy.deepcopy(model)  # so that batch norms and gradients stay as they were
        images, labels = data.train_images[: recipe.batch], data.train_labels[: recipe.batch]
        F.cross_entropy(probe(normalise(images, data.mean, data.std)), labels).backward()
        prune(model, recipe.density, scores=saliencies(probe))


def make_rule(
    model: nn.Module, optimizer: torch.optim.Optimizer, recipe: Recipe, seed: int
) -> Rule | torch.optim.Optimizer:
    """The method as the object whose `step` the loop calls."""
    if recipe.method in UNMASKED:
        return optimizer
    if recipe.method in ("static", "lottery", "snip"):
        return Static(model, optimizer)
    schedule: dict[str, Any] = {"every": recipe.every, "until": recipe.until}
    if recipe.method == "pruning":
        return GradualPruning(
            model, optimizer, recipe.density, start=recipe.prune_start, **schedule
        )
    if recipe.method == "dsr":
        return DSR(model, optimizer, seed=seed, **schedule)
    return REWIRING[recipe.method](
        model,
        optimizer,
        fraction=recipe.fraction,
        regrown=recipe.regrown,
        seed=seed,
        **schedule,
    )


def width_scale(recipe: Recipe) -> float:
    """Factor of all channel counts: sqrt(density) for a small dense network, else 1."""
    return math.sqrt(recipe.density) if recipe.method == "small_dense" else 1.0


def train_flops(recipe: Recipe, f_s: float, f_d: float, readings: Sequence[float]) -> float:
    """Training FLOPs a sample by the papers' formulas.

    Args:
        recipe: its method counts, and RigL's `every`.
        f_s: forward FLOPs at the end; constant where no layer gains at another's cost.
        f_d: of the dense network.
        readings: f_s at the start and at the end of each epoch, for the mean over training of
            methods that change the layers' densities; of a lottery run those of the training that
            found its masks.
    """
    method = recipe.method
    if method == "dense":
        return 3 * f_d
    if method in ("rigl", "rigl_struct"):
        return rigl_flops(f_s, f_d, recipe.every)
    if method in ("rigl_sg", "rigl_sm"):
        return redistributed_rigl_flops(statistics.mean(readings), f_d, recipe.every)
    if method in ("snfs", "snfs_reproduced"):
        return snfs_flops(statistics.mean(readings), f_d)
    if method == "pruning":
        return pruning_flops(statistics.mean(readings))
    if method == "lottery":
        return lottery_flops(statistics.mean(readings), f_s)
    if method == "dsr":
        return dsr_flops(statistics.mean(readings))
    # Also SNIP, whose one dense pass the papers leave out, and a small dense network by its own.
    return static_flops(f_s)
