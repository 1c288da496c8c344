"""Chapter 14, hyper-parameters: the last move, the best of k runs, what a gain is worth."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from itertools import combinations, product
from math import floor, inf, isclose
from statistics import fmean

from ... import sparse
from ...lab.verdict import FAILS, HOLDS, judge, sample, welch
from .result import Answer, Case, Exercise

# --- 1: the last move ----------------------------------------------------------------------------


def _last(active: int, every: int, until: int, fraction: float) -> dict[str, float]:
    """The right step under "", and what each mistake gives under its hint."""

    def share(t: int) -> float:
        return sparse.cosine_fraction(t, until, fraction)

    def count(t: int) -> int:
        return sparse.drop_count(share(t), active)

    steps = range(every, until, every)
    moving = [t for t in steps if count(t)]
    right = max(moving, default=0)
    return {
        "": right,
        "That is the last rewiring. Does it still move a weight? k is rounded down.": (
            max(steps, default=0)
        ),
        "That is the first rewiring that moves nothing; the last one that moves is asked.": next(
            (t for t in steps if not count(t)), -1
        ),
        "k = floor(f(t) · active): from half a weight on is not enough.": max(
            (t for t in steps if round(share(t) * active)), default=0
        ),
        "It takes every step for a rewiring. Only multiples of `every` are.": max(
            (t for t in range(1, until) if count(t)), default=0
        ),
        "A share that gives exactly one weight moves it: k = 1.": max(
            (t for t in steps if share(t) * active > 1 + 1e-9), default=0
        ),
        "That is how many rewirings move a weight. The step of the last one is asked.": len(moving),
        "That is how many weights the last one moves. Its step is asked.": count(right),
        "The share falls along a cosine, not along a straight line.": max(
            (t for t in steps if floor(fraction * (1 - t / until) * active + 1e-9)), default=0
        ),
        "Step `until` itself does not rewire.": until,
    }


def _ends(name: str, schedule: tuple[int, int, int, float]) -> Case:
    found = _last(*schedule)
    right = found.pop("")

    def test(answer: Answer) -> str:
        given = answer(*schedule)
        if given is ...:
            return "It returned nothing."
        if given is None:
            return "It returned nothing; where no rewiring moves a weight, return 0."
        if float(given) == right:
            return ""
        for hint, wrong in found.items():
            if float(given) == wrong:
                return hint
        return f"It gave {float(given):g}; right is {right}."

    return Case(name, test)


last_move = Exercise(
    name="ch14.last_move",
    task="`last_move(active, every, until, fraction)`: the step of the last rewiring at which a "
    "layer with `active` weights still moves one, with RigL's schedule. 0 if it never does.",
    minutes=10,
    difficulty=1,
    clues=(
        "At which steps does the rule rewire? The first is step `every`, and `until` is none.",
        "At each of them k = floor(f(t) · active), with the cosine f(t) of chapter 11. The share "
        "only falls, so once k is 0 it stays 0.",
        "`for t in range(every, until, every)`: remember t where "
        "`drop_count(cosine_fraction(t, until, fraction), active)` is not 0.",
    ),
    cases=(
        _ends("a layer of 30 weights", (30, 20, 430, 0.3)),
        _ends("the page's small layer", (12, 100, 500, 0.3)),
        _ends("exactly one weight at half-time", (4, 100, 400, 0.5)),
        _ends("a large layer moves to the end", (100_000, 100, 1000, 0.3)),
        _ends("a layer too small to move", (3, 100, 500, 0.3)),
        _ends("never: `every` is as long as the training", (1000, 375, 375, 0.5)),
    ),
)

# --- 2: the best of k recorded runs ---------------------------------------------------------------


def _with_replacement(values: Sequence[float], k: int) -> float:
    """By going through all equally likely draws."""
    return fmean(max(draw) for draw in product(values, repeat=k))


def _exactly(values: Sequence[float], k: int) -> float:
    return fmean(max(chosen) for chosen in combinations(values, k))


def _best(name: str, values: list[float], k: int, hint: str = "") -> Case:
    right = _exactly(values, k)
    smallest = -_exactly([-value for value in values], k)
    mistakes = {
        "That is the page's sum: it draws with replacement, so a run may come twice. Here the k "
        "runs are different ones.": _with_replacement(values, k),
        "That is the mean of one run. The best of several is better on average.": fmean(values),
        "That is the largest value there is. k of the runs need not have it.": max(values),
        "That is the worst of k runs; keep the best.": smallest,
        "Runs with equal accuracy are different runs: keep both.": (
            _exactly(sorted(set(values)), k) if len(set(values)) >= k else inf
        ),
        "That is the mean of the k best runs. The mean over all choices of k is asked.": fmean(
            sorted(values)[-k:]
        ),
    }

    def test(answer: Answer) -> str:
        mine = list(values)
        given = answer(mine, k)
        if given is None or given is ...:
            return "It returned nothing."
        if mine != values:
            return "It changed the list: sort a copy, with `sorted`."
        number = float(given)
        if isclose(number, right, rel_tol=1e-6, abs_tol=1e-9):  # float32 will do
            return ""
        for mistake, wrong in mistakes.items():
            if isclose(number, wrong, rel_tol=1e-6, abs_tol=1e-9):
                return mistake
        if hint:
            return f"It gave {number:.4f}; right is {right:.4f}. {hint}"
        if abs(number - right) < 0.02 * (max(values) - min(values)):
            return (
                f"It gave {number:.4f}; right is {right:.4f}. If that is a simulation: the exact "
                "value is a short sum."
            )
        return f"It gave {number:.4f}; right is {right:.4f}."

    return Case(name, test)


expected_best = Exercise(
    name="ch14.expected_best",
    task="`expected_best(accuracies, k)`: the mean of the best of `k` different runs, chosen at "
    "random from those recorded, every choice equally likely. Exactly, not by simulation.",
    minutes=15,
    difficulty=2,
    clues=(
        "In how many ways can k of n runs be chosen? `math.comb(n, k)`.",
        "Sort. The best is number i at most if all k are among the first i + 1: in "
        "comb(i + 1, k) of the comb(n, k) ways.",
        "The best *is* number i in comb(i, k - 1) ways: i itself and k - 1 of the i before it. "
        "Multiply by the value, add up, divide by comb(n, k).",
    ),
    cases=(
        _best("one run of four", [90.0, 91.0, 92.0, 94.0], 1),
        _best("two of four", [90.0, 91.0, 92.0, 94.0], 2),
        _best("three of six", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3),
        _best("values out of order", [94.0, 90.0, 92.0, 91.0], 2, "Sort the values first."),
        _best("the same value twice", [90.0, 92.0, 92.0, 95.0], 2),
        _best("all of them", [90.0, 93.0, 91.0], 3),
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
