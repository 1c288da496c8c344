"""The ideas of sparse training, one file each. Imports torch and nothing else."""

from .angle import angular_distance, as_vector, masked_weights
from .batch_norm import reestimate_batch_norm
from .compress import compress, decompress
from .compressed import Compressed
from .compressed_layers import CompressedConv2d, CompressedLinear, sparse_layers
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
from .curvature import hessian, spectrum
from .distributions import active_counts, er, erk, uniform
from .dsr import DSR, decide_dsr, next_threshold
from .flops import forward_flops
from .function_space import (
    accuracy,
    disagreement,
    ensemble_accuracy,
    ensemble_gain,
    mutual_disagreement,
)
from .gradient_flow import gradient_norm, norms_across_step
from .gradual import GradualPruning, cubic_density
from .greedy import (
    centred_gram,
    greedy_fixed_steps,
    greedy_line_search,
    line_search_step,
    random_units,
)
from .greedy_global import first_order_step, greedy_first_order, search_line
from .imitation import choose_better, choose_globally, choose_locally, imitate_layer_by_layer
from .initialisation import (
    fan_in,
    he_dense,
    he_per_layer,
    he_per_neuron,
    he_std,
    initialise_dense,
    initialise_per_layer,
    initialise_per_neuron,
)
from .interpolation import LII_ALPHAS, PLOT_ALPHAS, copy_state, interpolate, lii, path
from .largest_weights import overlap, overlap_of_layers
from .layers import MaskedConv2d, MaskedLinear, masked_layers
from .lottery import Round, imp, ticket_sizes
from .masks import drop, grow
from .methods import SET, SNFS, RigL, RigLSG, RigLSM, Static
from .pruning import keep_globally, keep_per_layer, magnitudes, prune, saliencies
from .repellent import mean_squared_cosine, repellent_loss
from .report import LayerRow, density, layer_table
from .rewinding import rewind, shuffle_masks, snapshot
from .rewire import LayerUpdate, NewMask, decide
from .rule import Rule
from .rules import UpdateRule
from .schedule import cosine_fraction, drop_count, rewires_at
from .selection import Selection
from .shrink import shrink
from .snfs_reproduced import DenseBuffer, SNFSReproduced
from .sparsify import random_mask, sparsify
from .structured import StructuredRigL, of_kernels, sparsify_kernels
from .ticket_verdict import Condition, Verdict, verdict
from .training_flops import (
    dsr_flops,
    imp_flops,
    longer_flops,
    lottery_flops,
    pruning_flops,
    redistributed_rigl_flops,
    rigl_flops,
    snfs_flops,
    snip_flops,
    static_flops,
)
from .unit_responses import output_discrepancy, responses
from .units import Units, gated, keep_units

__all__ = [
    "Compressed",
    "CompressedConv2d",
    "CompressedLinear",
    "Condition",
    "DSR",
    "DenseBuffer",
    "GradualPruning",
    "LII_ALPHAS",
    "Layer",
    "LayerRow",
    "LayerUpdate",
    "MaskedConv2d",
    "MaskedLinear",
    "NewMask",
    "PLOT_ALPHAS",
    "RigL",
    "RigLSG",
    "RigLSM",
    "Round",
    "Rule",
    "SET",
    "SNFS",
    "SNFSReproduced",
    "Selection",
    "Static",
    "StructuredRigL",
    "Units",
    "UpdateRule",
    "Verdict",
    "accuracy",
    "active_counts",
    "angular_distance",
    "as_vector",
    "centred_gram",
    "choose_better",
    "choose_globally",
    "choose_locally",
    "compress",
    "copy_state",
    "cosine_fraction",
    "cubic_density",
    "decide",
    "decide_dsr",
    "decompress",
    "density",
    "disagreement",
    "drop",
    "drop_count",
    "dsr_flops",
    "ensemble_accuracy",
    "ensemble_gain",
    "er",
    "erk",
    "fan_in",
    "first_order_step",
    "forward_flops",
    "gated",
    "gradient",
    "gradient_norm",
    "greedy_first_order",
    "greedy_fixed_steps",
    "greedy_line_search",
    "grow",
    "he_dense",
    "he_per_layer",
    "he_per_neuron",
    "he_std",
    "hessian",
    "imitate_layer_by_layer",
    "imp",
    "imp_flops",
    "initialise_dense",
    "initialise_per_layer",
    "initialise_per_neuron",
    "interpolate",
    "keep_globally",
    "keep_per_layer",
    "keep_units",
    "layer_table",
    "lii",
    "line_search_step",
    "longer_flops",
    "lottery_flops",
    "magnitude",
    "magnitudes",
    "masked_layers",
    "masked_weights",
    "mean_gradient",
    "mean_magnitude",
    "mean_momentum",
    "mean_optimizer_momentum",
    "mean_squared_cosine",
    "momentum",
    "mutual_disagreement",
    "next_threshold",
    "nonzeros",
    "norms_across_step",
    "of_kernels",
    "output_discrepancy",
    "overlap",
    "overlap_of_layers",
    "path",
    "prune",
    "pruning_flops",
    "random",
    "random_mask",
    "random_units",
    "redistributed_rigl_flops",
    "reestimate_batch_norm",
    "repellent_loss",
    "responses",
    "rewind",
    "rewires_at",
    "rigl_flops",
    "saliencies",
    "search_line",
    "share",
    "shrink",
    "shuffle_masks",
    "snapshot",
    "snfs_flops",
    "snip_flops",
    "sparsify",
    "sparsify_kernels",
    "sparse_layers",
    "spectrum",
    "static_flops",
    "ticket_sizes",
    "uniform",
    "verdict",
]
