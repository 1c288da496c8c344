"""A thin layer as coefficients of a wide layer's units, and the one move that changes them.

A unit is a neuron of a linear layer or a channel of a convolution. A layer has N of them, and the
next layer sees the mean of what they contribute. A thin layer offers a weighted mean instead, with
coefficients a_i >= 0, sum_i a_i = 1, few of them above 0. The one move goes along the line through
unit i, whose coefficients e_i are 1 at i and 0 elsewhere:

    a <- (1 - gamma) a + gamma e_i,    -a_i / (1 - a_i) <= gamma <= 1

Above 0 it adds unit i or gives it more weight; below 0 less, and at the lower end it removes it.
How i and gamma are chosen is the business of `greedy` and `greedy_global`; here is what they share.

Source: Ye, Wu & Liu 2020, "Greedy Optimization Provably Wins the Lottery". We have not seen its
pages on the algorithm: the interval is our reading, and the rules of `greedy_steps` are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Selection(NamedTuple):
    """Which units a thin layer keeps, and how much of each."""

    coefficients: Tensor  # (N,) float64, >= 0, sum 1; exactly 0 for a unit that is not kept
    kept: int  # how many are above 0
    discrepancy: float  # from the wide layer, >= 0; what it measures is up to the method


# From a selection and the units that may be moved (bool, (N,)) to the best one a step away.
Step = Callable[[Selection, Tensor], Selection]


def greedy_steps(first: Selection, step: Step, keep: int, tolerance: float) -> list[Selection]:
    """Take the best step again and again; D never rises.

    A step may be on any unit while fewer than `keep` are kept, then only on those kept, so that
    their coefficients become as good as such steps make them; a removal makes room again. A step
    that removes nothing and lowers D by no more than `tolerance` of it is not worth taking: the
    best step on a new unit is taken in its place, or, where there is no room for one, none.

    Without that rule the many small steps on units already kept would hold up the next unit, or
    end the search before there are `keep` of them.
    """
    check_keep(keep, len(first.coefficients))
    if not 0 <= tolerance < 1:
        raise ValueError(f"tolerance is {tolerance}; it must be at least 0 and below 1")
    steps = [first]
    while True:
        last = steps[-1]
        kept = last.coefficients > 0
        room = last.kept < keep
        new = step(last, kept | room)
        worth = new.kept < last.kept or new.discrepancy < (1 - tolerance) * last.discrepancy
        if room and not worth:
            new = step(last, ~kept)
        elif not worth:
            return steps
        if not new.discrepancy < last.discrepancy:
            return steps
        steps.append(new)


def lowest_gamma(a: Tensor) -> Tensor:
    """For each unit the gamma that removes it, -a_i / (1 - a_i); 0 for one that stands alone."""
    return torch.where(a < 1, -a / (1 - a), 0.0)


def move(a: Tensor, i: int, gamma: float) -> Tensor:
    """(1 - gamma) a + gamma e_i, as new coefficients; exactly 0 at i where gamma removes it."""
    moved = (1 - gamma) * a
    removes = gamma < 0 and gamma <= float(lowest_gamma(a)[i])
    # Rounding could leave a removed unit a trace of itself, and another a negative one.
    moved[i] = 0 if removes else max(0.0, float(moved[i]) + gamma)
    return moved


def check_keep(keep: int, units: int) -> None:
    """Raise a ValueError unless 1 <= keep <= units."""
    if not 1 <= keep <= units:
        raise ValueError(f"keep is {keep}; it must be at least 1 and at most the {units} units")
