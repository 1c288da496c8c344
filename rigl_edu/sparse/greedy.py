"""Local imitation: pick the few units whose weighted mean looks most like the mean of all.

Let h_i be unit i's response: what it contributes to the next layer, times N, over all samples and
outputs, F numbers in all. The layer shows h, the mean of the h_i, and a thin layer (`selection`)
sum_i a_i h_i. The discrepancy is the mean over the F numbers of the squared difference:

    D(a) = ||sum_i a_i h_i - h||^2 / F = a' C a,    C_ij = <h_i - h, h_j - h> / F

because the a_i add up to 1. C is the centred Gram matrix. It is all the methods below need: one
step is one product of an N x N matrix with a vector, however many samples there were.

Sources: Ye, Wu & Liu 2020, "Greedy Optimization Provably Wins the Lottery", for greedy selection by
local imitation (the step's form is our reading, see `selection`); Ye et al. 2020, "Good Subnetworks
Provably Exist", for steps of 1/k, there taken on the task loss.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from .selection import Selection, check_keep, greedy_steps, lowest_gamma, move


def centred_gram(batches: Iterable[Tensor]) -> Tensor:
    """C_ij = <h_i - h, h_j - h> / F, in float64.

    h is a mean over units, so each batch can be centred on its own, before anything is squared.

    Args:
        batches: responses (N, F_b), a row for each of the same N units; F = sum_b F_b.

    Returns:
        C, (N, N), on the responses' device. Its rows add up to 0.

    Raises:
        ValueError: if there is no batch, or a batch is no matrix with N rows.
    """
    total: Tensor | None = None
    features = 0
    for responses in batches:
        units = None if total is None else len(total)
        if responses.ndim != 2 or not responses.numel() or units not in (None, len(responses)):
            raise ValueError(
                f"responses have shape {tuple(responses.shape)}; each batch must be a matrix of "
                f"(units, features), with {units or 'at least 1'} units"
            )
        centred = responses.double() - responses.double().mean(0)  # (N, F_b)
        product = centred @ centred.T  # (N, N)
        total = product if total is None else total + product
        features += responses.shape[1]
    if total is None:
        raise ValueError("no batch of responses was given; at least 1 is needed")
    return total / features


def greedy_line_search(gram: Tensor, keep: int, tolerance: float = 1e-4) -> list[Selection]:
    """Start from the best single unit, then take the best `line_search_step`, until none pays.

    Args:
        gram: C, (N, N), of `centred_gram`.
        keep: how many units may be kept, 1 <= keep <= N.
        tolerance: what share of D a step must lower it by, see `selection.greedy_steps`.

    Returns:
        One selection a step, D falling. The last has at most `keep` units and is the best.

    Raises:
        ValueError: for a matrix that is not a centred Gram matrix, or an impossible number.
    """
    gram = _checked(gram)
    best = int(gram.diagonal().argmin())  # D(e_i) = C_ii
    a = torch.zeros_like(gram[0])
    a[best] = 1

    def step(last: Selection, candidates: Tensor) -> Selection:
        return _select(gram, line_search_step(gram, last.coefficients, candidates))

    return greedy_steps(_select(gram, a), step, keep, tolerance)


def line_search_step(gram: Tensor, a: Tensor, candidates: Tensor) -> Tensor:
    """Move `a` along the line through the unit i, by the gamma, that lower D most.

    On each line D is a parabola, so its lowest point is known at once:

        D(gamma) = D + 2 gamma (q_i - D) + gamma^2 (C_ii - 2 q_i + D),    q = C a

    That point is cut off at the ends of the interval of `selection`. Ties go to the lower i.

    Args:
        gram: C, (N, N), float64.
        a: coefficients, (N,), float64.
        candidates: the units to choose among, bool, (N,).
    """
    q = gram @ a  # (N,)
    d = a @ q
    half_slope = q - d  # (N,)
    curvature = gram.diagonal() - 2 * q + d  # (N,) squared distance of unit i from the mixture
    # No distance, no direction: unit i is all there is, or responds just as the mixture does.
    somewhere = curvature > torch.finfo(gram.dtype).eps * gram.diagonal().max()
    gamma = torch.where(somewhere, -half_slope / curvature, 0.0)  # (N,)
    gamma = gamma.clamp(min=lowest_gamma(a)).clamp(max=1)
    change = gamma * (2 * half_slope + gamma * curvature)  # (N,) of D, at most 0
    i = int(change.masked_fill(~candidates, torch.inf).argmin())
    return move(a, i, float(gamma[i]))


def greedy_fixed_steps(gram: Tensor, steps: int) -> list[Selection]:
    """In step k pick the unit that makes the mean of all k picks best: gamma = 1 / k.

    A unit may be picked again; twice in k steps is a coefficient of 2 / k. D may rise on the way.

    Args:
        gram: C, (N, N), of `centred_gram`.
        steps: how many picks, at least 1; no more units than that are kept.

    Returns:
        One selection a step.

    Raises:
        ValueError: for a matrix that is not a centred Gram matrix, or steps below 1.
    """
    gram = _checked(gram)
    if steps < 1:
        raise ValueError(f"steps is {steps}; it must be at least 1")
    picks = torch.zeros_like(gram[0])  # (N,) how often each unit was picked
    selections = []
    for k in range(1, steps + 1):
        # With unit i picked too, k^2 D = picks' C picks + 2 (C picks)_i + C_ii.
        picks[(2 * (gram @ picks) + gram.diagonal()).argmin()] += 1
        selections.append(_select(gram, picks / k))
    return selections


def random_units(gram: Tensor, keep: int, generator: torch.Generator) -> Selection:
    """Keep distinct units at random, 1 / keep of each: what a greedy choice has to beat.

    Drawn without replacement, E[D] = (N - keep) / (N - 1) * trace(C) / (N keep).

    Args:
        gram: C, (N, N), of `centred_gram`.
        keep: how many units, 1 <= keep <= N.
        generator: on the CPU.

    Raises:
        ValueError: for a matrix that is not a centred Gram matrix, or an impossible `keep`.
    """
    gram = _checked(gram)
    check_keep(keep, len(gram))
    order = torch.randperm(len(gram), generator=generator, device="cpu").to(gram.device)
    a = torch.zeros_like(gram[0])
    a[order[:keep]] = 1 / keep
    return _select(gram, a)


def _select(gram: Tensor, a: Tensor) -> Selection:
    # max: near 0, rounding may take a' C a below it.
    return Selection(a, int(a.count_nonzero()), max(0.0, float(a @ gram @ a)))


def _checked(gram: Tensor) -> Tensor:
    """The matrix in float64; raise unless it can be a centred Gram matrix."""
    if gram.ndim != 2 or gram.shape[0] != gram.shape[1] or not gram.numel():
        raise ValueError(f"gram has shape {tuple(gram.shape)}; it must be (N, N) with N at least 1")
    gram = gram.double()
    off = float(gram.sum(1).abs().max())
    if not off <= 1e-6 * len(gram) * float(gram.abs().max()):  # so that a NaN does not pass
        raise ValueError(f"rows of gram add up to {off:.3g}; with centred_gram it is 0")
    return gram
