"""Chapter 12: one solution for each exercise."""

from math import floor


def score_of_batches(gradients, mask):
    """Mean over the batches first, signs included; then the size of what is left."""
    mean = sum(gradients) / len(gradients)
    return float(mean[mask].abs().mean()) if mask.any() else 0.0


def share_at_least(scores, budget, least):
    """Lift the layers below their least, share the rest, round by largest remainder."""
    exact = [0.0] * len(scores)
    waiting, left = list(range(len(scores))), budget
    while waiting:
        total = sum(scores[i] for i in waiting)
        claim = {i: scores[i] / total if total else 1 / len(waiting) for i in waiting}
        low = [i for i in waiting if left * claim[i] < least[i] - 1e-9]
        if not low:
            for i in waiting:
                exact[i] = left * claim[i]
            break
        for i in low:
            exact[i] = least[i]
            left -= least[i]
        waiting = [i for i in waiting if i not in low]
    counts = [floor(x + 1e-9) for x in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: counts[i] - exact[i])
    for i in by_remainder[: budget - sum(counts)]:
        counts[i] += 1
    return counts


def flops_of_move(moved, positions):
    """Two FLOPs a weight at each position of its output image."""
    return 2 * sum(n * positions[layer] for layer, n in moved.items())
