"""R_p: do two weight vectors have their largest weights in the same places?

    R_p(theta, theta') = |S_p(theta) & S_p(theta')| / |S_p(theta)|

with S_p the positions of the share p of weights with the largest magnitude. Two unrelated vectors
agree by chance on a share p of these positions, so R_p is about p; it is 1 for vectors with equal
sets. Ma et al. (2021) use it, with p = 0.1 and on masked weights, to ask whether trained weights
still remember where they started.

A set has exactly round(p n) positions, and among equal magnitudes the lower index is in it (ours).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from . import masks as moves


def overlap(first: Tensor, second: Tensor, p: float = 0.1, mask: Tensor | None = None) -> float:
    """R_p of two tensors.

    Args:
        first: any shape, finite.
        second: the same shape.
        p: share of the positions that counts as largest, above 0 and at most 1.
        mask: the same shape, nonzero where a connection exists. Only active positions are compared
            then, and p is a share of these. Give it for sparse weights: without it the zeros off
            the mask, once p reaches them, all tie and count as agreement.

    Returns:
        Between 0 and 1; about p for unrelated tensors.

    Raises:
        ValueError: for an impossible p, shapes that differ, or scores that are not finite.
    """
    mask = torch.ones_like(first, dtype=torch.bool) if mask is None else mask.bool()
    if not first.shape == second.shape == mask.shape:
        shapes = ", ".join(str(tuple(t.shape)) for t in (first, second, mask))
        raise ValueError(f"first, second and mask have shapes {shapes}; they must be equal")
    if not 0 < p <= 1:
        raise ValueError(f"p is {p}; it must be above 0 and at most 1")
    n = int(mask.count_nonzero())
    k = round(p * n)
    if k == 0:
        raise ValueError(f"p={p} of {n} positions is none of them")
    # Dropping all others leaves the k largest.
    largest = [moves.drop(weights.abs(), mask, n - k) for weights in (first, second)]
    return int((largest[0] & largest[1]).count_nonzero()) / k


def overlap_of_layers(
    first: Mapping[str, Tensor],
    second: Mapping[str, Tensor],
    p: float = 0.1,
    masks: Mapping[str, Tensor] | None = None,
) -> float:
    """R_p of two networks, all layers laid end to end as one vector.

    The largest weights are sought among all layers together, so layers with small weights may have
    none of them.

    Args:
        first: tensors by layer name, in the order that decides ties.
        second: the same names and shapes.
        p: as in `overlap`, of all layers together.
        masks: the same names and shapes.

    Raises:
        ValueError: as `overlap`, or if a layer is missing on one side.
    """
    sides = {"first": first, "second": second} | ({} if masks is None else {"masks": masks})
    for side, tensors in sides.items():
        if set(tensors) != set(first):
            wrong = sorted(set(tensors) ^ set(first))
            raise ValueError(f"{side} must name the layers of first; missing or extra: {wrong}")
        for name, tensor in tensors.items():
            if tensor.shape != first[name].shape:
                raise ValueError(
                    f"layer {name!r} has shape {tuple(tensor.shape)} in {side}, "
                    f"{tuple(first[name].shape)} in first"
                )
    if not first:
        raise ValueError("there is no layer to compare")
    vectors = {
        side: torch.cat([tensors[name].flatten() for name in first])  # (n,)
        for side, tensors in sides.items()
    }
    return overlap(vectors["first"], vectors["second"], p, vectors.get("masks"))
