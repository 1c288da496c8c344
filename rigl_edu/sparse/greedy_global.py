"""Global imitation: pick the few units of one layer that change the whole network's output least.

The discrepancy is now any differentiable function D(a) of one layer's coefficients, such as the
mean squared change of the network's outputs (`imitation.output_discrepancy`). Trying each unit with
each gamma would cost a pass through the network for each. To first order all are known from one
gradient g of D at a: along the line through unit i (`selection`)

    D((1 - gamma) a + gamma e_i) = D(a) + gamma (g_i - g'a) + ...

so the unit with the lowest slope g_i - g'a is the one to add, and of those kept the one with the
highest is the one to take weight from. The steeper of the two moves is made, as far as D itself,
not its first order, keeps falling.

Source: Ye, Wu & Liu 2020, "Greedy Optimization Provably Wins the Lottery", for global imitation
with a Taylor approximation. We have not seen its form there: the comparison of slopes for adding
and removing (Frank-Wolfe with away steps) and the search along the line are ours.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .selection import Selection, check_keep, greedy_steps, lowest_gamma, move

Discrepancy = Callable[[Tensor], Tensor]  # coefficients (N,) float64 on the CPU -> a scalar

TRIES = 10  # evaluations of D along one line, at most; 2 where D is a parabola


def greedy_first_order(
    discrepancy: Discrepancy, n: int, keep: int, tolerance: float = 1e-3
) -> list[Selection]:
    """Start from the best single unit, then take `first_order_step`s, until none pays.

    The start costs N evaluations of D, a step one gradient and about two evaluations.

    Args:
        discrepancy: D, differentiable, 0 or more.
        n: how many units the layer has, N in the formulas.
        keep: how many may be kept, 1 <= keep <= N.
        tolerance: what share of D a step must lower it by, see `selection.greedy_steps`.

    Returns:
        One selection a step, D falling. The last has at most `keep` units and is the best.

    Raises:
        ValueError: for an impossible number, or a D that is not finite for a single unit.
    """
    check_keep(keep, n)
    alone = torch.eye(n, dtype=torch.float64, device="cpu")  # (N, N) row i: only unit i
    values = torch.tensor([_value(discrepancy, a) for a in alone], device="cpu")
    if not values.isfinite().all():
        raise ValueError(f"the discrepancies of the single units are {values}; all must be finite")
    first = Selection(alone[int(values.argmin())], 1, float(values.min()))

    def step(last: Selection, candidates: Tensor) -> Selection:
        return first_order_step(discrepancy, last, candidates)

    return greedy_steps(first, step, keep, tolerance)


def first_order_step(discrepancy: Discrepancy, last: Selection, candidates: Tensor) -> Selection:
    """Make the move that D's gradient favours, as far as D falls.

    Args:
        discrepancy: D.
        last: where to start.
        candidates: the units to choose among, bool, (N,).

    Returns:
        The selection there; `last` if D falls nowhere along the line. Ties go to adding before
        removing, and to the lower unit.
    """
    a = last.coefficients.clone().requires_grad_()
    with torch.enable_grad():  # whatever the caller has switched off
        (gradient,) = torch.autograd.grad(discrepancy(a), a)
    a = a.detach()
    slope = gradient - gradient @ a  # (N,)
    add = int(slope.masked_fill(~candidates, torch.inf).argmin())
    away = slope.masked_fill(~candidates | (a == 0), -torch.inf)  # (N,)
    remove = int(away.argmax())
    i, end = add, 1.0
    if away[remove] > -slope[add]:
        i, end = remove, float(lowest_gamma(a)[remove])
    gamma, value = search_line(
        lambda gamma: _value(discrepancy, move(a, i, gamma)),
        last.discrepancy,
        float(slope[i]),
        end,
    )
    if gamma == 0:
        return last
    a = move(a, i, gamma)
    return Selection(a, int(a.count_nonzero()), value)


def search_line(
    value_at: Callable[[float], float], value: float, slope: float, end: float
) -> tuple[float, float]:
    """A gamma between 0 and `end` where D is low: never higher than at 0.

    Try the end first. Then, again and again, put a parabola through the value and slope at 0 and
    the value just seen, and go to its lowest point. If D is a parabola the first one is right; if
    D rose, the parabola's lowest point is less than half as far out.

    Args:
        value_at: D as a function of gamma.
        value: D at gamma = 0.
        slope: its derivative there.
        end: how far to go at most; negative to search the other way.

    Returns:
        The best gamma tried and its D; (0, value) if none was below.
    """
    best = 0.0, value
    descent = slope * end  # the derivative by t = gamma / end
    t = 1.0
    for _ in range(TRIES if descent < 0 else 0):
        new = value_at(end * t)
        if new < best[1]:
            best = end * t, new
        bend = new - value - descent * t  # what is not linear
        lowest = min(1.0, -descent * t * t / (2 * bend)) if bend > 0 else 1.0
        if abs(lowest - t) <= 0.01 * t:
            break
        t = lowest
    return best


@torch.no_grad()
def _value(discrepancy: Discrepancy, a: Tensor) -> float:
    return float(discrepancy(a))
