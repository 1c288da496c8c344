"""Chapter 14, hyper-parameters: moves in a training, the winner's curse, what a gain is worth."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from itertools import product
from math import floor, inf, isclose
from statistics import fmean

from ... import sparse
from ...lab.verdict import FAILS, HOLDS, judge, sample, welch
from .result import Answer, Case, Exercise

# --- 1: moves ------------------------------------------------------------------------------------


def _moves(active: int, every: int, until: int, fraction: float) -> dict[str, float]:
    """The right number of moves under "", and what each mistake gives under its hint."""
    steps = range(every, until, every)
    shares = [sparse.cosine_fraction(t, until, fraction) for t in steps]
    counts = [sparse.drop_count(f, active) for f in shares]
    at_start = sparse.drop_count(fraction, active)
    left, shrinking = active, 0
    for f in shares:
        k = sparse.drop_count(f, left)
        left, shrinking = left - k, shrinking + k
    return {
        "": sum(counts),
        "It counts both halves: a dropped weight and the one grown for it are one move.": (
            2 * sum(counts)
        ),
        "The first rewiring is at step `every`, not at step 0.": at_start + sum(counts),
        "The share falls along the cosine; this takes `fraction` at every rewiring.": (
            at_start * len(counts)
        ),
        "Round down at each rewiring. A sum of unrounded shares is too large.": (
            sum(shares) * active
        ),
        "Round each rewiring, then add: rounding the sum once keeps the parts that no rewiring "
        "could use.": floor(sum(shares) * active + 1e-9),
        "That is the number of rewirings. Each of them drops f(t) · active weights.": len(counts),
        "That is one rewiring. Add up all of them.": counts[0] if counts else inf,
        "It rewires at every step. Only each `every`-th one does.": sum(
            sparse.drop_count(sparse.cosine_fraction(t, until, fraction), active)
            for t in range(1, until)
        ),
        "What was dropped is grown again, so `active` stays the same at every rewiring.": shrinking,
    }


def _counts(name: str, schedule: tuple[int, int, int, float], only: str = "") -> Case:
    found = _moves(*schedule)
    right = found.pop("")

    def test(answer: Answer) -> str:
        given = answer(*schedule)
        if given is None or given is ...:
            return "It returned nothing."
        if abs(float(given) - right) < 1e-6:
            return ""
        for hint, wrong in found.items():
            if abs(float(given) - wrong) < 1e-6:
                return hint
        return f"It gave {float(given):g}; right is {right}. {only}".rstrip()

    return Case(name, test)


total_moves = Exercise(
    name="ch14.total_moves",
    task="`total_moves(active, every, until, fraction)`: how many weights a layer with `active` "
    "weights drops in a whole training with RigL's schedule.",
    minutes=10,
    difficulty=1,
    clues=(
        "At which steps does the rule rewire? The first is step `every`, and `until` is none.",
        "At each of them k = floor(f(t) · active), with the cosine f(t) of chapter 11.",
        "`for t in range(every, until, every)`, and add up "
        "`drop_count(cosine_fraction(t, until, fraction), active)` of `rigl_edu.sparse`.",
    ),
    cases=(
        _counts("a layer of 700 weights", (700, 20, 430, 0.3)),
        _counts("the page's small layer", (12, 100, 500, 0.3)),
        _counts("the last step is no multiple of `every`", (1000, 160, 375, 0.5)),
        _counts("never: `every` is as long as the training", (1000, 375, 375, 0.5)),
        _counts(
            "a product that is a whole number, almost",
            (200, 100, 200, 0.29),
            "0.145 · 200 is 29 on paper and a hair less in floating point; `drop_count` knows.",
        ),
    ),
)

# --- 2: the winner's curse ------------------------------------------------------------------------


def _exactly(values: Sequence[float], k: int) -> float:
    """By going through all equally likely draws."""
    return fmean(max(draw) for draw in product(values, repeat=k))


def _without_replacement(values: Sequence[float], k: int) -> float:
    draws = [d for d in product(range(len(values)), repeat=k) if len(set(d)) == k]
    return fmean(max(values[i] for i in d) for d in draws) if draws else inf


def _best(name: str, values: list[float], k: int, hint: str = "") -> Case:
    right = _exactly(values, k)
    smallest = -_exactly([-value for value in values], k)
    mistakes = {
        "That is the mean of one run. The best of several is better on average.": fmean(values),
        "That is the largest value there is. k runs need not find it.": max(values),
        "That is the worst of k runs; keep the best.": smallest,
        "A value may come up twice: the runs are independent. Draw with replacement.": (
            _without_replacement(values, k)
        ),
    }

    def test(answer: Answer) -> str:
        given = answer(list(values), k)
        if given is None or given is ...:
            return "It returned nothing."
        number = float(given)
        if isclose(number, right, rel_tol=1e-6, abs_tol=1e-9):  # float32 will do
            return ""
        for mistake, wrong in mistakes.items():
            if isclose(number, wrong, rel_tol=1e-6, abs_tol=1e-9):
                return mistake
        if abs(number - right) < 0.05 * (max(values) - min(values)):
            return (
                f"It gave {number:.4f}; right is {right:.4f}. Close, as a simulation is. The "
                "exact value is a short sum."
            )
        return f"It gave {number:.4f}; right is {right:.4f}. {hint}".rstrip()

    return Case(name, test)


expected_best = Exercise(
    name="ch14.expected_best",
    task="`expected_best(accuracies, k)`: the mean of the best of `k` independent runs, each of "
    "which gives any of the accuracies with the same probability. Exactly, not by simulation.",
    minutes=15,
    difficulty=2,
    clues=(
        "When is the best of k runs at most v? When every one of them is.",
        "With the values in order, i + 1 of n are at most number i. So the best is at most number "
        "i with probability ((i + 1) / n) ** k.",
        "The probability that the best *is* number i is that minus (i / n) ** k. Multiply by the "
        "value and add up.",
    ),
    cases=(
        _best("one run", [90.0, 91.0, 92.0, 93.0], 1),
        _best("the best of two", [90.0, 91.0, 92.0, 93.0], 2),
        _best("the best of three dice", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3),
        _best("values out of order", [93.0, 90.0, 92.0, 91.0], 2, "Sort the values first."),
        _best(
            "the same value twice",
            [90.0, 92.0, 92.0],
            2,
            "92 stands there twice, so it comes up two times in three: keep both.",
        ),
        _best("more runs than values", [0.0, 1.0], 5),
    ),
)

# --- 3: little, large, or unknown -----------------------------------------------------------------

_WORDS = ("little", "large", "unknown")


def _gains(name: str, runs: tuple[list[float], list[float]], margin: float, hint: str) -> Case:
    found = welch(*map(sample, runs))
    verdict = judge(found, -inf, margin)
    right = {HOLDS: "little", FAILS: "large"}.get(verdict, "unknown")

    def test(answer: Answer) -> str:
        given = answer(*deepcopy(runs), margin)
        if given is None or given is ...:
            return "It returned nothing."
        if given == right:
            return ""
        if given not in _WORDS:
            return f"It returned {given!r}; the words are 'little', 'large' and 'unknown'."
        return f"It said {given!r}; right is {right!r}. {hint}"

    return Case(name, test)


gain = Exercise(
    name="ch14.gain",
    task="`gain(tuned, default, margin)`: 'little' if the whole 90 % interval of mean(tuned) - "
    "mean(default) is below `margin`, 'large' if all of it is above, 'unknown' otherwise.",
    minutes=10,
    difficulty=2,
    clues=(
        "Which end of the interval must be below the margin, so that all of it is?",
        "`found = welch(sample(tuned), sample(default))` has `low` and `high`.",
        "`found.high < margin` is little, `found.low > margin` is large.",
    ),
    cases=(
        _gains(
            "a gain of 0.1, tight",
            ([92.1, 92.2, 92.3], [92.0, 92.1, 92.2]),
            0.5,
            "The interval ends below the margin, whatever it does around 0.",
        ),
        _gains(
            "a gain of 3 points, tight",
            ([95.0, 95.1, 95.2], [92.0, 92.1, 92.2]),
            0.5,
            "Tuned minus default, in this order: all of it is above the margin.",
        ),
        _gains(
            "a gain of 0.2, wide",
            ([91.3, 92.3, 93.3], [91.6, 92.1, 92.6]),
            0.5,
            "The mean is below the margin, the upper end is not: look at the whole interval.",
        ),
        _gains(
            "above 0, and across the margin",
            ([92.5, 92.6, 92.7], [92.0, 92.1, 92.2]),
            0.5,
            "That there is a gain does not say on which side of the margin it lies.",
        ),
        _gains(
            "tuning lost 2 points",
            ([90.0, 90.1, 90.2], [92.0, 92.1, 92.2]),
            0.5,
            "A loss is less than the margin too: there is no lower bound.",
        ),
        _gains(
            "a margin of 5 points",
            ([91.3, 92.3, 93.3], [91.6, 92.1, 92.6]),
            5.0,
            "The margin is an argument; it is not always half a point.",
        ),
    ),
)
