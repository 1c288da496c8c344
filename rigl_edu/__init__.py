"""rigl_edu: sparse neural-network training, small enough to read.

The names below are the ones a reader types. The ideas live in `rigl_edu.sparse`, the world
(data, models, training, records) in `rigl_edu.lab`, what the pages need in `rigl_edu.teach`.
"""

from .sparse import (
    DSR,
    SET,
    SNFS,
    GradualPruning,
    MaskedConv2d,
    MaskedLinear,
    RigL,
    RigLSG,
    RigLSM,
    SNFSReproduced,
    Static,
    StructuredRigL,
    UpdateRule,
    compress,
    decompress,
    density,
    forward_flops,
    layer_table,
    prune,
    sparsify,
    sparsify_kernels,
)

__version__ = "0.1.0"
__all__ = [
    "DSR",
    "SET",
    "SNFS",
    "GradualPruning",
    "MaskedConv2d",
    "MaskedLinear",
    "RigL",
    "RigLSG",
    "RigLSM",
    "SNFSReproduced",
    "Static",
    "StructuredRigL",
    "UpdateRule",
    "compress",
    "decompress",
    "density",
    "forward_flops",
    "layer_table",
    "prune",
    "sparsify",
    "sparsify_kernels",
]
