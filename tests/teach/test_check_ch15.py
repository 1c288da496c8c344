"""Chapter 15's checkers: the references pass, each wrong answer fails with its mistake named."""

import pytest

from rigl_edu.lab.verdict import Difference, Sample, judge, t95, welch
from rigl_edu.teach import check
from rigl_edu.teach.solutions import ch15 as solution
from tests.teach.museum import Museum

MUSEUM = Museum(check.ch15, solution)
wrong = MUSEUM.wrong


def test_references():
    MUSEUM.the_references_pass()


def test_shown_solutions():
    MUSEUM.the_shown_solutions_run("from math import sqrt\nfrom rigl_edu.lab.verdict import t95")


def test_exercises():
    MUSEUM.is_complete()


# --- the margins ----------------------------------------------------------------------------------


@pytest.mark.parametrize("low, high", [(0.2, 0.6), (-0.1, 0.5), (-0.9, -0.4)])
def test_the_margins_are_where_the_packages_verdict_turns(low, high):
    found = Difference((low + high) / 2, (high - low) / 2)
    fails, holds = solution.margins(low, high)
    for m, word in (
        (fails - 0.01, "does not hold"),
        (fails + 0.01, "undecided"),
        (holds - 0.01, "undecided"),
        (holds + 0.01, "holds"),
    ):
        assert m < 0 or judge(found, -m, m) == word


def sorted_ends(low, high):
    return sorted((abs(low), abs(high)))


@wrong("margins", "The first is the smaller")
def the_other_order(low, high):
    return solution.margins(low, high)[::-1]


@wrong("margins", "the first number is 0")
def ends_by_size(low, high):
    return tuple(sorted_ends(low, high))


@wrong("margins", "the larger |end| decides")
def the_smaller_end(low, high):
    return solution.margins(low, high)[0], sorted_ends(low, high)[0]


@wrong("margins", "counts as its size")
def as_they_are(low, high):
    return (0, solution.margins(low, high)[1]) if low < 0 < high else (low, high)


@wrong("margins", "The middle decides nothing")
def by_the_middle(low, high):
    return abs(low + high) / 2, solution.margins(low, high)[1]


@wrong("margins", "half the width")
def by_the_width(low, high):
    return solution.margins(low, high)[0], (high - low) / 2


@wrong("margins", "two margins")
def one_margin(low, high):
    return max(abs(low), abs(high))


# --- seeds ----------------------------------------------------------------------------------------


def test_it_is_where_the_packages_interval_is_short_enough():
    def mine(first, second, difference):
        n = 3
        while welch(Sample(n, 0, first), Sample(n, 0, second)).half_width >= abs(difference):
            n += 1
        return n

    assert check.ch15.seeds_needed(mine, quiet=True)


def counting(
    degrees=lambda a, b, n: (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (n - 1)),
    factor=t95,
    variance=lambda a, b: a + b,
    least=3,
    size=abs,
):
    def seeds_needed(first, second, difference):
        n = least
        while n < 1000:
            a, b = first**2 / n, second**2 / n
            if factor(degrees(a, b, n)) * variance(a, b) ** 0.5 < size(difference):
                break
            n += 1
        return n

    return seeds_needed


for name, hint, part in (
    ("two", "It has 2 in place", {"factor": lambda degrees: 2}),
    ("normal", "quantile of the normal distribution", {"factor": lambda degrees: 1.645}),
    ("standard_error", "t times as long", {"factor": lambda degrees: 1}),
    ("one_side", "Variances of both sides", {"variance": lambda a, b: a}),
    ("equal_spreads", "use Welch's", {"degrees": lambda a, b, n: 2 * n - 2}),
    ("two_seeds", "fewer than three seeds", {"least": 2}),
    ("with_its_sign", "It gave 1000", {"size": float}),
):
    MUSEUM.hang("seeds_needed", name, hint, counting(**part))


@wrong("seeds_needed", "the number of all runs")
def both_sides(first, second, difference):
    return 2 * solution.seeds_needed(first, second, difference)


@wrong("seeds_needed", "One too few")
def one_too_few(first, second, difference):
    return solution.seeds_needed(first, second, difference) - 1


@wrong("seeds_needed", "a number of seeds is whole")
def a_part_of_a_seed(first, second, difference):
    return 1.645**2 * (first**2 + second**2) / difference**2


# --- what may be compared -------------------------------------------------------------------------


def grouped(key, kept=lambda record: not record["recipe"]["name"].endswith("-smoke"), order="seed"):
    def answer(records):
        found = {}
        records = sorted(records, key=lambda record: record[order]) if order else records
        for record in filter(kept, records):
            found.setdefault(key(record), []).append(record["test_accuracy"])
        return found

    return answer


def right_key(record):
    return record["recipe_fingerprint"], record["data"]["fingerprint"], record["precision"]


def hang(name, hint, answer):
    answer.__name__ = name
    wrong("groups", hint)(answer)


def test_the_parts_of_the_wrong_groupings_are_right_by_themselves():
    assert check.ch15.groups(grouped(right_key), quiet=True)


hang(
    "by_name",
    "A key is (recipe fingerprint, data fingerprint, precision)",
    grouped(lambda record: record["recipe"]["name"]),
)
hang(
    "version_forgotten",
    "Two versions of a recipe share its name",
    grouped(lambda record: ("recipe-a", *right_key(record)[1:])),
)
hang(
    "data_forgotten",
    "Two data sets share a name here",
    grouped(lambda r: (r["recipe_fingerprint"], "data-a", r["precision"])),
)
hang(
    "precision_forgotten",
    "The run in bf16 belongs in a group of its own",
    grouped(lambda record: (*right_key(record)[:2], "fp32")),
)
hang("smoke_kept", "leave it out", grouped(right_key, kept=lambda record: True))
hang("unsorted", "in the order of the seeds", grouped(right_key, order=None))
hang("sorted_by_accuracy", "One group with all three", grouped(right_key, order="test_accuracy"))
hang("a_list", "should return a dict", lambda records: list(solution.groups(records).items()))


@pytest.mark.parametrize("exercise, answer, hint", MUSEUM.entries)
def test_a_wrong_answer_is_rejected_with_its_mistake_named(exercise, answer, hint):
    result = getattr(check.ch15, exercise)(answer, quiet=True)
    assert not result
    assert hint in result.hint
