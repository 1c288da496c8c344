"""Chapter 17: one solution for each exercise."""

import torch


def newly_explored(masks):
    """How many positions each mask adds to all before it."""
    ever, new = torch.zeros_like(masks[0], dtype=torch.bool), []
    for mask in masks:
        new.append(int((mask & ~ever).sum()))
        ever = ever | mask
    return new


def n_of_m(scores, n, m):
    """Of every m neighbours in a row, keep the n with the highest scores."""
    rows, columns = scores.shape
    groups = scores.view(rows, columns // m, m)
    best = groups.topk(n, dim=2).indices
    mask = torch.zeros(groups.shape, dtype=torch.bool)
    return mask.scatter(2, best, True).view(rows, columns)


def wanda(weight, x, keep):
    """In each row keep the weights with the highest |w| times the input's norm."""
    scores = weight.abs() * x.norm(dim=0)
    best = scores.topk(keep, dim=1).indices
    mask = torch.zeros(weight.shape, dtype=torch.bool)
    return mask.scatter(1, best, True)
