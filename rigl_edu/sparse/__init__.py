"""The ideas of sparse training, one file each. Imports torch and numpy and nothing else."""

from .criteria import (
    Layer,
    gradient,
    magnitude,
    mean_gradient,
    mean_magnitude,
    mean_momentum,
    mean_optimizer_momentum,
    momentum,
    nonzeros,
    random,
    share,
)
from .distributions import active_counts, er, erk, uniform
from .dsr import DSR, decide_dsr, next_threshold
from .flops import forward_flops, pruning_flops, rigl_flops, snfs_flops, static_flops
from .gradual import GradualPruning, cubic_density
from .layers import MaskedConv2d, MaskedLinear, masked_layers
from .masks import drop, grow
from .methods import SET, SNFS, RigL, RigLSG, RigLSM, Static
from .pruning import keep_globally, keep_per_layer, magnitudes, prune, saliencies
from .report import LayerRow, density, layer_table
from .rewire import LayerUpdate, NewMask, decide
from .rule import Rule
from .rules import UpdateRule
from .schedule import cosine_fraction, drop_count, rewires_at
from .snfs_reproduced import DenseBuffer, SNFSReproduced
from .sparsify import random_mask, sparsify
from .structured import StructuredRigL, of_kernels, sparsify_kernels

__all__ = [
    "DSR",
    "DenseBuffer",
    "GradualPruning",
    "Layer",
    "LayerRow",
    "LayerUpdate",
    "MaskedConv2d",
    "MaskedLinear",
    "NewMask",
    "RigL",
    "RigLSG",
    "RigLSM",
    "Rule",
    "SET",
    "SNFS",
    "SNFSReproduced",
    "Static",
    "StructuredRigL",
    "UpdateRule",
    "active_counts",
    "cosine_fraction",
    "cubic_density",
    "decide",
    "decide_dsr",
    "density",
    "drop",
    "drop_count",
    "er",
    "erk",
    "forward_flops",
    "gradient",
    "grow",
    "keep_globally",
    "keep_per_layer",
    "layer_table",
    "magnitude",
    "magnitudes",
    "masked_layers",
    "mean_gradient",
    "mean_magnitude",
    "mean_momentum",
    "mean_optimizer_momentum",
    "momentum",
    "next_threshold",
    "nonzeros",
    "of_kernels",
    "prune",
    "pruning_flops",
    "random",
    "random_mask",
    "rewires_at",
    "rigl_flops",
    "saliencies",
    "share",
    "snfs_flops",
    "sparsify",
    "sparsify_kernels",
    "static_flops",
    "uniform",
]
