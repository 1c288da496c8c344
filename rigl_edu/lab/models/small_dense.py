"""Small-dense: the honest baseline of a sparse network, a dense one of about the same size.

A layer between two hidden layers has C_in C_out weights (times its kernel), so scaling every width
by sqrt(density) leaves the share `density` of them. A sparse network that does not beat this one
has only bought irregular memory access.

Source: RigL (Evci et al. 2020), section 4; widths as Sundar and Dwaraknath 2021 built them.
"""

import math
from collections.abc import Callable
from typing import Any

from torch import nn

from rigl_edu.sparse.distributions import check_density


def small_dense(builder: Callable[..., nn.Module], density: float, **arguments: Any) -> nn.Module:
    """The network of a builder with every width c replaced by int(sqrt(density) c).

    Image channels and classes stay, so the first and the last layer shrink by sqrt(density) only.

    Args:
        builder: one of `BUILDERS`, or any function that takes `scale`.
        density: the share of weights to aim at, above 0 and at most 1.
        **arguments: the builder's other arguments, by name.

    Raises:
        ValueError: for an impossible density, or one that leaves a layer without channels.
    """
    check_density(density)
    return builder(scale=math.sqrt(density), **arguments)
