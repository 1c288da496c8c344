"""Chapter 12's checkers: the references pass, each wrong answer fails with its mistake named."""

from math import floor

import pytest
import torch

from rigl_edu.sparse import share as package_share
from rigl_edu.teach import check
from rigl_edu.teach.solutions import ch12 as solution
from tests.teach.museum import Museum

MUSEUM = Museum(check.ch12, solution)
wrong = MUSEUM.wrong


def test_references():
    MUSEUM.the_references_pass()


def test_shown_solutions():
    MUSEUM.the_shown_solutions_run("from math import floor")


def test_exercises():
    MUSEUM.is_complete()


def test_a_tensor_of_whole_numbers_passes():
    mine = lambda *given: torch.tensor(solution.share_at_least(*given))  # noqa: E731
    assert check.ch12.share_at_least(mine, quiet=True)


def test_a_zero_dimensional_tensor_is_a_number():
    def mine(gradients, mask):
        return torch.stack(gradients).mean(0)[mask].abs().sum() / max(1, int(mask.sum()))

    assert check.ch12.score_of_batches(mine, quiet=True)


def test_without_a_floor_it_is_the_packages_share():
    def mine(scores, budget, least):
        if any(least):
            return solution.share_at_least(scores, budget, least)
        return package_share(scores, budget, [budget] * len(scores))

    assert check.ch12.share_at_least(mine, quiet=True)


# --- the score of a layer -------------------------------------------------------------------------


def scoring(score, of=lambda gradients: torch.stack(gradients).mean(0)):
    return lambda gradients, mask: score(of(gradients), mask) if mask.any() else 0


def right_score(mean, mask):
    return mean[mask].abs().mean()


for name, hint, answer in (
    (
        "absolute_first",
        "must cancel",
        scoring(right_score, lambda gs: torch.stack(gs).abs().mean(0)),
    ),
    ("last_batch", "the last batch's score", scoring(right_score, lambda gs: gs[-1])),
    ("first_batch", "the first batch's score", scoring(right_score, lambda gs: gs[0])),
    ("adds_batches", "Divide by how many", scoring(right_score, sum)),
    ("the_sum", "That is the sum", scoring(lambda mean, mask: mean[mask].abs().sum())),
    ("over_all", "over all 36 positions", scoring(lambda mean, mask: mean.abs().mean())),
    ("divided_by_all", "Divide by the active", scoring(lambda m, mask: (m * mask).abs().mean())),
    ("signed", "must not cancel", scoring(lambda mean, mask: mean[mask].mean())),
    ("late_absolute", "not after it", scoring(lambda mean, mask: mean[mask].mean().abs())),
    ("a_tensor", "a score is one number", scoring(lambda mean, mask: mean.abs() * mask)),
    (
        "nonzero_values",
        "not by the nonzero values",
        scoring(lambda m, mask: (m * mask).abs().sum() / (m * mask != 0).sum().clamp(min=1)),
    ),
):
    MUSEUM.hang("score_of_batches", name, hint, answer)


@wrong("score_of_batches", "a mean over no weights")
def forgets_the_empty_layer(gradients, mask):
    return right_score(torch.stack(gradients).mean(0), mask)


# --- sharing a budget -----------------------------------------------------------------------------


def exact(scores, budget):
    return [budget * score / sum(scores) for score in scores]


def rounded(shares, budget, order):
    counts = [floor(x + 1e-9) for x in shares]
    for i in order(shares, counts)[: budget - sum(counts)]:
        counts[i] += 1
    return counts


def by_remainder(shares, counts):
    return sorted(range(len(shares)), key=lambda i: counts[i] - shares[i])


@wrong("share_at_least", "Rounding each share by itself")
def rounds_each(scores, budget, least):
    return [round(x) for x in exact(scores, budget)]


@wrong("share_at_least", "Rounding each share by itself")
def rounds_down(scores, budget, least):
    return [floor(x) for x in exact(scores, budget)]


@wrong("share_at_least", "whole numbers")
def fractions(scores, budget, least):
    return exact(scores, budget)


@wrong("share_at_least", "went to the first layers")
def rest_to_the_first(scores, budget, least):
    return rounded(exact(scores, budget), budget, lambda shares, _: list(range(len(shares))))


@wrong("share_at_least", "must get 5 at least")
def no_floor(scores, budget, least):
    return rounded(exact(scores, budget), budget, by_remainder)


@wrong("share_at_least", "the least only counts")
def floor_first(scores, budget, least):
    rest = budget - sum(least)
    counts = rounded(exact(scores, rest), rest, by_remainder)
    return [n + low for n, low in zip(counts, least, strict=True)]


@wrong("share_at_least", "must come from the others")
def lifts_for_nothing(scores, budget, least):
    counts = rounded(exact(scores, budget), budget, by_remainder)
    return [max(n, low) for n, low in zip(counts, least, strict=True)]


@wrong("share_at_least", "taken from the largest alone")
def takes_from_the_largest(scores, budget, least):
    counts = lifts_for_nothing(scores, budget, least)
    counts[counts.index(max(counts))] -= sum(counts) - budget
    return counts


@wrong("share_at_least", "Layer 1 gets 4 and must get 5 at least")
def lifts_once(scores, budget, least):
    low = [i for i, x in enumerate(exact(scores, budget)) if x < least[i]]
    left = budget - sum(least[i] for i in low)
    rest = sum(score for i, score in enumerate(scores) if i not in low)
    shares = [least[i] if i in low else left * scores[i] / rest for i in range(len(scores))]
    return rounded(shares, budget, by_remainder)


@wrong("share_at_least", "ZeroDivisionError")
def divides_by_zero(scores, budget, least):
    return [*solution.share_at_least(scores, budget, least)] if sum(scores) else 1 / sum(scores)


@wrong("share_at_least", "changed its inputs")
def uses_up_the_least(scores, budget, least):
    given = solution.share_at_least(scores, budget, least)
    for i in range(len(least)):
        least[i] = 0
    return given


# --- what a move costs ----------------------------------------------------------------------------


@wrong("flops_of_move", "two FLOPs")
def one_flop(moved, positions):
    return sum(n * positions[layer] for layer, n in moved.items())


@wrong("flops_of_move", "at every position")
def once_a_weight(moved, positions):
    return 2 * sum(moved.values())


@wrong("flops_of_move", "keep the minus")
def all_dearer(moved, positions):
    return 2 * sum(abs(n) * positions[layer] for layer, n in moved.items())


@wrong("flops_of_move", "subtract it")
def only_gains(moved, positions):
    return 2 * sum(max(0, n) * positions[layer] for layer, n in moved.items())


@wrong("flops_of_move", "Asked is a forward pass")
def of_a_training_step(moved, positions):
    return 3 * solution.flops_of_move(moved, positions)


@pytest.mark.parametrize("exercise, answer, hint", MUSEUM.entries)
def test_wrong(exercise, answer, hint):
    MUSEUM.rejects(exercise, answer, hint)


def test_ties_of_remainders_are_not_asked():
    """Any order among equal remainders is right, so no case may depend on one."""

    def later_first(scores, budget, least):
        backwards = solution.share_at_least(scores[::-1], budget, least[::-1])
        return backwards[::-1]

    assert check.ch12.share_at_least(later_first).passed == len(check.ch12.share_at_least.cases)
