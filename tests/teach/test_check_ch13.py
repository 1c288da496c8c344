"""Chapter 13's checkers: the references pass, each wrong answer fails with its mistake named."""

from math import ceil

import pytest

from rigl_edu.sparse import rigl_flops as package_rigl_flops
from rigl_edu.teach import check
from rigl_edu.teach.solutions import ch13 as solution
from tests.teach.museum import Museum

MUSEUM = Museum(check.ch13, solution)
wrong = MUSEUM.wrong


def test_references():
    MUSEUM.the_references_pass()


def test_shown_solutions():
    MUSEUM.the_shown_solutions_run("")


def test_exercises():
    MUSEUM.is_complete()


def test_the_packages_own_formula_passes():
    assert check.ch13.rigl_flops(package_rigl_flops, quiet=True)


@wrong("rigl_flops", "Divide by the number of steps")
def a_whole_period(f_s, f_d, every):
    return 3 * f_s * every + 2 * f_s + f_d


@wrong("rigl_flops", "divide by every + 1")
def forgets_the_rewiring_step(f_s, f_d, every):
    return (3 * f_s * every + 2 * f_s + f_d) / every


@wrong("rigl_flops", "only the gradient of the weights is dense")
def all_dense(f_s, f_d, every):
    return (3 * f_s * every + 3 * f_d) / (every + 1)


@wrong("rigl_flops", "costs something")
def free_rewiring(f_s, f_d, every):
    return 3 * f_s * every / (every + 1)


@wrong("density_for", "scaling does not do")
def by_scaling(cost, budget):
    return budget / cost(1.0)


@wrong("density_for", "Halve further")
def too_few_halvings(cost, budget):
    low, high = 0.001, 1.0
    for _ in range(4):
        middle = (low + high) / 2
        low, high = (middle, high) if cost(middle) < budget else (low, middle)
    return low


@wrong("density_for", "500 times")
def tries_a_fine_grid(cost, budget):
    return min((i / 10000 for i in range(10, 10001)), key=lambda d: abs(cost(d) - budget))


@wrong("density_for", "no density")
def returns_the_cost(cost, budget):
    return cost(solution.density_for(cost, budget))


@wrong("break_even", "Round down")
def rounds_up(cost, other):
    return ceil(other / cost)


@wrong("break_even", "A whole number")
def a_fraction(cost, other):
    return other / cost


@wrong("break_even", "Upside down")
def upside_down(cost, other):
    return int(cost / other)


@wrong("break_even", "add a slack")
def no_slack(cost, other):
    return int(other / cost)


@pytest.mark.parametrize("exercise, answer, hint", MUSEUM.entries)
def test_wrong(exercise, answer, hint):
    MUSEUM.rejects(exercise, answer, hint)
