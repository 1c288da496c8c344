"""Chapter 13: one solution for each exercise."""


def rigl_flops(f_s, f_d, every):
    """The mean over `every` ordinary steps and one rewiring."""
    return (3 * f_s * every + 2 * f_s + f_d) / (every + 1)


def density_for(cost, budget):
    """Halve the interval until it is tiny."""
    low, high = 0.001, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        if cost(middle) < budget:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def break_even(cost, other):
    """The largest m with m * cost <= other."""
    return int(other / cost + 1e-9)
