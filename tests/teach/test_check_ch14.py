"""Chapter 14's checkers: the references pass, each wrong answer fails with its mistake named."""

import random
from itertools import product
from math import comb, floor
from statistics import mean

import pytest

from rigl_edu.lab.verdict import sample, welch
from rigl_edu.sparse import cosine_fraction, drop_count
from rigl_edu.teach import check
from rigl_edu.teach.solutions import ch14 as solution
from tests.teach.museum import Museum

MUSEUM = Museum(check.ch14, solution)
IMPORTS = (
    "from math import comb\n"
    "from rigl_edu.lab.verdict import sample, welch\n"
    "from rigl_edu.sparse import cosine_fraction, drop_count"
)


def test_references():
    MUSEUM.the_references_pass()


def test_shown_solutions():
    MUSEUM.the_shown_solutions_run(IMPORTS)


def test_exercises():
    MUSEUM.is_complete()


def test_a_fraction_or_a_numpy_number_is_a_number():
    assert check.ch14.last_move(lambda *x: float(solution.last_move(*x)), quiet=True)


# --- the last move --------------------------------------------------------------------------------


def last(moves, steps=lambda every, until: range(every, until, every)):
    def last_move(active, every, until, fraction):
        def share(t):
            return cosine_fraction(t, until, fraction)

        return max((t for t in steps(every, until) if moves(share(t), active)), default=0)

    return last_move


def test_a_bare_floor_will_do():
    assert check.ch14.last_move(last(lambda f, active: floor(f * active) > 0), quiet=True)


MUSEUM.hang("last_move", "the_last_rewiring", "the last rewiring", last(lambda f, active: True))
MUSEUM.hang("last_move", "rounded", "half a weight", last(lambda f, active: round(f * active)))
MUSEUM.hang("last_move", "more_than_one", "exactly one", last(lambda f, active: f * active > 1))
MUSEUM.hang(
    "last_move",
    "at_every_step",
    "Only multiples of `every`",
    last(drop_count, lambda every, until: range(1, until)),
)


@MUSEUM.wrong("last_move", "the first rewiring that moves nothing")
def first_without(active, every, until, fraction):
    for t in range(every, until, every):
        if drop_count(cosine_fraction(t, until, fraction), active) == 0:
            return t
    return 0


@MUSEUM.wrong("last_move", "how many rewirings")
def counts_them(active, every, until, fraction):
    return solution.last_move(active, every, until, fraction) // every


@MUSEUM.wrong("last_move", "not along a straight line")
def straight(active, every, until, fraction):
    line = [t for t in range(every, until, every) if fraction * (1 - t / until) * active >= 1]
    return max(line, default=0)


@MUSEUM.wrong("last_move", "`until` itself")
def the_end(active, every, until, fraction):
    found = solution.last_move(active, every, until, fraction)
    return until if found == until - every else found


@MUSEUM.wrong("last_move", "return 0")
def nothing(active, every, until, fraction):
    return solution.last_move(active, every, until, fraction) or None


# --- the best of k runs ---------------------------------------------------------------------------


@MUSEUM.wrong("expected_best", "better on average")
def the_mean(accuracies, k):
    return mean(accuracies)


@MUSEUM.wrong("expected_best", "need not have it")
def the_maximum(accuracies, k):
    return max(accuracies) if k > 1 else mean(accuracies)


@MUSEUM.wrong("expected_best", "the worst of k runs")
def the_worst(accuracies, k):
    return -solution.expected_best([-value for value in accuracies], k)


@MUSEUM.wrong("expected_best", "That is the page's sum")
def with_replacement(accuracies, k):
    return mean(max(draw) for draw in product(accuracies, repeat=k))


@MUSEUM.wrong("expected_best", "the mean of the k best runs")
def mean_of_the_best(accuracies, k):
    return mean(accuracies) if k == 1 else mean(sorted(accuracies)[-k:])


@MUSEUM.wrong("expected_best", "a simulation")
def simulation(accuracies, k):
    draw = random.Random(0)
    return mean(max(draw.sample(accuracies, k=k)) for _ in range(5000))


@MUSEUM.wrong("expected_best", "Sort the values first")
def unsorted(accuracies, k):
    ways = sum(v * comb(i, k - 1) for i, v in enumerate(accuracies))
    return ways / comb(len(accuracies), k)


@MUSEUM.wrong("expected_best", "keep both")
def without_duplicates(accuracies, k):
    return solution.expected_best(set(accuracies), k)


@MUSEUM.wrong("expected_best", "sort a copy")
def sorts_in_place(accuracies, k):
    accuracies.sort()
    return solution.expected_best(accuracies, k)


# --- little, large, or unknown --------------------------------------------------------------------


def judged(low, high, margin):
    if high < margin:
        return "little"
    return "large" if low > margin else "unknown"


@MUSEUM.wrong("gain", "look at the whole interval")
def by_the_mean(tuned, default, margin):
    return "little" if mean(tuned) - mean(default) < margin else "large"


@MUSEUM.wrong("gain", "whatever it does around 0")
def across_zero_is_unknown(tuned, default, margin):
    found = welch(sample(tuned), sample(default))
    return "unknown" if found.low < 0 < found.high else judged(*_ends(found), margin)


@MUSEUM.wrong("gain", "on which side of the margin")
def above_zero_is_large(tuned, default, margin):
    found = welch(sample(tuned), sample(default))
    return "large" if found.low > 0 else judged(*_ends(found), margin)


@MUSEUM.wrong("gain", "in this order")
def the_other_way_round(tuned, default, margin):
    return solution.gain(default, tuned, margin)


@MUSEUM.wrong("gain", "no lower bound")
def within_the_margin(tuned, default, margin):
    found = welch(sample(tuned), sample(default))
    return "large" if found.high < -margin else judged(*_ends(found), margin)


@MUSEUM.wrong("gain", "The margin is an argument")
def always_half_a_point(tuned, default, margin):
    return solution.gain(tuned, default, 0.5)


@MUSEUM.wrong("gain", "the words are")
def true_or_false(tuned, default, margin):
    return welch(sample(tuned), sample(default)).high < margin


def _ends(found):
    return found.low, found.high


@pytest.mark.parametrize("exercise, answer, hint", MUSEUM.entries)
def test_wrong(exercise, answer, hint):
    MUSEUM.rejects(exercise, answer, hint)
