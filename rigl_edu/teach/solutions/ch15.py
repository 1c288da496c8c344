"""Chapter 15: one solution for each exercise."""

from math import sqrt

from ...lab.verdict import t95


def margins(low, high):
    """Where -m to m first touches the interval, and where it covers all of it."""
    return max(0, low, -high), max(abs(low), abs(high))


def seeds_needed(first, second, difference):
    """Add a seed a side until half of Welch's interval is short enough."""
    n = 3
    while True:
        a, b = first**2 / n, second**2 / n
        degrees = (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (n - 1))
        if t95(degrees) * sqrt(a + b) < abs(difference):
            return n
        n += 1


def groups(records):
    """Accuracies of runs that differ in their seed alone."""
    found: dict[tuple, list] = {}
    for record in sorted(records, key=lambda record: record["seed"]):
        if record["recipe"]["name"].endswith("-smoke"):
            continue
        key = (
            record["recipe_fingerprint"],
            record["data"]["fingerprint"],
            record["precision"],
        )
        found.setdefault(key, []).append(record["test_accuracy"])
    return found
