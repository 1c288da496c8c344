"""Every rule of the package, made the same way, for the tests that hold for all of them."""

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
    sparsify,
    sparsify_kernels,
)

DROP_AND_GROW = {
    "SET": SET,
    "SNFS": SNFS,
    "SNFSReproduced": SNFSReproduced,
    "RigL": RigL,
    "RigLSG": RigLSG,
    "RigLSM": RigLSM,
    "StructuredRigL": StructuredRigL,
}
RULES = ("Static", *DROP_AND_GROW, "DSR", "GradualPruning")
# Each layer keeps its number of weights; the network keeps its own; or it only shrinks.
LAYERS_KEEP = {"Static", "SET", "RigL", "StructuredRigL"}
NETWORK_KEEPS = {"SNFS", "SNFSReproduced", "RigLSG", "RigLSM", "DSR"}
SGD_ONLY = {"SNFSReproduced"}


def masked(name: str, model: nn.Module, density: float, *, seed: int = 0) -> nn.Module:
    """Give a dense model the masks that the rule starts from."""
    if name == "StructuredRigL":
        return sparsify_kernels(model, density, seed=seed)
    return sparsify(model, 1.0 if name == "GradualPruning" else density, seed=seed)


def make_rule(
    name: str,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    every: int,
    until: int,
    fraction: float = 0.5,
    seed: int = 0,
    **options,
) -> Rule:
    """The rule; DSR's first threshold is in the range of small networks' weights."""
    if name == "Static":
        return Static(model, optimizer)
    if name == "GradualPruning":
        return GradualPruning(model, optimizer, 0.2, every=every, start=every, until=until)
    if name == "DSR":
        return DSR(model, optimizer, every=every, until=until, threshold=0.05, seed=seed)
    return DROP_AND_GROW[name](
        model, optimizer, every=every, until=until, fraction=fraction, seed=seed, **options
    )


def sgd(model: nn.Module, lr: float = 0.1) -> torch.optim.Optimizer:
    """The reproduction's optimizer."""
    return torch.optim.SGD(model.parameters(), lr, momentum=0.9, nesterov=True, weight_decay=5e-4)
