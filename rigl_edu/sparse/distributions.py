"""Where the ones go: how a global density is shared among the layers.

A layer l has N_l weights and density d_l, the share of them that exists. A *distribution* maps
the layers' shapes and one global density d to the d_l. Uniform gives every layer the same; ER and
ERK give small layers more. ER and ERK keep sum_l d_l N_l = d sum_l N_l. `shapes` are the weights'
shapes by layer name, (n_out, n_in) or (n_out, n_in / groups, k_h, k_w); `density` and what comes
back, a density for each name, are shares above 0 and at most 1. Anything else is a ValueError.

Sources: ER from SET (Mocanu et al. 2018, eq. 1); ERK and the rule for a layer that would exceed
density 1 from RigL (Evci et al. 2020, section 3 (1)); uniform keeps the first layer dense
(same place).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import floor, prod

Shapes = Mapping[str, tuple[int, ...]]  # layer name -> shape of its weight
Densities = dict[str, float]  # layer name -> share of its weights that exists
Distribution = Callable[[Shapes, float], Densities]


def uniform(shapes: Shapes, density: float) -> Densities:
    """d_l = d for every layer but the first, which stays dense.

    The first layer is small and every later one depends on it. Nothing is taken from the others
    in return, so the network ends slightly above d.
    """
    check_density(density)
    first = next(iter(shapes))
    return {name: 1.0 if name == first else density for name in shapes}


def er(shapes: Shapes, density: float) -> Densities:
    """Erdős–Rényi: d_l = eps (n_in + n_out) / (n_in n_out), kernel size ignored."""
    return _scale_to_total(shapes, density, lambda n_out, n_in, *_: (n_in + n_out) / (n_in * n_out))


def erk(shapes: Shapes, density: float) -> Densities:
    """Erdős–Rényi kernel: d_l = eps (n_in + n_out + k_h + k_w) / (n_in n_out k_h k_w).

    The same as ER for a fully connected layer.
    """
    return _scale_to_total(shapes, density, lambda *shape: sum(shape) / prod(shape))


def _scale_to_total(shapes: Shapes, density: float, ratio_of: Callable[..., float]) -> Densities:
    """Find eps so that d_l = eps * ratio_l adds up to the global density.

    A layer with eps * ratio_l > 1 cannot hold that many weights: it becomes dense, what it took
    comes out of the others' share, and eps is solved again, until every d_l <= 1. Cutting d_l off
    at 1 instead would lose the surplus: 0.416 instead of 0.5 for WRN-22-2.
    """
    check_density(density)
    sizes = {name: prod(shape) for name, shape in shapes.items()}
    ratios = {name: ratio_of(*shape) for name, shape in shapes.items()}
    total = density * sum(sizes.values())
    dense: set[str] = set()
    while len(dense) < len(shapes):
        free = [name for name in shapes if name not in dense]
        left = total - sum(sizes[name] for name in dense)
        eps = left / sum(ratios[name] * sizes[name] for name in free)
        full = {name for name in free if eps * ratios[name] > 1}
        if not full:
            return {name: 1.0 if name in dense else eps * ratios[name] for name in shapes}
        dense |= full
    return dict.fromkeys(shapes, 1.0)


def active_counts(shapes: Shapes, densities: Mapping[str, float]) -> dict[str, int]:
    """Whole numbers of weights: n_l near d_l N_l, and sum_l n_l = round(sum_l d_l N_l) exactly.

    Every layer gets the floor; the weights still missing go to the largest remainders.

    Args:
        shapes: of the weights, by layer name.
        densities: d_l by the same names.

    Raises:
        ValueError: if a density is outside (0, 1] or leaves a layer without any weight.
    """
    sizes = {name: prod(shape) for name, shape in shapes.items()}
    for name, d in densities.items():
        check_density(d, f"density of layer {name!r}")
    exact = {name: densities[name] * sizes[name] for name in sizes}
    # The slack keeps 0.29 * 100 = 28.999999999999996 from becoming 28.
    counts = {name: min(sizes[name], floor(exact[name] + 1e-9)) for name in sizes}
    missing = round(sum(exact.values())) - sum(counts.values())
    by_remainder = sorted(sizes, key=lambda name: counts[name] - exact[name])
    for name in [name for name in by_remainder if counts[name] < sizes[name]][:missing]:
        counts[name] += 1
    for name, count in counts.items():
        if count == 0:
            raise ValueError(
                f"density {densities[name]:.3g} leaves layer {name!r} with none of its "
                f"{sizes[name]} weights; it needs at least {1 / sizes[name]:.3g}"
            )
    return counts


def check_density(density: float, what: str = "density") -> None:
    """Raise a ValueError unless 0 < density <= 1."""
    if not 0 < density <= 1:
        raise ValueError(f"{what} is {density}; it must be above 0 and at most 1")
