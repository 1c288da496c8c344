"""Chapter 13: one solution for each exercise."""


def flops_as_run(f_s, f_d, steps, every, until):
    """Three sparse passes a step, and f_d in place of one of them at each rewiring."""
    rewirings = sum(t % every == 0 and t < until for t in range(1, steps + 1))
    return 3 * f_s + (f_d - f_s) * rewirings / steps


def widest(cost, budget, most):
    """Halve the gap between a width that fits and one that does not."""
    fits, over = 0, most + 1
    while over - fits > 1:
        middle = (fits + over) // 2
        if cost(middle) <= budget:
            fits = middle
        else:
            over = middle
    return fits


def break_even(cost, other):
    """The largest m with m * cost <= other."""
    return int(other / cost + 1e-9)
