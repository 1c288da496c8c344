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


def test_the_packages_own_share_passes():
    assert check.ch12.share(package_share, quiet=True)


def test_a_tensor_of_whole_numbers_passes():
    assert check.ch12.share(lambda *given: torch.tensor(solution.share(*given)), quiet=True)


def test_a_zero_dimensional_tensor_is_a_number():
    def mine(values, mask):
        return values[mask].abs().sum() / max(1, int(mask.sum()))

    assert check.ch12.mean_of_active(mine, quiet=True)


# --- the score of a layer -------------------------------------------------------------------------


@wrong("mean_of_active", "That is the sum")
def the_sum(values, mask):
    return values[mask].abs().sum()


@wrong("mean_of_active", "over all 36 positions")
def over_all(values, mask):
    return values.abs().mean()


@wrong("mean_of_active", "Divide by the active ones")
def masked_but_divided_by_all(values, mask):
    return (values * mask).abs().mean()


@wrong("mean_of_active", "signs the values cancel")
def signed(values, mask):
    return values[mask].mean() if mask.any() else 0


@wrong("mean_of_active", "before the mean")
def late_absolute(values, mask):
    return values[mask].mean().abs() if mask.any() else 0


@wrong("mean_of_active", "a mean over no weights")
def forgets_the_empty_layer(values, mask):
    return values[mask].abs().mean()


@wrong("mean_of_active", "not by the nonzero values")
def divides_by_nonzero_values(values, mask):
    on = values * mask
    return on.abs().sum() / (on != 0).sum().clamp(min=1)


@wrong("mean_of_active", "a score is one number")
def a_tensor(values, mask):
    return values.abs() * mask


# --- sharing a budget -----------------------------------------------------------------------------


def exact(scores, budget):
    return [budget * score / sum(scores) for score in scores]


@wrong("share", "Rounding each share by itself")
def rounds_each(scores, budget, room):
    return [round(x) for x in exact(scores, budget)]


@wrong("share", "Rounding each share by itself")
def rounds_down(scores, budget, room):
    return [floor(x) for x in exact(scores, budget)]


@wrong("share", "whole numbers")
def fractions(scores, budget, room):
    return exact(scores, budget)


def rounded(shares, budget, order):
    counts = [floor(x + 1e-9) for x in shares]
    for i in order(shares, counts)[: budget - sum(counts)]:
        counts[i] += 1
    return counts


def by_remainder(shares, counts):
    return sorted(range(len(shares)), key=lambda i: counts[i] - shares[i])


@wrong("share", "cap it at its room")
def no_cap(scores, budget, room):
    return rounded(exact(scores, budget), budget, by_remainder)


@wrong("share", "went to the first layers")
def rest_to_the_first(scores, budget, room):
    return rounded(exact(scores, budget), budget, lambda shares, _: list(range(len(shares))))


@wrong("share", "what the full layer cannot take must go".capitalize())
def loses_the_excess(scores, budget, room):
    counts = rounded(exact(scores, budget), budget, by_remainder)
    return [min(n, most) for n, most in zip(counts, room, strict=True)]


@wrong("share", "shared equally")
def spreads_equally(scores, budget, room):
    counts = rounded(exact(scores, budget), budget, by_remainder)
    excess = sum(max(0, n - most) for n, most in zip(counts, room, strict=True))
    counts = [min(n, most) for n, most in zip(counts, room, strict=True)]
    open_layers = [i for i, n in enumerate(counts) if n < room[i]]
    while excess:
        for i in open_layers:
            if excess and counts[i] < room[i]:
                counts[i] += 1
                excess -= 1
    return counts


@wrong("share", "cap it at its room")
def fills_up_once(scores, budget, room):
    full = [i for i, x in enumerate(exact(scores, budget)) if x >= room[i]]
    left = budget - sum(room[i] for i in full)
    rest = sum(score for i, score in enumerate(scores) if i not in full)
    shares = [room[i] if i in full else left * scores[i] / rest for i in range(len(scores))]
    return rounded(shares, budget, by_remainder)


@wrong("share", "ZeroDivisionError")
def divides_by_zero(scores, budget, room):
    shares, open_layers, left = [0.0] * len(scores), set(range(len(scores))), budget
    while open_layers:
        total = sum(scores[i] for i in open_layers)
        full = {i for i in open_layers if left * scores[i] / total >= room[i]}
        if not full:
            for i in open_layers:
                shares[i] = left * scores[i] / total
            break
        for i in full:
            shares[i], left = room[i], left - room[i]
        open_layers -= full
    return rounded(shares, budget, by_remainder)


@wrong("share", "changed its inputs")
def uses_up_the_room(scores, budget, room):
    given = solution.share(scores, budget, room)
    for i, n in enumerate(given):
        room[i] -= n
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

    def later_first(scores, budget, room):
        backwards = solution.share(scores[::-1], budget, room[::-1])
        return backwards[::-1]

    assert check.ch12.share(later_first).passed
