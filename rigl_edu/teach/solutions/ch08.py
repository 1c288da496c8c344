"""Chapter 8: one solution for each exercise."""

from math import prod


def power_left(densities):
    """Each layer hands on its density's share."""
    return prod(densities)


def neuron_std(mask):
    """The root of 2 / fan-in, row by row."""
    inputs = mask.flatten(1).sum(1)
    return (2 / inputs.clamp(min=1)) ** 0.5


def draw(mask, sample):
    """He initialisation per neuron."""
    std = neuron_std(mask)
    return sample * std.view(-1, *[1] * (mask.dim() - 1)) * mask


def masked_norm(gradients, masks):
    """All parameters as one vector; its length."""
    total = 0.0
    for gradient, mask in zip(gradients, masks, strict=True):
        if mask is not None:
            gradient = gradient * mask
        total += float((gradient**2).sum())
    return total**0.5
