"""Linear interpolation: is there a hill between two trained networks?

Walk on the straight line between two networks' weights and evaluate at every point. If the error
stays low all the way, both lie in one basin; if it rises, a barrier separates them. Trained twice
from one start with two orders of the data, a network that ends in one basin is called *stable*,
and lottery tickets appear where training is stable (Maene et al. 2021).

A network is a *state* here: a copy of its state dict, masks included (`copy_state`). The statistics
of batch norm between two networks are nobody's: interpolated, they fit neither end.
`batch_norm.reestimate_batch_norm` measures them anew at each point.

Sources: Maene, Li & Moens (2021), "Towards Understanding Iterative Magnitude Pruning"; Evci et al.
(2022), gradient flow, for the grid of plots; Frankle et al. (2020), "Linear Mode Connectivity and
the Lottery Ticket Hypothesis". Re-estimating batch norm and masks that differ are ours.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from math import isfinite, isnan

import torch
from torch import Tensor, nn

from .layers import refuse_compressed

State = Mapping[str, Tensor]  # as `model.state_dict()` names them

# As fractions, so that 0 and 1 are hit exactly.
PLOT_ALPHAS = tuple(i / 20 for i in range(-4, 25))  # 29 from -0.2 to 1.2: Evci et al. 2022
LII_ALPHAS = tuple(i / 29 for i in range(30))  # 30 from 0 to 1: Frankle et al. 2020


def copy_state(model: nn.Module) -> dict[str, Tensor]:
    """A copy of all weights, buffers and masks, which training on does not change."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


@torch.no_grad()
def interpolate(first: State, second: State, alpha: float) -> dict[str, Tensor]:
    """The state at (1 - alpha) first + alpha second.

    That holds for weights, biases and every other tensor of floats. A mask is not a point on a
    line: the result has the union of both, where a weight of either end may be nonzero. So the ends
    compute what they did, and between two different masks the network is denser than each. Whole
    numbers (batch norm's count of batches) are the first end's.

    Args:
        first: the state at alpha = 0.
        second: the state at alpha = 1; same names and shapes.
        alpha: any finite number; outside [0, 1] the line goes on beyond the ends.
    """
    _check_alike(first, second)
    if not isfinite(alpha):
        raise ValueError(f"alpha is {alpha}; it must be finite")
    point = {}
    for name, start in first.items():
        if name.rpartition(".")[2] == "mask":
            point[name] = torch.maximum(start, second[name])
        elif start.is_floating_point():
            # lerp gives each end exactly; (1 - alpha) * start + alpha * end rounds. Where the ends
            # are equal so is the point, infinities included, of which a line would make NaN.
            end = second[name]
            point[name] = torch.where(start == end, start, torch.lerp(start, end, alpha))
        else:
            point[name] = start.clone()
    return point


def path(
    model: nn.Module,
    first: State,
    second: State,
    evaluate: Callable[[nn.Module], float],
    alphas: Sequence[float],
    prepare: Callable[[nn.Module], object] | None = None,
) -> list[float]:
    """What `evaluate` says of the network at each alpha between two states.

    Args:
        model: of the states' architecture. Every point is a fresh copy of it, in its mode; the
            model itself is not touched.
        first: the state at alpha = 0.
        second: the state at alpha = 1.
        evaluate: model -> loss, or error in percent.
        alphas: where, for example `PLOT_ALPHAS` or `LII_ALPHAS`.
        prepare: called with the model before each evaluation, at the ends too, for example
            `lambda model: reestimate_batch_norm(model, batches)`.

    Raises:
        ValueError: if the states do not fit each other or the model, or an alpha is not finite.
    """
    refuse_compressed(model)
    for state in (first, second):
        _check_alike(model.state_dict(), state)
    if not all(isfinite(alpha) for alpha in alphas):
        raise ValueError(f"alphas are {list(alphas)}; each must be finite")
    values = []
    for alpha in alphas:
        point = copy.deepcopy(model)
        point.load_state_dict(interpolate(first, second, alpha))
        if prepare is not None:
            prepare(point)
        values.append(float(evaluate(point)))
    return values


def lii(values: Sequence[float], alphas: Sequence[float]) -> float:
    """Linear interpolation instability: max of E(alpha) over [0, 1] - (E(0) + E(1)) / 2.

    Maene et al. (2021). The ends are one start and mask trained twice, in two orders of the data.
    With the solutions of two successive pruning rounds as ends, the same number is their barrier
    between rounds (20 points). Frankle et al. (2020) use the same form and fix what E is: the error
    in percent, not the loss, at 30 points, averaged over 3 starts with 3 orders each; a network
    below 2 is stable. Ends that differ by 2 d have an LII of at least d, hill or not.

    Args:
        values: E at each alpha, as `path` gives them.
        alphas: must contain 0 and 1; those outside [0, 1] are ignored.

    Returns:
        In the unit of E, at least 0.
    """
    if len(values) != len(alphas):
        raise ValueError(f"there are {len(values)} values for {len(alphas)} alphas")
    slack = 1e-9  # 0 and 1 of numpy.linspace(-0.2, 1.2, 29) are off by a rounding
    pairs = sorted(zip(alphas, values, strict=True))
    inside = [(alpha, value) for alpha, value in pairs if -slack <= alpha <= 1 + slack]
    if not inside or inside[0][0] > slack or inside[-1][0] < 1 - slack:
        raise ValueError(f"alphas are {list(alphas)}; both ends, 0 and 1, must be among them")
    between = [value for _, value in inside]
    if any(isnan(value) for value in between):
        raise ValueError(f"values are {list(values)}; one is not a number")
    return max(between) - (between[0] + between[-1]) / 2


def _check_alike(first: State, second: State) -> None:
    """Raise unless two states have the same names and shapes."""
    if first.keys() != second.keys():
        wrong = sorted(first.keys() ^ second.keys())
        raise ValueError(f"two states must name the same tensors; only one has {wrong}")
    for name, tensor in first.items():
        if tensor.shape != second[name].shape:
            raise ValueError(
                f"{name!r} has shape {tuple(tensor.shape)} in one state and "
                f"{tuple(second[name].shape)} in the other"
            )
