"""Chapter 11: one solution for each exercise."""

from math import cos, floor, pi

import torch

from ...sparse import UpdateRule, magnitude


def cosine_fraction(t, until, fraction):
    """Half a cosine from `fraction` down to 0."""
    if t >= until:
        return 0.0
    return fraction / 2 * (1 + cos(pi * t / until))


def grow(gradient, kept, k):
    """Turn on the k empty positions with the largest |gradient|."""
    scores = gradient.abs().masked_fill(kept, -torch.inf)
    best = scores.flatten().topk(k).indices
    mask = kept.flatten().clone()
    mask[best] = True
    return mask.view(kept.shape)


def rewire(weight, mask, gradient, momentum, fraction):
    """One RigL update of a layer."""
    k = floor(fraction * mask.sum().item())
    scores = weight.abs().masked_fill(~mask, torch.inf)
    smallest = scores.flatten().topk(k, largest=False).indices
    kept = mask.flatten().clone()
    kept[smallest] = False
    kept = kept.view(mask.shape)
    after = grow(gradient, kept, k)
    stay = after & mask  # off before or off now: weight and momentum 0
    return after, weight * stay, momentum * stay


def smallest_gradient(layer):
    """Score: the higher, the nearer the gradient is to 0."""
    return -layer.gradient.abs()


def upside_down(model, optimizer, **schedule):
    """RigL's drop with the opposite of its grow."""
    return UpdateRule(model, optimizer, drop=magnitude, grow=smallest_gradient, **schedule)
