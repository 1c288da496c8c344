"""What training costs by each method: FLOPs a training sample, from those of a forward pass.

f_s is the forward cost of the sparse network, f_d that of its dense twin (`forward_flops`), E[f_s]
(`mean_f_s`) the mean over training where f_s changes, `every` the Delta T of the rewirings. A
backward pass costs two forward passes: one for the gradient of the inputs, one for that of the
weights. Dense training so costs 3 f_d, which the papers' tables divide by.

Sources: RigL (Evci et al. 2020), appendix H; Sundar & Dwaraknath (2021), appendix on counting.
A formula that is ours says so.
"""

from __future__ import annotations

from collections.abc import Sequence


def static_flops(f_s: float) -> float:
    """Training FLOPs a sample with fixed masks, and of SET, whose random growth is free: 3 f_s.

    The same for small-dense, whose f_s is its own dense cost, and for dense training with f_d.
    """
    return 3 * f_s


def snip_flops(f_s: float, f_d: float, steps: int) -> float:
    """SNIP: 3 f_s + 3 f_d / steps; the dense pass that scores all weights, once in `steps` steps.

    The papers write 3 f_s and leave out that pass; the second term is ours. It assumes that the
    scores come from one batch of the size of training's.
    """
    if steps < 1:
        raise ValueError(f"steps={steps}: training has at least one step")
    return 3 * f_s + 3 * f_d / steps


def rigl_flops(f_s: float, f_d: float, every: int) -> float:
    """RigL: (3 f_s every + 2 f_s + f_d) / (every + 1).

    `every` steps at 3 f_s, then one rewiring: a forward and an input-gradient pass that are sparse
    and one weight gradient that is dense. So Evci et al. (2020) count. `RigL` itself rewires in
    place of each `every`-th step, and no more after `until`; the difference is below a hundredth.
    """
    return (3 * f_s * every + 2 * f_s + f_d) / (every + 1)


def redistributed_rigl_flops(mean_f_s: float, f_d: float, every: int) -> float:
    """RigL with redistribution between layers (RigL-SG, RigL-SM): RigL's formula with E[f_s].

    The scores of the layers are free, since they are means over active weights. That the formula
    stays the same is ours; it agrees with table 5 of Sundar & Dwaraknath.
    """
    return rigl_flops(mean_f_s, f_d, every)


def snfs_flops(mean_f_s: float, f_d: float) -> float:
    """SNFS: 2 E[f_s] + f_d. Its dense momentum needs the dense weight gradient at every step.

    E[f_s] is the mean over training, since redistribution moves weights to layers that cost more.
    """
    return 2 * mean_f_s + f_d


def dsr_flops(mean_f_s: float) -> float:
    """DSR: 3 E[f_s]. Its growth is random and free, but weights move between layers (ours)."""
    return 3 * mean_f_s


def pruning_flops(mean_f_s: float) -> float:
    """Gradual pruning: 3 E[f_s], the mean over training of a network that becomes sparser."""
    return 3 * mean_f_s


def lottery_flops(mean_f_s: float, f_s: float) -> float:
    """Lottery ticket by one gradual pruning: 3 E[f_s] + 3 f_s, the mask's training and its own.

    Inferred from table 2 of Sundar & Dwaraknath (0.45 = 0.32 + 0.13), whose text has no formula.
    """
    return pruning_flops(mean_f_s) + static_flops(f_s)


def imp_flops(forwards: Sequence[float]) -> float:
    """Iterative magnitude pruning: the sum over rounds r of 3 f_r (ours).

    Args:
        forwards: forward cost of the network that each round trains in full, the dense one first.
            The last is the ticket.
    """
    if not forwards:
        raise ValueError("forwards is empty: iterative pruning trains at least the dense network")
    return sum(static_flops(f_r) for f_r in forwards)


def longer_flops(flops: float, times: float) -> float:
    """Any method trained m times as long (the tables' 2x, 3x): m times its cost by the sample.

    A sample of the ordinary training stands for m samples of the longer one, so that the two
    compare at equal data.
    """
    if not times > 0:
        raise ValueError(f"times={times}: must be above 0")
    return times * flops
