"""Drop and grow: the two moves every dynamic method is made of.

Both are pure functions of scores and a mask, both return a mask of *exactly* the size asked for,
and both break ties the same way everywhere: the lower flat index (row-major) wins. Ties are not
rare: every weight that was just grown is 0, and a dead neuron's gradients are all 0.
"""

from __future__ import annotations

import torch
from torch import Tensor


def drop(scores: Tensor, mask: Tensor, k: int) -> Tensor:
    """Turn off the k lowest-scored of the active positions.

    Args:
        scores: any shape, finite; for magnitude dropping |w|.
        mask: same shape; nonzero where a connection exists.
        k: how many to drop, 0 <= k <= number of active positions.

    Returns:
        Bool mask of the same shape with exactly k fewer positions on.
    """
    active = mask.bool()
    return _top(scores, active, int(active.count_nonzero()) - k, f"drop k={k}")


def grow(scores: Tensor, mask: Tensor, k: int) -> Tensor:
    """Turn on the k highest-scored of the inactive positions.

    Args:
        scores: any shape, finite; for RigL |gradient|, for SET random numbers.
        mask: same shape; nonzero where a connection exists.
        k: how many to grow, 0 <= k <= number of inactive positions.

    Returns:
        Bool mask of the same shape with exactly k more positions on.
    """
    active = mask.bool()
    return active | _top(scores, ~active, k, f"grow k={k}")


def positions(mask: Tensor) -> Tensor:
    """Row-major positions that are on in a bool mask, rising, (n,) int64."""
    flat = mask.flatten()
    if mask.device.type == "cpu":
        # A fifth of the time of torch's nonzero.
        return torch.from_numpy(flat.numpy().nonzero()[0])
    return flat.nonzero().squeeze(1)


def _top(scores: Tensor, eligible: Tensor, k: int, what: str) -> Tensor:
    """Mask of the k highest-scored eligible positions; ties go to the lower flat index."""
    if scores.shape != eligible.shape:
        raise ValueError(
            f"scores have shape {tuple(scores.shape)}, the mask has {tuple(eligible.shape)}"
        )
    scores = scores.detach()
    # Rank the candidates alone. Multiplying the others' scores by 0 instead would let them tie
    # with, and beat, a candidate whose score is 0.
    values = _select(scores, eligible)  # (candidates,)
    if not 0 <= k <= len(values):
        raise ValueError(f"{what} is impossible: {len(values)} positions to choose among")
    if k == 0:
        return torch.zeros_like(eligible)
    if not values.max().isfinite():  # max hands a NaN on
        raise ValueError(
            f"{what}: the scores are not all finite, and a NaN would win every ranking"
        )
    threshold = _kth_largest(values, k)
    chosen = scores >= threshold
    chosen &= eligible  # at least k of them
    surplus = int(chosen.count_nonzero()) - k
    if surplus:
        # flatten() counts row by row, whatever the memory format.
        ties = (eligible & (scores == threshold)).flatten().nonzero().squeeze(1)
        flat = chosen.flatten()  # (n,)
        flat[ties[-surplus:]] = False
        chosen = flat.view(eligible.shape)
    return chosen


def _numpy_can(values: Tensor) -> bool:
    return values.device.type == "cpu" and values.dtype in (torch.float32, torch.float64)


def _select(values: Tensor, where: Tensor) -> Tensor:
    if _numpy_can(values):
        # Half the time of torch's masked_select on a CPU.
        return torch.from_numpy(values.numpy()[where.numpy()])
    return values.masked_select(where)


def _kth_largest(values: Tensor, k: int) -> Tensor | float:
    if _numpy_can(values):
        # numpy's selection takes a tenth of the time of torch's, which sorts along the way.
        at = values.numel() - k
        values.numpy().partition(at)  # in place: `_select` has made a copy
        return float(values[at])
    return torch.topk(values, k, sorted=False).values.min()
