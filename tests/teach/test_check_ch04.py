"""Chapter 4's checkers: references pass, and each wrong answer fails with its mistake named."""

from math import ceil, floor
from statistics import mean, median

import numpy as np
import pytest

from rigl_edu.teach import check
from rigl_edu.teach.solutions import ch04 as solution
from tests.teach.museum import Museum

MUSEUM = Museum(check.ch04, solution)


def test_references():
    MUSEUM.the_references_pass()


def test_shown_solutions():
    MUSEUM.the_shown_solutions_run("from statistics import mean")


def test_exercises():
    MUSEUM.is_complete()


@pytest.mark.parametrize("exercise, answer, hint", MUSEUM.entries)
def test_wrong(exercise, answer, hint):
    MUSEUM.rejects(exercise, answer, hint)


# --- the prize ------------------------------------------------------------------------------------


@MUSEUM.wrong("prize", "it must be the first four")
def counts_them(holds):
    return {5: "jackpot", 4: "secondary"}.get(sum(holds), "none")


@MUSEUM.wrong("prize", "Without condition 5")
def any_prize_is_the_jackpot(holds):
    return "jackpot" if all(holds[:4]) else "none"


@MUSEUM.wrong("prize", "Condition 1 counts too")
def forgets_the_first(holds):
    return solution.prize([True, *holds[1:]])


@MUSEUM.wrong("prize", '"jackpot", "secondary" or "none"')
def says_true(holds):
    return all(holds)


@MUSEUM.wrong("prize", "returned nothing")
def only_the_jackpot(holds):
    if sum(holds) > 5:
        return "jackpot"


# --- condition 3 ----------------------------------------------------------------------------------


@MUSEUM.wrong("above_reinit", "Not at the same rate")
def at_the_same_rate(ticket, reinit, tolerance):
    return any(mean(ticket[r]) - mean(reinit[r]) > tolerance for r in ticket)


@MUSEUM.wrong("above_reinit", "Some rate is enough")
def at_every_rate(ticket, reinit, tolerance):
    return all(mean(ticket[r]) - mean(reinit[r]) > tolerance for r in ticket)


@MUSEUM.wrong("above_reinit", "not the best seed")
def the_best_seed(ticket, reinit, tolerance):
    best = max(max(v) for v in ticket.values())
    return best - max(max(v) for v in reinit.values()) > tolerance


@MUSEUM.wrong("above_reinit", "by more than the tolerance")
def any_lead(ticket, reinit, tolerance):
    return solution.above_reinit(ticket, reinit, 0)


@MUSEUM.wrong("above_reinit", "not as much as it")
def a_lead_of_the_tolerance(ticket, reinit, tolerance):
    return solution.above_reinit(ticket, reinit, tolerance - 1e-9)


@MUSEUM.wrong("above_reinit", "True or False")
def the_difference(ticket, reinit, tolerance):
    return max(map(mean, ticket.values())) - max(map(mean, reinit.values()))


# --- the overlap ----------------------------------------------------------------------------------


def largest(scores, k):
    return set(scores.flatten().topk(k).indices.tolist())


def sets(first, second, mask, k):
    return [largest(w.abs().masked_fill(~mask, -1), k) for w in (first, second)]


@MUSEUM.wrong("shared_largest", "The largest |w|")
def by_sign(first, second, mask, p):
    k = round(p * int(mask.sum()))
    a, b = (largest(w.masked_fill(~mask, -1e9), k) for w in (first, second))
    return len(a & b) / k


@MUSEUM.wrong("shared_largest", "off the mask took part")
def ignores_the_mask(first, second, mask, p):
    k = round(p * mask.numel())
    a, b = largest(first.abs(), k), largest(second.abs(), k)
    return len(a & b) / k


@MUSEUM.wrong("shared_largest", "a share of the active positions")
def a_share_of_all(first, second, mask, p):
    k = min(round(p * mask.numel()), int(mask.sum()))
    a, b = sets(first, second, mask, k)
    return len(a & b) / k


@MUSEUM.wrong("shared_largest", "to the nearest whole number")
def rounds_down(first, second, mask, p):
    k = floor(p * int(mask.sum()))
    a, b = sets(first, second, mask, k)
    return len(a & b) / k


@MUSEUM.wrong("shared_largest", "to the nearest whole number")
def rounds_up(first, second, mask, p):
    k = ceil(p * int(mask.sum()))
    a, b = sets(first, second, mask, k)
    return len(a & b) / k


@MUSEUM.wrong("shared_largest", "size of the union")
def jaccard(first, second, mask, p):
    a, b = sets(first, second, mask, round(p * int(mask.sum())))
    return len(a & b) / len(a | b)


@MUSEUM.wrong("shared_largest", "Divide by k")
def a_count(first, second, mask, p):
    k = round(p * int(mask.sum()))
    a, b = sets(first, second, mask, k)
    return len(a & b)


@MUSEUM.wrong("shared_largest", "return a number")
def the_positions(first, second, mask, p):
    a, b = sets(first, second, mask, round(p * int(mask.sum())))
    return a & b


@MUSEUM.wrong("above_reinit", "re-init's best mean at any rate")
def at_the_ticket_s_best_rate(ticket, reinit, tolerance):
    best = max(ticket, key=lambda r: mean(ticket[r]))
    return mean(ticket[best]) - mean(reinit[best]) > tolerance


@MUSEUM.wrong("above_reinit", "not medians")
def compares_medians(ticket, reinit, tolerance):
    best = [max(median(v) for v in table.values()) for table in (ticket, reinit)]
    return best[0] - best[1] > tolerance


def test_condition_3_leaves_its_tables_as_they_are_and_takes_numpy():
    def uses_up(ticket, reinit, tolerance):
        def average(values):
            total, n = 0, len(values)
            while values:
                total += values.pop()
            return total / n

        return max(map(average, ticket.values())) - max(map(average, reinit.values())) > tolerance

    def with_numpy(ticket, reinit, tolerance):
        best = [max(np.mean(v) for v in table.values()) for table in (ticket, reinit)]
        return best[0] - best[1] > tolerance

    for answer in (uses_up, uses_up, with_numpy, solution.above_reinit):
        assert check.ch04.above_reinit(answer).passed
