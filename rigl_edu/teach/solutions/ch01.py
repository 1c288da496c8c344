"""Chapter 1: one solution for each exercise."""

import torch


def conv_flops(mask, height, width):
    """Each active weight works at each output position: one multiplication, one addition."""
    return 2 * int(mask.sum()) * height * width


def exact_mask(shape, density, generator):
    """Shuffle all positions and switch on the first ones."""
    size = torch.Size(shape).numel()
    order = torch.randperm(size, generator=generator)
    mask = torch.zeros(size, dtype=torch.bool)
    mask[order[: round(density * size)]] = True
    return mask.view(shape)


def masked_step(weight, mask, gradient, momentum, lr, decay):
    """One step of SGD in which what is off the mask is 0 and stays 0."""
    momentum = 0.9 * momentum + mask * (gradient + decay * weight)
    return weight - lr * momentum, momentum


def break_even(rows, columns):
    """The largest n with 8 n + 4 (rows + 1) < 4 rows columns."""
    spare = 4 * rows * columns - 4 * (rows + 1)
    return max(0, (spare - 1) // 8)
