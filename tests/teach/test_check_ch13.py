"""Chapter 13's checkers: the references pass, each wrong answer fails with its mistake named."""

from math import ceil

import pytest

from rigl_edu.sparse import rewires_at
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


# --- RigL's cost ----------------------------------------------------------------------------------


def mean_cost(f_s, f_d, steps, rewirings):
    return (3 * f_s * (steps - rewirings) + (2 * f_s + f_d) * rewirings) / steps


def test_it_is_what_a_rule_costs_that_runs():
    """The checker counts as `rewires_at` does, which every rule of the package asks."""

    def mine(f_s, f_d, steps, every, until):
        return mean_cost(
            f_s, f_d, steps, sum(rewires_at(t, every, until) for t in range(1, steps + 1))
        )

    assert check.ch13.flops_as_run(mine, quiet=True)


@wrong("flops_as_run", "That is the page's formula")
def the_pages_formula(f_s, f_d, steps, every, until):
    return package_rigl_flops(f_s, f_d, every)


@wrong("flops_as_run", "does not come on top")
def on_top(f_s, f_d, steps, every, until):
    rewirings = sum(t % every == 0 and t < until for t in range(1, steps + 1))
    return 3 * f_s + (2 * f_s + f_d) * rewirings / steps


@wrong("flops_as_run", "It goes on after `until`")
def to_the_end(f_s, f_d, steps, every, until):
    return mean_cost(f_s, f_d, steps, steps // every)


@wrong("flops_as_run", "Step `until` itself")
def until_too(f_s, f_d, steps, every, until):
    return mean_cost(f_s, f_d, steps, min(steps, until) // every)


@wrong("flops_as_run", "no rewiring at step 0")
def from_zero(f_s, f_d, steps, every, until):
    rewirings = sum(t % every == 0 and t < until for t in range(steps))
    return mean_cost(f_s, f_d, steps, rewirings)


@wrong("flops_as_run", "Training may end before")
def forgets_the_end(f_s, f_d, steps, every, until):
    return mean_cost(f_s, f_d, steps, (until - 1) // every)


@wrong("flops_as_run", "only the gradient of the weights is dense")
def all_dense(f_s, f_d, steps, every, until):
    rewirings = min(steps, until - 1) // every
    return (3 * f_s * (steps - rewirings) + 3 * f_d * rewirings) / steps


@wrong("flops_as_run", "Divide by the number of steps")
def the_whole_training(f_s, f_d, steps, every, until):
    return steps * solution.flops_as_run(f_s, f_d, steps, every, until)


# --- the widest that fits -------------------------------------------------------------------------


def by_steps(cost, budget, most):
    width = 0
    while width < most and cost(width + 1) <= budget:
        width += 1
    return width


@wrong("widest", "more than 60 times")
def one_by_one(cost, budget, most):
    return by_steps(cost, budget, most)


def halved(below, answer=lambda low, high: low, high=lambda most: most + 1):
    def widest(cost, budget, most):
        low, top = 0, high(most)
        while top - low > 1:
            middle = (low + top) // 2
            low, top = (middle, top) if below(cost(middle), budget) else (low, middle)
        return answer(low, top)

    return widest


def at_most(cost, budget):
    return cost <= budget


MUSEUM.hang("widest", "the_first_that_is_too_dear", "One too many", halved(at_most, max))
MUSEUM.hang(
    "widest", "below_the_budget", "At most the budget", halved(lambda cost, budget: cost < budget)
)
MUSEUM.hang("widest", "never_tries_most", "`most` itself", halved(at_most, high=lambda most: most))
MUSEUM.hang("widest", "one_at_least", "Not even one", halved(at_most, lambda low, _: max(low, 1)))
MUSEUM.hang("widest", "one_less", "One too few", halved(at_most, lambda low, _: max(low - 1, 0)))


@wrong("widest", "a number of channels is whole")
def halves_of_channels(cost, budget, most):
    return solution.widest(cost, budget, most) + 0.5


@wrong("widest", "a width of 32.5 was tried")
def asks_for_half_a_channel(cost, budget, most):
    return cost((1 + most) / 2)


@wrong("widest", "That is the cost")
def the_cost(cost, budget, most):
    return cost(solution.widest(cost, budget, most))


@wrong("widest", "is the largest that fits")
def by_scaling(cost, budget, most):
    return min(most, int(most * (budget / cost(most)) ** 0.5) - 3)


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
