"""Chapter 15, the reproduction: a verdict, an interval, and runs that may be compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from math import inf, sqrt
from statistics import pvariance, variance
from typing import Any

from ...lab.verdict import FAILS, HOLDS, UNDECIDED, Difference, judge, sample, t95, welch
from .result import Answer, Case, Exercise

# --- 1: the verdict ------------------------------------------------------------------------------


def _judges(name: str, numbers: tuple[float, float, float, float], hints: dict[str, str]) -> Case:
    """One interval against one region; `hints` maps a wrong word to what it means here."""
    low, high, lowest, highest = numbers
    right = judge(Difference((low + high) / 2, (high - low) / 2), lowest, highest)

    def test(answer: Answer) -> str:
        given = answer(low, high, lowest, highest)
        if given is None or given is ...:
            return "It returned nothing."
        if given == right:
            return ""
        if given not in (HOLDS, FAILS, UNDECIDED):
            return f"It returned {given!r}: the words are {HOLDS!r}, {FAILS!r} and {UNDECIDED!r}."
        return f"It said {given!r}; right is {right!r}. {hints.get(given, '')}".rstrip()

    return Case(name, test)


verdict = Exercise(
    name="ch15.verdict",
    task="`verdict(low, high, lowest, highest)`: the difference lies between `low` and `high`, the "
    "claim says that it lies between `lowest` and `highest`. Return 'holds', 'does not hold' or "
    "'undecided'.",
    minutes=5,
    difficulty=1,
    clues=(
        "Draw the two intervals on a line. How can they lie to each other?",
        "All of the first inside the second; no point in common; anything else.",
        "`if lowest < low and high < highest`, then `if high < lowest or highest < low`.",
    ),
    cases=(
        _judges("all inside: 'above' and an interval above 0", (0.1, 0.5, 0.0, inf), {}),
        _judges("all outside: below 0", (-0.5, -0.1, 0.0, inf), {}),
        _judges(
            "0 lies within the interval",
            (-0.1, 0.5, 0.0, inf),
            {
                HOLDS: "Most of the interval is above 0, not all of it: the middle alone decides "
                "nothing.",
                FAILS: "Part of the interval is above 0: that speaks for the claim.",
            },
        ),
        _judges("inside on both sides: 'matches'", (-0.2, 0.3, -0.5, 0.5), {}),
        _judges(
            "sticks out at the top",
            (0.1, 0.9, -0.5, 0.5),
            {HOLDS: "Its upper end is outside: look at both ends."},
        ),
        _judges(
            "above the region",
            (0.6, 0.9, -0.5, 0.5),
            {
                UNDECIDED: "No point in common, only on the other side: too high is outside too.",
                HOLDS: "Too high is outside too: look at both ends.",
            },
        ),
        _judges(
            "wider than the region",
            (-0.9, 0.9, -0.5, 0.5),
            {
                FAILS: "It does not fit in, but the truth may well be inside.",
                HOLDS: "It covers the region; it does not lie in it.",
            },
        ),
    ),
)

# --- 2: the interval -----------------------------------------------------------------------------

_EVEN = ([92.4, 92.5, 92.6], [91.0, 91.2, 91.1])
_UNEVEN = ([92.38, 92.50, 92.42], [90.52, 90.07, 90.55])
_COLLAPSED = ([92.5, 92.3, 92.0, 92.4], [92.1, 92.2, 65.6])


def _half_width(
    first: Sequence[float],
    second: Sequence[float],
    *,
    spread: Callable[[Sequence[float]], float] = variance,
    t: float | None = None,
    degrees: float | None = None,
    divide: bool = True,
) -> float:
    """Half an interval of which one part can be wrong; by itself it is right."""
    a, b = (spread(runs) / (len(runs) if divide else 1) for runs in (first, second))
    if degrees is None:
        degrees = (a + b) ** 2 / (a**2 / (len(first) - 1) + b**2 / (len(second) - 1))
    return (t95(degrees) if t is None else t) * sqrt(a + b)


def _interval_of(name: str, runs: tuple[list[float], list[float]]) -> Case:
    right = welch(*map(sample, runs))
    equal = len(runs[0]) + len(runs[1]) - 2
    mistakes = {
        "The spread of a mean shrinks with the number of runs: divide each variance by it.": (
            _half_width(*runs, divide=False)
        ),
        "That divides by n. Use the sample variance, `statistics.variance`, which divides by "
        "n - 1: the mean is estimated from the same runs.": _half_width(*runs, spread=pvariance),
        "It has 2 in place of Student's t: right for many runs, too narrow for three.": (
            _half_width(*runs, t=2.0)
        ),
        "It has 1.645, the quantile of the normal distribution: right for many runs, too narrow "
        "for three. Use `t95`.": _half_width(*runs, t=1.645),
        "The degrees of freedom n1 + n2 - 2 are for equal spreads. These differ: use Welch's.": (
            _half_width(*runs, degrees=equal)
        ),
        "That is the standard error. The interval is t times as wide.": _half_width(*runs, t=1.0),
    }

    def test(answer: Answer) -> str:
        given = answer(*deepcopy(runs))
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            return "It should return two numbers, (low, high)."
        low, high = map(float, given)
        if low > high:
            return "The first number is larger than the second: return (low, high)."
        middle, half_width = (low + high) / 2, (high - low) / 2
        if abs(middle - right.mean) > 1e-4:  # float32 will do
            if abs(middle + right.mean) < 1e-4:
                return "The sign is the other way round: first minus second."
            return f"The middle is {middle:.3f}; the difference of the means is {right.mean:.3f}."
        if abs(half_width - right.half_width) < 1e-4:
            return ""
        for hint, wrong in mistakes.items():
            if abs(half_width - wrong) < 1e-4:
                return hint
        return f"Half the width is {half_width:.4f}; right is {right.half_width:.4f}."

    return Case(name, test)


interval = Exercise(
    name="ch15.interval",
    task="`interval(first, second)`: (low, high), Welch's 90 % interval of mean(first) - "
    "mean(second) for two lists of accuracies. `t95(degrees)` of `rigl_edu.lab.verdict` gives "
    "Student's t.",
    minutes=15,
    difficulty=2,
    clues=(
        "The middle is the difference of the means. Half the width is t times the standard error "
        "of that difference.",
        "With a = variance(first) / len(first) and b likewise, the standard error is sqrt(a + b).",
        "The degrees of freedom are (a + b)² / (a² / (n1 - 1) + b² / (n2 - 1)).",
    ),
    cases=(
        _interval_of("three runs each, equal spreads", _EVEN),
        _interval_of("the paper's RigL and static masks", _UNEVEN),
        _interval_of("one of three collapsed, and four on the other side", _COLLAPSED),
        _interval_of("the other way round", (_UNEVEN[1], _UNEVEN[0])),
    ),
)

# --- 3: what may be compared ---------------------------------------------------------------------


def _record(seed: int, accuracy: float, **changes: Any) -> dict[str, Any]:
    record = {
        "recipe": {"name": "mini-rigl-0.1"},
        "recipe_fingerprint": "recipe-a",
        "data": {"name": "cifar10-jpeg", "fingerprint": "data-a"},
        "precision": "fp32",
        "seed": seed,
        "test_accuracy": accuracy,
    }
    return {**record, **changes}


_THREE = [_record(0, 63.0), _record(1, 61.4), _record(2, 62.1)]
_HOME = ("recipe-a", "data-a", "fp32")


def _groups(name: str, records: list[dict[str, Any]], right: dict[Any, Any], hint: str) -> Case:
    def test(answer: Answer) -> str:
        given = answer(deepcopy(records))
        if given is None or given is ...:
            return "It returned nothing."
        if not isinstance(given, dict):
            return f"It should return a dict; this is a {type(given).__name__}."
        wrong = [key for key in given if not isinstance(key, tuple) or len(key) != 3]
        if wrong:
            return f"A key is (recipe fingerprint, data fingerprint, precision), not {wrong[0]!r}."
        return "" if {key: list(values) for key, values in given.items()} == right else hint

    return Case(name, test)


groups = Exercise(
    name="ch15.groups",
    task="`groups(records)`: a dict from (recipe_fingerprint, data fingerprint, precision) to the "
    "list of test accuracies in the order of the seeds. Smoke twins, whose recipe's name ends in "
    "'-smoke', are left out.",
    minutes=10,
    difficulty=2,
    clues=(
        "A record is a dict; `record['data']['fingerprint']` is inside another one.",
        "What must two runs share, so that only the seed tells them apart? Names can lie.",
        "Sort by `record['seed']` first, then `found.setdefault(key, []).append(...)`.",
    ),
    cases=(
        _groups(
            "three seeds",
            _THREE,
            {_HOME: [63.0, 61.4, 62.1]},
            "One group with all three accuracies is right here.",
        ),
        _groups(
            "out of order",
            [_THREE[2], _THREE[0], _THREE[1]],
            {_HOME: [63.0, 61.4, 62.1]},
            "The accuracies go in the order of the seeds, not of the records.",
        ),
        _groups(
            "a recipe that was changed since",
            [*_THREE, _record(3, 70.0, recipe_fingerprint="recipe-b")],
            {_HOME: [63.0, 61.4, 62.1], ("recipe-b", "data-a", "fp32"): [70.0]},
            "Two versions of a recipe share its name. The fingerprint tells them apart.",
        ),
        _groups(
            "data of one name, but other images",
            [*_THREE, _record(3, 70.0, data={"name": "cifar10-jpeg", "fingerprint": "data-b"})],
            {_HOME: [63.0, 61.4, 62.1], ("recipe-a", "data-b", "fp32"): [70.0]},
            "Two data sets share a name here. The fingerprint tells them apart.",
        ),
        _groups(
            "another precision",
            [*_THREE, _record(3, 70.0, precision="bf16")],
            {_HOME: [63.0, 61.4, 62.1], ("recipe-a", "data-a", "bf16"): [70.0]},
            "The run in bf16 belongs in a group of its own.",
        ),
        _groups(
            "a smoke twin",
            [*_THREE, _record(3, 11.0, recipe={"name": "mini-rigl-0.1-smoke"})],
            {_HOME: [63.0, 61.4, 62.1]},
            "The smoke twin took ten steps: leave it out.",
        ),
        _groups("no records", [], {}, "No records, no groups: an empty dict."),
    ),
)
