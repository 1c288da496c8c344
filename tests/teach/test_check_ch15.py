"""Chapter 15's checkers: the references pass, each wrong answer fails with its mistake named."""

from statistics import mean, pstdev, stdev

import pytest

from rigl_edu.lab.verdict import t95
from rigl_edu.teach import check, show_source
from rigl_edu.teach.check.result import EXERCISES
from rigl_edu.teach.solutions import ch15 as solution
from tests.teach.museum import Museum

MUSEUM = Museum(check.ch15, solution)
wrong = MUSEUM.wrong


@pytest.mark.parametrize("exercise", ["verdict", "interval", "groups"])
def test_the_reference_passes(exercise):
    checker = getattr(check.ch15, exercise)
    result = checker(getattr(solution, exercise), quiet=True)
    assert result and result.passed == result.cases == len(checker.cases)


def test_the_shown_solutions_run_as_they_stand():
    shown = "\n\n".join(
        str(show_source(getattr(solution, name))).split("```python\n")[1].rstrip("`\n")
        for name in ("verdict", "interval", "groups")
    )
    names = {}
    exec("from math import sqrt\nfrom statistics import mean, variance\n", names)
    exec("from rigl_edu.lab.verdict import t95\n" + shown, names)
    for exercise in ("verdict", "interval", "groups"):
        assert getattr(check.ch15, exercise)(names[exercise], quiet=True)


def test_each_exercise_has_wrong_answers_and_hints():
    mine = [exercise for exercise in EXERCISES.values() if exercise.name.startswith("ch15.")]
    assert len(mine) == 3
    for exercise in mine:
        name = exercise.name.split(".")[1]
        assert sum(entry.values[0] == name for entry in MUSEUM.entries) >= 3
        assert len(exercise.clues) >= 3 and exercise.minutes > 0


# --- the verdict ----------------------------------------------------------------------------------


@wrong("verdict", "the words are 'holds'")
def true_or_false(low, high, lowest, highest):
    return lowest < low and high < highest


@wrong("verdict", "the middle alone decides nothing")
def by_the_middle(low, high, lowest, highest):
    return "holds" if lowest < (low + high) / 2 < highest else "does not hold"


@wrong("verdict", "that speaks for the claim")
def no_room_for_doubt(low, high, lowest, highest):
    return "holds" if lowest < low and high < highest else "does not hold"


@wrong("verdict", "look at both ends")
def lower_end_only(low, high, lowest, highest):
    if low > lowest:
        return "holds"
    return "does not hold" if high < lowest else "undecided"


@wrong("verdict", "too high is outside too")
def too_low_only(low, high, lowest, highest):
    if lowest < low and high < highest:
        return "holds"
    return "does not hold" if high < lowest else "undecided"


@wrong("verdict", "the truth may well be inside")
def must_fit_in(low, high, lowest, highest):
    if high - low > highest - lowest:
        return "does not hold"
    return solution.verdict(low, high, lowest, highest)


@wrong("verdict", "returned nothing")
def nothing(low, high, lowest, highest):
    pass


# --- the interval ---------------------------------------------------------------------------------


def around(first, second, half_width):
    middle = mean(first) - mean(second)
    return middle - half_width, middle + half_width


def degrees_of(a, b, first, second):
    return (a + b) ** 2 / (a**2 / (len(first) - 1) + b**2 / (len(second) - 1))


def variances(first, second, spread=stdev):
    return spread(first) ** 2 / len(first), spread(second) ** 2 / len(second)


@wrong("interval", "right for many runs, too narrow for three")
def two_standard_errors(first, second):
    a, b = variances(first, second)
    return around(first, second, 2 * (a + b) ** 0.5)


@wrong("interval", "quantile of the normal distribution")
def normal(first, second):
    a, b = variances(first, second)
    return around(first, second, 1.645 * (a + b) ** 0.5)


@wrong("interval", "That divides by n")
def population(first, second):
    a, b = variances(first, second, pstdev)
    return around(first, second, t95(degrees_of(a, b, first, second)) * (a + b) ** 0.5)


@wrong("interval", "divide each variance by it")
def spread_of_runs(first, second):
    a, b = stdev(first) ** 2, stdev(second) ** 2
    return around(first, second, t95(degrees_of(a, b, first, second)) * (a + b) ** 0.5)


@wrong("interval", "are for equal spreads")
def student(first, second):
    a, b = variances(first, second)
    return around(first, second, t95(len(first) + len(second) - 2) * (a + b) ** 0.5)


@wrong("interval", "The interval is t times as wide")
def standard_error(first, second):
    a, b = variances(first, second)
    return around(first, second, (a + b) ** 0.5)


@wrong("interval", "first minus second")
def reversed_sign(first, second):
    return solution.interval(second, first)


@wrong("interval", "return (low, high)")
def high_first(first, second):
    return solution.interval(first, second)[::-1]


@wrong("interval", "two numbers")
def half_width_only(first, second):
    low, high = solution.interval(first, second)
    return (high - low) / 2


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
