"""Chapter 7: one solution for each exercise."""

from math import floor, prod


def ratio(shape):
    """ERK: density = epsilon times this."""
    return sum(shape) / prod(shape)


def share(sizes, sums, density):
    """Weights for each layer; a layer that would overflow is dense."""
    budget = density * sum(sizes)
    dense: set[int] = set()
    while len(dense) < len(sizes):
        free = [i for i in range(len(sizes)) if i not in dense]
        left = budget - sum(sizes[i] for i in dense)
        epsilon = left / sum(sums[i] for i in free)
        over = {i for i in free if epsilon * sums[i] > sizes[i]}
        if not over:
            break
        dense |= over
    return [sizes[i] if i in dense else epsilon * sums[i] for i in range(len(sizes))]


def whole(exact):
    """Round down, then one more for the largest remainders."""
    counts = [floor(n) for n in exact]
    missing = round(sum(exact)) - sum(counts)
    order = sorted(range(len(exact)), key=lambda i: counts[i] - exact[i])
    for i in order[:missing]:
        counts[i] += 1
    return counts


def first_full(shapes):
    """The layer with the smallest size over sum; until then nothing overflows."""
    epsilons = {name: prod(shape) / sum(shape) for name, shape in shapes.items()}
    name = min(epsilons, key=lambda name: epsilons[name])
    weights = epsilons[name] * sum(sum(shape) for shape in shapes.values())
    return name, weights / sum(prod(shape) for shape in shapes.values())
