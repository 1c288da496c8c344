"""Chapter 12: one solution for each exercise."""

from math import floor


def mean_of_active(values, mask):
    """A layer's claim to new weights."""
    return float(values[mask].abs().mean()) if mask.any() else 0.0


def share(scores, budget, room):
    """Fill the full layers first, split the rest, round by largest remainder."""
    exact = [0.0] * len(scores)
    open_layers = [i for i in range(len(scores)) if room[i] > 0]
    left = budget
    while open_layers:
        total = sum(scores[i] for i in open_layers)
        claim = {i: scores[i] / total if total else 1 / len(open_layers) for i in open_layers}
        full = [i for i in open_layers if left * claim[i] >= room[i]]
        if not full:
            for i in open_layers:
                exact[i] = left * claim[i]
            break
        for i in full:
            exact[i] = room[i]
            left -= room[i]
        open_layers = [i for i in open_layers if i not in full]
    counts = [floor(x + 1e-9) for x in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: counts[i] - exact[i])
    for i in by_remainder[: budget - sum(counts)]:
        counts[i] += 1
    return counts


def flops_of_move(moved, positions):
    """Two FLOPs a weight at each position of its output image."""
    return 2 * sum(n * positions[layer] for layer, n in moved.items())
