"""Chapter 6: one solution for each exercise."""

from math import ceil, log


def steps_needed(first, target, factor):
    """Steps until a discrepancy that each step multiplies by `factor` is at most `target`."""
    if first <= target:
        return 0
    return ceil(log(target / first) / log(factor) - 1e-9)


def centred_gram(responses):
    """What the search needs of all responses: one number for each pair of units."""
    centred = responses - responses.mean(0)
    return centred @ centred.T / responses.shape[1]


def best_gamma(gram, a, i):
    """How far to go towards unit i, the lowest point of a parabola within its interval."""
    q = gram @ a
    d = a @ q
    gamma = (d - q[i]) / (gram[i, i] - 2 * q[i] + d)
    lowest = -a[i] / (1 - a[i])
    return float(gamma.clamp(min=lowest, max=1))


def thin(w1, b1, w2, a):
    """Two layers with only the units whose coefficient is above 0 between them."""
    kept = a > 0
    return w1[kept], b1[kept], w2[:, kept] * len(a) * a[kept]
