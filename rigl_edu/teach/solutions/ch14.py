"""Chapter 14: one solution for each exercise."""

from math import comb

from ...lab.verdict import sample, welch
from ...sparse import cosine_fraction, drop_count


def last_move(active, every, until, fraction):
    """The share only falls, so the last step with k above 0 is the answer."""
    last = 0
    for t in range(every, until, every):
        if drop_count(cosine_fraction(t, until, fraction), active) > 0:
            last = t
    return last


def expected_best(accuracies, k):
    """Mean of the largest of k different runs, each choice equally likely."""
    best = 0.0
    for i, value in enumerate(sorted(accuracies)):
        # number i is the best of k: it comes with k - 1 of the i below it
        best += value * comb(i, k - 1)
    return best / comb(len(accuracies), k)


def gain(tuned, default, margin):
    """What the runs say about a gain of at least `margin` points."""
    found = welch(sample(tuned), sample(default))
    if found.high < margin:
        return "little"
    if found.low > margin:
        return "large"
    return "unknown"
