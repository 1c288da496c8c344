"""The rule: on seeds with known answers, against SciPy, and how often it is wrong."""

import math
import random

import pytest
from scipy import stats

from rigl_edu.lab.paper_claims import region
from rigl_edu.lab.verdict import (
    FAILS,
    HOLDS,
    T95,
    UNDECIDED,
    Difference,
    Sample,
    judge,
    sample,
    t95,
    welch,
)

ABOVE = (0.0, math.inf)


def test_a_sample_is_mean_and_sample_deviation():
    assert sample([91.0, 92.5, 92.0]) == Sample(
        3, pytest.approx(91.8333, abs=1e-4), pytest.approx(0.76376, abs=1e-5)
    )
    assert sample([50.0]) == Sample(1, 50.0, 0.0)


def test_the_table_of_t_is_student_s():
    for degrees, quantile in enumerate(T95, 1):
        assert quantile == pytest.approx(stats.t.ppf(0.95, degrees), abs=5e-4)


@pytest.mark.parametrize(
    ("degrees", "quantile"),
    [(2.0, 2.920), (2.9, 2.920), (4 - 1e-12, 2.132), (30.0, 1.697), (500.0, 1.697)],
)
def test_degrees_of_freedom_are_rounded_down(degrees, quantile):
    assert t95(degrees) == quantile


def test_welch_by_hand():
    # Spreads of 0.1: s = sqrt(2 * 0.01 / 3) = 0.08165, four degrees of freedom, t = 2.132.
    found = welch(sample([92.4, 92.5, 92.6]), sample([91.0, 91.1, 91.2]))
    assert found.mean == pytest.approx(1.4)
    assert found.half_width == pytest.approx(0.17408, abs=1e-5)
    assert found.low == pytest.approx(1.22592, abs=1e-5)
    assert found.high == pytest.approx(1.57408, abs=1e-5)


def test_one_spread_of_two_leaves_two_degrees_of_freedom():
    # s = 0.3 / sqrt(3) = 0.17321, t = 2.920.
    found = welch(Sample(3, 92.0, 0.0), Sample(3, 91.0, 0.3))
    assert found == Difference(1.0, pytest.approx(0.50576, abs=1e-5))


def test_no_spread_at_all_is_a_point():
    assert welch(Sample(3, 92.0, 0.0), Sample(3, 92.0, 0.0)) == Difference(0.0, 0.0)


def test_what_was_rounded_widens_the_interval():
    exact = welch(Sample(3, 92.4, 0.1), Sample(3, 92.1, 0.2))
    printed = welch(Sample(3, 92.4, 0.1, rounding=0.1), Sample(3, 92.1, 0.2, rounding=0.05))
    assert printed.half_width == pytest.approx(exact.half_width + 0.15)
    assert printed.mean == exact.mean


def test_never_narrower_than_scipy_s():
    draw = random.Random(0)
    for _ in range(200):
        first = [draw.gauss(0, 1) for _ in range(draw.randint(3, 6))]
        second = [draw.gauss(0, 3) for _ in range(draw.randint(3, 6))]
        ours = welch(sample(first), sample(second))
        theirs = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.9)
        assert ours.low <= theirs.low + 1e-3 and ours.high >= theirs.high - 1e-3
        assert ours.half_width < 1.3 * (theirs.high - theirs.low) / 2


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_are_not_judged(seeds):
    few, enough = sample([92.0, 91.0][:seeds]), sample([90.0, 90.1, 90.2])
    for pair in ((few, enough), (enough, few)):
        with pytest.raises(ValueError, match="each side needs 3"):
            welch(*pair)


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ([92.4, 92.5, 92.6], [91.0, 91.1, 91.2], HOLDS),  # clear
        ([91.0, 91.1, 91.2], [92.4, 92.5, 92.6], FAILS),  # reversed
        ([92.0, 92.1, 92.2], [92.0, 92.1, 92.2], UNDECIDED),  # tied
        ([91.0, 92.0, 93.0], [90.5, 91.5, 92.5], UNDECIDED),  # overlapping
        ([92.0, 92.0, 92.0], [92.0, 92.0, 92.0], UNDECIDED),  # equal to the letter
        ([92.3, 92.35, 92.4], [83.0, 92.1, 92.2], UNDECIDED),  # one seed collapsed
    ],
)
def test_above(first, second, verdict):
    assert judge(welch(sample(first), sample(second)), *ABOVE) == verdict


@pytest.mark.parametrize(
    ("relation", "low", "high", "verdict"),
    [
        ("above", 0.1, 0.3, HOLDS),
        ("above", -0.1, 0.3, UNDECIDED),
        ("above", -0.3, -0.1, FAILS),
        ("at least", -0.4, 0.3, HOLDS),
        ("at least", -0.6, 0.3, UNDECIDED),
        ("at least", -0.9, -0.6, FAILS),
        ("matches", -0.4, 0.4, HOLDS),
        ("matches", -0.6, 0.4, UNDECIDED),
        ("matches", -0.4, 0.6, UNDECIDED),
        ("matches", -0.6, 0.6, UNDECIDED),
        ("matches", 0.6, 0.8, FAILS),
        ("matches", -0.8, -0.6, FAILS),
        ("no better", -9.0, 0.4, HOLDS),
        ("no better", 0.4, 0.6, UNDECIDED),
        ("no better", 0.6, 0.8, FAILS),
    ],
)
def test_each_relation_on_cifar10(relation, low, high, verdict):
    found = Difference((low + high) / 2, (high - low) / 2)
    assert judge(found, *region(relation, "CIFAR-10")) == verdict


def test_cifar100_allows_a_whole_point():
    assert region("matches", "CIFAR-100") == (-1.0, 1.0)
    assert region("above", "CIFAR-100") == ABOVE


@pytest.mark.parametrize("spreads", [(1, 1), (1, 3)])
def test_it_is_wrong_at_most_once_in_twenty(spreads):
    draw, trials = random.Random(0), 4000
    verdicts = [
        judge(
            welch(*(sample([draw.gauss(0, spread) for _ in range(3)]) for spread in spreads)),
            *ABOVE,
        )
        for _ in range(trials)
    ]
    for wrong in (HOLDS, FAILS):  # there is no difference
        assert 0.02 < verdicts.count(wrong) / trials < 0.055
