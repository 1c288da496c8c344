"""Chapter 9: one solution for each exercise."""

from math import floor

import torch


def rewirings(steps, every, until):
    """Count them one by one; no formula, no off-by-one."""
    return sum(t % every == 0 and t < until for t in range(1, steps + 1))


def grow_at_random(kept, k, generator):
    """The k empty positions with the largest of as many random numbers."""
    scores = torch.rand(kept.shape, generator=generator)
    scores[kept] = -1
    chosen = scores.flatten().topk(k).indices
    mask = kept.flatten().clone()
    mask[chosen] = True
    return mask.view(kept.shape)


def drop_each_sign(weight, mask, fraction):
    """Each sign loses its fraction, those nearest to 0; a 0 counts as positive."""
    kept = mask.flatten().clone()
    for side in (mask & (weight >= 0), mask & (weight < 0)):
        k = floor(fraction * side.sum().item())
        scores = weight.abs().masked_fill(~side, torch.inf)
        kept[scores.flatten().topk(k, largest=False).indices] = False
    return kept.view(mask.shape)


def share_tried(total, active, counts):
    """One minus the chance that a position is passed over every time."""
    never = (total - active) / total
    for k in counts:
        empty = total - active + k
        never *= 1 - k / empty
    return 1 - never
