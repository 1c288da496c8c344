"""The ledger's rule: what two means over a few seeds allow to say about their difference.

A claim says where the difference of two mean accuracies lies: above 0, above -0.5, between -0.5 and
0.5. The runs give an interval that contains the true difference in nine cases of ten. If all of it
lies where the claim says, the claim holds; if none of it does, the claim does not hold; else three
seeds are too few to say. So a verdict against the truth comes up at most once in twenty.

The interval is Welch's (Biometrika 34, 1947): the two spreads may differ, and Student's t, not 2,
pays for spreads that are themselves known from few seeds. "Matches" judged by such an interval is
the two one-sided tests of Schuirmann (1987). Both take runs to be independent and roughly normal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev
from typing import NamedTuple

HOLDS, FAILS, UNDECIDED, NOT_RUN = "holds", "does not hold", "undecided", "not run"

MIN_SEEDS = 3  # the paper's own number; two seeds say next to nothing about a spread

# 95 % quantiles of Student's t for 1 to 30 degrees of freedom: an interval of 90 %.
T95 = (
    *(6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812),
    *(1.796, 1.782, 1.771, 1.761, 1.753, 1.746, 1.740, 1.734, 1.729, 1.725),
    *(1.721, 1.717, 1.714, 1.711, 1.708, 1.706, 1.703, 1.701, 1.699, 1.697),
)


@dataclass(frozen=True)
class Sample:
    """Runs that differ in their seed alone.

    Attributes:
        n: number of runs.
        mean: of their test accuracies, in percent.
        sd: their sample standard deviation, in points; 0 for one run, which nothing is judged by.
        rounding: points by which a printed mean may be off; 0 for our own.
    """

    n: int
    mean: float
    sd: float
    rounding: float = 0.0


class Difference(NamedTuple):
    """First mean minus second, in points, and half the width of its 90 % interval."""

    mean: float
    half_width: float

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.mean + self.half_width


def sample(accuracies: Sequence[float]) -> Sample:
    """Summarise runs, given one test accuracy a seed."""
    n = len(accuracies)
    return Sample(n, fmean(accuracies), stdev(accuracies) if n > 1 else 0.0)


def t95(degrees: float) -> float:
    """95 % quantile of Student's t; degrees of freedom are rounded down, to be on the safe side."""
    whole = int(degrees + 1e-9)  # 4 may come as 3.9999999999999996
    return T95[min(whole, len(T95)) - 1]


def welch(first: Sample, second: Sample) -> Difference:
    """Welch's 90 % interval of the difference of two means.

    Raises:
        ValueError: a side has fewer than `MIN_SEEDS` runs.
    """
    if min(first.n, second.n) < MIN_SEEDS:
        raise ValueError(f"{first.n} and {second.n} seeds; each side needs {MIN_SEEDS}")
    a, b = first.sd**2 / first.n, second.sd**2 / second.n
    degrees = first.n + second.n - 2.0
    if a + b > 0:
        degrees = (a + b) ** 2 / (a**2 / (first.n - 1) + b**2 / (second.n - 1))
    half_width = t95(degrees) * sqrt(a + b) + first.rounding + second.rounding
    return Difference(first.mean - second.mean, half_width)


def judge(found: Difference, lowest: float, highest: float) -> str:
    """Whether a claim that the difference lies between `lowest` and `highest` holds."""
    if lowest < found.low and found.high < highest:
        return HOLDS
    if found.high < lowest or highest < found.low:
        return FAILS
    return UNDECIDED
