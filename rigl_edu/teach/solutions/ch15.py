"""Chapter 15: one solution for each exercise."""

from math import sqrt
from statistics import mean, variance

from ...lab.verdict import t95


def verdict(low, high, lowest, highest):
    """What an interval says about a claim."""
    if lowest < low and high < highest:
        return "holds"
    if high < lowest or highest < low:
        return "does not hold"
    return "undecided"


def interval(first, second):
    """Welch's 90 % interval of the difference of two means."""
    a = variance(first) / len(first)
    b = variance(second) / len(second)
    degrees = (a + b) ** 2 / (a**2 / (len(first) - 1) + b**2 / (len(second) - 1))
    half_width = t95(degrees) * sqrt(a + b)
    difference = mean(first) - mean(second)
    return difference - half_width, difference + half_width


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
