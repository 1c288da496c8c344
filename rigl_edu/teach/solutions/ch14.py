"""Chapter 14: one solution for each exercise."""

from ...lab.verdict import sample, welch
from ...sparse import cosine_fraction, drop_count


def total_moves(active, every, until, fraction):
    """Weights that a layer drops in a whole training."""
    total = 0
    for t in range(every, until, every):
        total += drop_count(cosine_fraction(t, until, fraction), active)
    return total


def expected_best(accuracies, k):
    """Mean of the largest of k draws, each value equally likely."""
    ordered = sorted(accuracies)
    n = len(ordered)
    best = 0.0
    for i, value in enumerate(ordered):
        # the largest is number i: all k are up to it, not all below it
        best += value * (((i + 1) / n) ** k - (i / n) ** k)
    return best


def gain(tuned, default, margin):
    """What the runs say about a gain of at least `margin` points."""
    found = welch(sample(tuned), sample(default))
    if found.high < margin:
        return "little"
    if found.low > margin:
        return "large"
    return "unknown"
