"""Chapter 15, the reproduction: margins, seeds, and runs that may be compared."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from math import sqrt
from typing import Any

from ...lab.verdict import t95
from .result import Answer, Case, Exercise, alike

# --- 1: the margins ------------------------------------------------------------------------------


def _margins(low: float, high: float) -> tuple[float, float]:
    """Where 'matches' stops to fail and where it begins to hold, as `judge` decides."""
    return max(0.0, low, -high), max(abs(low), abs(high))


def _turns(name: str, low: float, high: float) -> Case:
    right = _margins(low, high)
    ends = sorted((abs(low), abs(high)))
    mistakes: dict[str, tuple[float, float]] = {
        "It holds from the larger |end| on, and it fails below the first number. The first is the "
        "smaller.": (right[1], right[0]),
        "0 lies in the interval, so it has a point in common with -m to m for any m: no margin "
        "makes it fail, and the first number is 0.": (ends[0], right[1]),
        "Both ends must lie between -m and m, so the larger |end| decides where it holds.": (
            right[0],
            ends[0],
        ),
        "A difference below 0 counts as its size: -m to m reaches to both sides.": (low, high),
        "The middle decides nothing: take the ends.": (
            abs(low + high) / 2,
            right[1],
        ),
        "That is half the width. The margins reach from 0, wherever the interval lies.": (
            right[0],
            (high - low) / 2,
        ),
    }

    def test(answer: Answer) -> str:
        given = answer(low, high)
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            return "It should return two margins: it fails below the first, holds above the second."
        found = (float(given[0]), float(given[1]))
        if alike(found, right):
            return ""
        for hint, wrong in mistakes.items():
            if alike(found, wrong) and not alike(wrong, right):
                return hint
        return (
            f"It gave ({found[0]:g}, {found[1]:g}); right is ({right[0]:g}, {right[1]:g}) for an "
            f"interval from {low:g} to {high:g}."
        )

    return Case(name, test)


margins = Exercise(
    name="ch15.margins",
    task="`margins(low, high)`: two numbers, for an interval from `low` to `high`. The claim "
    "'matches' says that the difference lies between -m and m. It does not hold for any margin m "
    "below the first number, it holds for any above the second, and is undecided between them.",
    minutes=10,
    difficulty=1,
    clues=(
        "Draw the interval and let m grow from 0. When do the two first touch? When is all of the "
        "interval covered?",
        "All of it is covered when m passes the larger of |low| and |high|.",
        "They touch when m reaches the end nearest to 0; at once if 0 lies in the interval: "
        "`max(0, low, -high)`.",
    ),
    cases=(
        _turns("all above 0", 0.2, 0.7),
        _turns("0 lies within", -0.1, 0.5),
        _turns("0 lies within, more of it below", -0.7, 0.3),
        _turns("all below 0", -0.9, -0.4),
        _turns("from 0 on", 0.0, 0.3),
    ),
)

# --- 2: seeds ------------------------------------------------------------------------------------


def _seeds(
    first: float,
    second: float,
    difference: float,
    *,
    t: float | None = None,
    degrees: Callable[[int], float] | None = None,
    one_side: bool = False,
    least: int = 3,
) -> int:
    """The smallest n a side; one part can be wrong, by itself it is right."""
    n = least
    while True:
        a, b = first**2 / n, second**2 / n
        nu = degrees(n) if degrees else (a + b) ** 2 / (a**2 + b**2) * (n - 1)
        factor = t95(nu) if t is None else t
        if factor * sqrt(a if one_side else a + b) < abs(difference):
            return n
        n += 1


def _needs(name: str, first: float, second: float, difference: float) -> Case:
    given_numbers = first, second, difference
    right = _seeds(*given_numbers)
    mistakes = {  # the first that fits is named, so the special ones come before "one too few"
        "That is the number of all runs. A side is asked.": 2 * right,
        "The book judges no side with fewer than three seeds.": _seeds(*given_numbers, least=2),
        "It has 2 in place of Student's t, which is larger for few runs.": _seeds(
            *given_numbers, t=2.0
        ),
        "It has 1.645, the quantile of the normal distribution. Use `t95`.": _seeds(
            *given_numbers, t=1.645
        ),
        "Variances of both sides add up under the root.": _seeds(*given_numbers, one_side=True),
        "The degrees of freedom 2n - 2 are for equal spreads. These differ: use Welch's.": _seeds(
            *given_numbers, degrees=lambda n: 2 * n - 2
        ),
        "That is where the standard error is small enough. Half the interval is t times as long.": (
            _seeds(*given_numbers, t=1.0)
        ),
        "One too few: with so many, half the interval is as long as the difference, or longer.": (
            right - 1
        ),
        "One too many: one fewer is enough.": right + 1,
    }

    def test(answer: Answer) -> str:
        given = answer(*given_numbers)
        if given is None or given is ...:
            return "It returned nothing."
        number = float(given)
        if number == right:
            return ""
        if number != int(number):
            return f"It gave {number:g}: a number of seeds is whole."
        for hint, wrong in mistakes.items():
            if number == wrong:
                return hint
        return f"It gave {number:g}; right is {right}."

    return Case(name, test)


seeds_needed = Exercise(
    name="ch15.seeds_needed",
    task="`seeds_needed(first, second, difference)`: the smallest number of seeds a side, 3 or "
    "more, with which half of Welch's 90 % interval is shorter than |difference|. `first` and "
    "`second` are the standard deviations of single runs. `t95(degrees)` of "
    "`rigl_edu.lab.verdict` gives Student's t.",
    minutes=15,
    difficulty=2,
    clues=(
        "For a given n you can compute half the interval. Which n do you try first, and when do "
        "you stop?",
        "With a = first² / n and b = second² / n it is t95(degrees) · sqrt(a + b).",
        "The degrees of freedom are (a + b)² / (a² / (n - 1) + b² / (n - 1)). Begin at n = 3 and "
        "add 1 until it is short enough.",
    ),
    cases=(
        _needs("equal spreads, a small difference", 0.3, 0.3, 0.1),
        _needs("one side spreads ten times as much", 0.5, 0.05, 0.3),
        _needs("the other side spreads more", 0.1, 0.4, 0.45),
        _needs("a difference below 0", 0.2, 0.3, -0.2),
        _needs("a large difference", 0.2, 0.2, 5),
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
