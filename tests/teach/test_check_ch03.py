"""Chapter 3's checkers: references pass, and each wrong answer fails with its mistake named."""

from math import ceil, floor, log

import pytest
import torch

from rigl_edu.teach import check
from rigl_edu.teach.solutions import ch03 as solution
from tests.teach.museum import Museum

MUSEUM = Museum(check.ch03, solution)


def test_references():
    MUSEUM.the_references_pass()


def test_shown_solutions():
    MUSEUM.the_shown_solutions_run("import torch")


def test_exercises():
    MUSEUM.is_complete()


@pytest.mark.parametrize("exercise, answer, hint", MUSEUM.entries)
def test_wrong(exercise, answer, hint):
    MUSEUM.rejects(exercise, answer, hint)


# --- how many rounds ------------------------------------------------------------------------------


@MUSEUM.wrong("rounds_needed", "of what is left, not of all weights")
def in_a_straight_line(removed, fraction):
    return ceil(removed / 100 / fraction)


@MUSEUM.wrong("rounds_needed", "`removed` says what is gone")
def takes_removed_for_left(removed, fraction):
    return ceil(log(removed / 100) / log(1 - fraction)) if removed else 0


@MUSEUM.wrong("rounds_needed", "not yet 90")
def rounds_down(removed, fraction):
    return floor(log(1 - removed / 100) / log(1 - fraction))


@MUSEUM.wrong("rounds_needed", "round up")
def a_part_of_a_round(removed, fraction):
    return log(1 - removed / 100) / log(1 - fraction)


@MUSEUM.wrong("rounds_needed", "One too many")
def counts_round_0(removed, fraction):
    return solution.rounds_needed(removed, fraction) + 1


@MUSEUM.wrong("rounds_needed", "slack of 1e-9")
def no_slack(removed, fraction):
    rounds, left = 0, 1.0
    while left > 1 - removed / 100:
        left *= 1 - fraction
        rounds += 1
    return rounds + (removed == 48.8 and rounds == 3)  # on any processor


@MUSEUM.wrong("rounds_needed", "not yet 48.9")
def rounds_the_rounds(removed, fraction):
    return ceil(round(log(1 - removed / 100) / log(1 - fraction), 1))


@MUSEUM.wrong("rounds_needed", "not yet 48.9")
def rounds_the_percentage(removed, fraction):
    rounds = 0
    while round(100 * (1 - (1 - fraction) ** rounds)) < removed:
        rounds += 1
    return rounds


@MUSEUM.wrong("rounds_needed", "returned nothing")
def nothing(removed, fraction):
    pass


# --- one round ------------------------------------------------------------------------------------


def best(scores, keep):
    mask = torch.zeros(scores.numel(), dtype=torch.bool)
    mask[scores.flatten().topk(keep).indices] = True
    return mask.view(scores.shape)


def keeping(mask, fraction):
    return round((1 - fraction) * int(mask.sum()))


@MUSEUM.wrong("next_ticket", "Rewinding puts the start's values back")
def no_rewinding(trained, mask, start, fraction):
    after, _ = solution.next_ticket(trained, mask, start, fraction)
    return after, trained * after


@MUSEUM.wrong("next_ticket", "The trained ones say what to prune")
def prunes_by_the_start(trained, mask, start, fraction):
    return solution.next_ticket(start, mask, start, fraction)


@MUSEUM.wrong("next_ticket", "rank by |w|")
def by_sign(trained, mask, start, fraction):
    after = best(trained.masked_fill(~mask, -torch.inf), keeping(mask, fraction))
    return after, start * after


@MUSEUM.wrong("next_ticket", "the smallest go")
def keeps_the_smallest(trained, mask, start, fraction):
    after = best((-trained.abs()).masked_fill(~mask, -torch.inf), keeping(mask, fraction))
    return after, start * after


@MUSEUM.wrong("next_ticket", "not of all positions")
def a_share_of_all_positions(trained, mask, start, fraction):
    keep = int(mask.sum()) - round(fraction * mask.numel())
    after = best(trained.abs().masked_fill(~mask, -1), keep)
    return after, start * after


@MUSEUM.wrong("next_ticket", "stays so")
def keeps_a_share_of_all(trained, mask, start, fraction):
    after = best(trained.abs(), round((1 - fraction) * mask.numel()))
    return after, start * after


@MUSEUM.wrong("next_ticket", "round(0.7 × 12)")
def rounds_the_pruned_down(trained, mask, start, fraction):
    active = int(mask.sum())
    after = best(trained.abs().masked_fill(~mask, -1), active - floor(fraction * active))
    return after, start * after


@MUSEUM.wrong("next_ticket", "round(0.7 × 12)")
def rounds_up(trained, mask, start, fraction):
    after = best(trained.abs().masked_fill(~mask, -1), ceil((1 - fraction) * int(mask.sum())))
    return after, start * after


@MUSEUM.wrong("next_ticket", "round(0.8 × 12)")
def rounds_the_kept_down(trained, mask, start, fraction):
    after = best(trained.abs().masked_fill(~mask, -1), floor((1 - fraction) * int(mask.sum())))
    return after, start * after


def test_half_a_weight_may_be_rounded_either_way():
    def half_up(trained, mask, start, fraction):
        active = int(mask.sum())
        after = best(trained.abs().masked_fill(~mask, -1), active - round(fraction * active))
        return after, start * after

    assert check.ch03.next_ticket(half_up, quiet=True)


@MUSEUM.wrong("next_ticket", "multiply by the mask")
def whole_start(trained, mask, start, fraction):
    return solution.next_ticket(trained, mask, start, fraction)[0], start


@MUSEUM.wrong("next_ticket", "Left are round(")
def rounds_the_count_down(trained, mask, start, fraction):
    after = best(trained.abs().masked_fill(~mask, -1), floor((1 - fraction) * int(mask.sum())))
    return after, start * after


@MUSEUM.wrong("next_ticket", "two tensors")
def only_the_mask(trained, mask, start, fraction):
    return solution.next_ticket(trained, mask, start, fraction)[0]


@MUSEUM.wrong("next_ticket", "in place")
def in_place(trained, mask, start, fraction):
    after, weight = solution.next_ticket(trained, mask, start, fraction)
    return after, start.copy_(weight)


# --- the shuffled control -------------------------------------------------------------------------


def permuted(mask, generator):
    return mask.flatten()[torch.randperm(mask.numel(), generator=generator)].view(mask.shape)


def with_start(masks, start):
    return masks, {name: start[name] * mask for name, mask in masks.items()}


@MUSEUM.wrong("shuffled_ticket", "Shuffle within each layer")
def across_layers(masks, start, generator):
    flat = torch.cat([mask.flatten() for mask in masks.values()])
    parts = permuted(flat, generator).split([mask.numel() for mask in masks.values()])
    new = {n: part.view(m.shape) for (n, m), part in zip(masks.items(), parts, strict=True)}
    return with_start(new, start)


@MUSEUM.wrong("shuffled_ticket", "keeps the number exactly")
def coin_flips(masks, start, generator):
    new = {
        name: torch.rand(mask.shape, generator=generator) < mask.float().mean()
        for name, mask in masks.items()
    }
    return with_start(new, start)


@MUSEUM.wrong("shuffled_ticket", "Only whole rows of 'first' moved")
def rows_only(masks, start, generator):
    new = {n: m[torch.randperm(len(m), generator=generator)] for n, m in masks.items()}
    return with_start(new, start)


@MUSEUM.wrong("shuffled_ticket", "Every row of 'first' has kept its number")
def within_rows(masks, start, generator):
    new = {name: torch.stack([permuted(row, generator) for row in m]) for name, m in masks.items()}
    return with_start(new, start)


@MUSEUM.wrong("shuffled_ticket", "is what it was")
def no_shuffling(masks, start, generator):
    return with_start(masks, start)


@MUSEUM.wrong("shuffled_ticket", "masked by the old mask too")
def from_the_pruned_start(masks, start, generator):
    new = {name: permuted(mask, generator) for name, mask in masks.items()}
    return new, {name: start[name] * masks[name] * new[name] for name in masks}


@MUSEUM.wrong("shuffled_ticket", "off its new mask")
def whole_starts(masks, start, generator):
    return {name: permuted(mask, generator) for name, mask in masks.items()}, start


@MUSEUM.wrong("shuffled_ticket", "the values stay where they are")
def values_move_along(masks, start, generator):
    new, weights = {}, {}
    for name, mask in masks.items():
        order = torch.randperm(mask.numel(), generator=generator)
        new[name] = mask.flatten()[order].view(mask.shape)
        weights[name] = (start[name] * mask).flatten()[order].view(mask.shape)
    return new, weights


@MUSEUM.wrong("shuffled_ticket", "two dicts")
def masks_only(masks, start, generator):
    return solution.shuffled_ticket(masks, start, generator)[0]


@MUSEUM.wrong("shuffled_ticket", "Two draws from one generator are equal")
def a_generator_of_its_own(masks, start, generator):
    return solution.shuffled_ticket(masks, start, torch.Generator().manual_seed(0))


@MUSEUM.wrong("shuffled_ticket", "The same seed gives another mask")
def without_the_generator(masks, start, generator):
    return solution.shuffled_ticket(masks, start, torch.default_generator)
