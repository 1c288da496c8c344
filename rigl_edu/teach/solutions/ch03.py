"""Chapter 3: one solution for each exercise."""

import torch


def rounds_needed(removed, fraction):
    """Rounds of `fraction` each until `removed` per cent of the weights are gone."""
    rounds, left = 0, 1.0
    while left > 1 - removed / 100 + 1e-9:
        left *= 1 - fraction
        rounds += 1
    return rounds


def next_ticket(trained, mask, start, fraction):
    """Prune by the trained weights, then go back to the start."""
    keep = round((1 - fraction) * int(mask.sum()))
    scores = trained.abs().masked_fill(~mask, -1)
    after = torch.zeros(mask.numel(), dtype=torch.bool)
    after[scores.flatten().topk(keep).indices] = True
    after = after.view(mask.shape)
    return after, start * after


def shuffled_ticket(masks, start, generator):
    """As many weights in each layer, at random places, with the start's values there."""
    new = {}
    for name, mask in masks.items():
        order = torch.randperm(mask.numel(), generator=generator)
        new[name] = mask.flatten()[order].view(mask.shape)
    return new, {name: start[name] * new[name] for name in new}
