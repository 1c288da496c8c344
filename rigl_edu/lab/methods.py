"""The methods as the training loop meets them: the rule, and what training costs."""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
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
    imp_flops,
    lottery_flops,
    pruning_flops,
    redistributed_rigl_flops,
    rigl_flops,
    snfs_flops,
    static_flops,
)

from .data import Dataset
from .late_masks import LateMasks
from .recipes import LAST_OF_SEVERAL, THIN, TICKETS, Recipe
from .start import UNMASKED, masks_of_ticket

REWIRING: dict[str, type[UpdateRule]] = {
    "set": SET,
    "snfs": SNFS,
    "snfs_reproduced": SNFSReproduced,
    "rigl": RigL,
    "rigl_sg": RigLSG,
    "rigl_sm": RigLSM,
    "rigl_struct": StructuredRigL,
}


def make_rule(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    seed: int,
    data: Dataset,
    checkpoint: Path,
) -> Rule | torch.optim.Optimizer:
    """The method as the object whose `step` the loop calls; arguments as of `start`."""
    if recipe.method in UNMASKED + THIN:
        return optimizer
    if recipe.rewind:
        masks = masks_of_ticket(model, recipe, seed, data, checkpoint)
        return LateMasks(model, optimizer, masks, recipe.rewind)
    if recipe.method in ("static", "snip", *TICKETS):
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
            found its masks; of a round of iterative pruning, its controls and a thin network the
            cost of each training that led to it, its own the last. The few dense steps before a
            rewinding are left out.
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
    if method in LAST_OF_SEVERAL:
        return imp_flops(readings)
    if method == "lottery":
        return lottery_flops(statistics.mean(readings), f_s)
    if method == "dsr":
        return dsr_flops(statistics.mean(readings))
    # Also SNIP, whose one dense pass the papers leave out, and a small dense network by its own.
    return static_flops(f_s)
