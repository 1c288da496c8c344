"""Chapter 14's checkers: the references pass, each wrong answer fails with its mistake named."""

import random
from itertools import combinations
from math import floor
from statistics import mean

import pytest

from rigl_edu.lab.verdict import sample, welch
from rigl_edu.sparse import cosine_fraction, drop_count
from rigl_edu.teach import check
from rigl_edu.teach.solutions import ch14 as solution
from tests.teach.museum import Museum

MUSEUM = Museum(check.ch14, solution)
IMPORTS = (
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
    assert check.ch14.total_moves(lambda *x: float(solution.total_moves(*x)), quiet=True)


# --- moves ----------------------------------------------------------------------------------------


@MUSEUM.wrong("total_moves", "not at step 0")
def from_step_zero(active, every, until, fraction):
    return sum(
        drop_count(cosine_fraction(t, until, fraction), active) for t in range(0, until, every)
    )


@MUSEUM.wrong("total_moves", "falls along the cosine")
def no_cosine(active, every, until, fraction):
    return sum(floor(fraction * active) for t in range(every, until, every))


@MUSEUM.wrong("total_moves", "Round down at each rewiring")
def never_rounded(active, every, until, fraction):
    return sum(active * cosine_fraction(t, until, fraction) for t in range(every, until, every))


@MUSEUM.wrong("total_moves", "Round each rewiring, then add")
def rounded_once(active, every, until, fraction):
    return floor(never_rounded(active, every, until, fraction))


@MUSEUM.wrong("total_moves", "number of rewirings")
def rewirings(active, every, until, fraction):
    return len(range(every, until, every))


@MUSEUM.wrong("total_moves", "one rewiring")
def the_first_only(active, every, until, fraction):
    return drop_count(cosine_fraction(every, until, fraction), active)


@MUSEUM.wrong("total_moves", "Only each `every`-th one")
def at_every_step(active, every, until, fraction):
    return sum(drop_count(cosine_fraction(t, until, fraction), active) for t in range(1, until))


@MUSEUM.wrong("total_moves", "both halves")
def drops_and_grows(active, every, until, fraction):
    return 2 * solution.total_moves(active, every, until, fraction)


@MUSEUM.wrong("total_moves", "`active` stays the same")
def the_layer_shrinks(active, every, until, fraction):
    total = 0
    for t in range(every, until, every):
        k = drop_count(cosine_fraction(t, until, fraction), active)
        total, active = total + k, active - k
    return total


@MUSEUM.wrong("total_moves", "`drop_count` knows")
def bare_floor(active, every, until, fraction):
    return sum(
        floor(active * cosine_fraction(t, until, fraction)) for t in range(every, until, every)
    )


@MUSEUM.wrong("total_moves", "returned nothing")
def nothing(active, every, until, fraction):
    pass


# --- the winner's curse ---------------------------------------------------------------------------


@MUSEUM.wrong("expected_best", "better on average")
def the_mean(accuracies, k):
    return mean(accuracies)


@MUSEUM.wrong("expected_best", "need not find it")
def the_maximum(accuracies, k):
    return max(accuracies) if k > 1 else mean(accuracies)


@MUSEUM.wrong("expected_best", "the worst of k runs")
def the_worst(accuracies, k):
    return -solution.expected_best([-value for value in accuracies], k)


@MUSEUM.wrong("expected_best", "with replacement")
def without_replacement(accuracies, k):
    return mean(max(chosen) for chosen in combinations(accuracies, k))


@MUSEUM.wrong("expected_best", "as a simulation is")
def simulation(accuracies, k):
    draw = random.Random(0)
    return mean(max(draw.choices(accuracies, k=k)) for _ in range(5000))


@MUSEUM.wrong("expected_best", "Sort the values first")
def unsorted(accuracies, k):
    n = len(accuracies)
    return sum(v * (((i + 1) / n) ** k - (i / n) ** k) for i, v in enumerate(accuracies))


@MUSEUM.wrong("expected_best", "keep both")
def without_duplicates(accuracies, k):
    return solution.expected_best(set(accuracies), k)


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
