"""The ideas of sparse training, one file each. Imports torch and numpy and nothing else."""

from .criteria import Layer, gradient, magnitude, mean_momentum, momentum, random, share
from .distributions import active_counts, er, erk, uniform
from .flops import forward_flops, pruning_flops, rigl_flops, snfs_flops, static_flops
from .layers import MaskedConv2d, MaskedLinear, masked_layers
from .masks import drop, grow
from .methods import SET, SNFS, RigL, Static
from .report import LayerRow, density, layer_table
from .rewire import LayerUpdate, NewMask, decide
from .rules import UpdateRule
from .schedule import cosine_fraction, drop_count, rewires_at
from .sparsify import random_mask, sparsify

__all__ = [
    "SET",
    "SNFS",
    "Layer",
    "LayerRow",
    "LayerUpdate",
    "MaskedConv2d",
    "MaskedLinear",
    "NewMask",
    "RigL",
    "Static",
    "UpdateRule",
    "active_counts",
    "cosine_fraction",
    "decide",
    "density",
    "drop",
    "drop_count",
    "er",
    "erk",
    "forward_flops",
    "gradient",
    "grow",
    "layer_table",
    "magnitude",
    "masked_layers",
    "mean_momentum",
    "momentum",
    "pruning_flops",
    "random",
    "random_mask",
    "rewires_at",
    "rigl_flops",
    "share",
    "snfs_flops",
    "sparsify",
    "static_flops",
    "uniform",
]
