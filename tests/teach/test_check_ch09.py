"""Chapter 9's checkers: the references pass, each wrong answer gets the hint that names it."""

from math import ceil, floor

import pytest
import torch

from rigl_edu.sparse import drop, drop_count
from rigl_edu.teach import check
from rigl_edu.teach.solutions import ch09 as solution
from tests.teach.museum import Museum

MUSEUM = Museum(check.ch09, solution)


def test_references():
    MUSEUM.the_references_pass()


def test_shown_solutions():
    MUSEUM.the_shown_solutions_run("from math import floor\nimport torch")


def test_exercises():
    MUSEUM.is_complete()


def test_other_right_answers_pass():
    def shuffled(kept, k, generator):
        empty = (~kept).flatten().nonzero().flatten()
        mask = kept.flatten().clone()
        mask[empty[torch.randperm(len(empty), generator=generator)[:k]]] = True
        return mask.view(kept.shape).float()

    assert check.ch09.grow_at_random(shuffled, quiet=True)
    last = lambda steps, every, until: min(steps, until - 1) // every  # noqa: E731
    assert check.ch09.rewirings(last, quiet=True)


# --- 1: counting rewirings ------------------------------------------------------------------------


@MUSEUM.wrong("rewirings", "It goes on after `until`")
def never_stops(steps, every, until):
    return steps // every


@MUSEUM.wrong("rewirings", "It counts step 0")
def from_step_zero(steps, every, until):
    return sum(t % every == 0 and t < until for t in range(steps))


@MUSEUM.wrong("rewirings", "t < until, not t <= until")
def until_too(steps, every, until):
    return min(steps, until) // every


@MUSEUM.wrong("rewirings", "Training ends at step 30")
def forgets_the_end(steps, every, until):
    return (until - 1) // every


@MUSEUM.wrong("rewirings", "Step 30 is a step too")
def last_step_missing(steps, every, until):
    return min(steps - 1, until - 1) // every


@MUSEUM.wrong("rewirings", "returned nothing")
def silent(steps, every, until):
    pass


# --- 2: growing at random -----------------------------------------------------------------------


@MUSEUM.wrong("grow_at_random", "A coin flip for each position")
def coin_flips(kept, k, generator):
    chance = k / int((~kept).sum())
    return kept | (torch.rand(kept.shape, generator=generator) < chance)


@MUSEUM.wrong("grow_at_random", "positions that are kept, or one twice")
def among_all(kept, k, generator):
    mask = kept.flatten().clone()
    mask[torch.randperm(mask.numel(), generator=generator)[:k]] = True
    return mask.view(kept.shape)


@MUSEUM.wrong("grow_at_random", "positions that are kept, or one twice")
def with_repeats(kept, k, generator):
    empty = (~kept).flatten().nonzero().flatten()
    mask = kept.flatten().clone()
    mask[empty[torch.randint(len(empty), (k,), generator=generator)]] = True
    return mask.view(kept.shape)


@MUSEUM.wrong("grow_at_random", "not from torch's global one")
def global_generator(kept, k, generator):
    return solution.grow_at_random(kept, k, None)


@MUSEUM.wrong("grow_at_random", "neither fixed positions nor a generator of your own")
def generator_of_its_own(kept, k, generator):
    return solution.grow_at_random(kept, k, torch.Generator().manual_seed(0))


@MUSEUM.wrong("grow_at_random", "it always grew 2")
def one_too_few(kept, k, generator):
    return solution.grow_at_random(kept, k - 1, generator)


@MUSEUM.wrong("grow_at_random", "it always grew 4")
def one_too_many(kept, k, generator):
    return solution.grow_at_random(kept, k + 1, generator)


@MUSEUM.wrong("grow_at_random", "turned round")
def turned_round(kept, k, generator):
    return ~solution.grow_at_random(kept, k, generator)


@MUSEUM.wrong("grow_at_random", "in place")
def changes_kept(kept, k, generator):
    kept |= solution.grow_at_random(kept, k, generator)
    return kept


@MUSEUM.wrong("grow_at_random", "below any other")
def scores_below_the_kept(kept, k, generator):
    scores = torch.randn(kept.shape, generator=generator).masked_fill(kept, -1)
    mask = kept.flatten().clone()
    mask[scores.flatten().topk(k).indices] = True
    return mask.view(kept.shape)


@MUSEUM.wrong("grow_at_random", "were never grown")
def not_the_first_row(kept, k, generator):
    full = kept.clone()
    full[0] = True
    if (~full).sum() < k:
        return solution.grow_at_random(kept, k, generator)
    return kept | (solution.grow_at_random(full, k, generator) & ~full)


@MUSEUM.wrong("grow_at_random", "neither fixed positions")
def first_empty_ones(kept, k, generator):
    mask = kept.flatten().clone()
    mask[(~kept).flatten().nonzero().flatten()[:k]] = True
    return mask.view(kept.shape)


@MUSEUM.wrong("grow_at_random", "Each must have the same chance: about 100 times")
def leans_to_the_left(kept, k, generator):
    scores = torch.rand(kept.shape, generator=generator) + torch.linspace(0.2, 0, 6)
    scores[kept] = -1
    mask = kept.flatten().clone()
    mask[scores.flatten().topk(k).indices] = True
    return mask.view(kept.shape)


@MUSEUM.wrong("grow_at_random", "only the new positions")
def only_new(kept, k, generator):
    return solution.grow_at_random(kept, k, generator) & ~kept


@MUSEUM.wrong("grow_at_random", "should return a mask of shape")
def flat(kept, k, generator):
    return solution.grow_at_random(kept, k, generator).flatten()


# --- 3: dropping by sign --------------------------------------------------------------------------


def by_sign(weight, mask, fraction, scores_of_negative, rounded=floor, zero_side=True):
    kept = mask.clone()
    positive = mask & (weight >= 0 if zero_side else weight > 0)
    for side, scores in ((positive, weight), (mask & (weight < 0), scores_of_negative)):
        k = rounded(fraction * int(side.sum()))
        kept &= ~side | drop(scores, side, k)
    return kept


@MUSEUM.wrong("drop_each_sign", "It dropped the most negative weights")
def most_negative(weight, mask, fraction):
    return by_sign(weight, mask, fraction, weight)


@MUSEUM.wrong("drop_each_sign", "the smallest |w| of all")
def all_signs_together(weight, mask, fraction):
    return drop(weight.abs(), mask, drop_count(fraction, int(mask.sum())))


@MUSEUM.wrong("drop_each_sign", "count a 0 as positive")
def zeros_have_no_sign(weight, mask, fraction):
    return by_sign(weight, mask, fraction, weight.abs(), zero_side=False)


@MUSEUM.wrong("drop_each_sign", "Round down")
def rounded_up(weight, mask, fraction):
    return by_sign(weight, mask, fraction, weight.abs(), rounded=ceil)


@MUSEUM.wrong("drop_each_sign", "Round down")
def rounded_to_nearest(weight, mask, fraction):
    return by_sign(weight, mask, fraction, weight.abs(), rounded=round)


@MUSEUM.wrong("drop_each_sign", "the largest |w| of each sign")
def the_largest(weight, mask, fraction):
    kept = mask.clone()
    for side in (mask & (weight >= 0), mask & (weight < 0)):
        kept &= ~side | drop(-weight.abs(), side, floor(fraction * int(side.sum())))
    return kept


@MUSEUM.wrong("drop_each_sign", "Positions off the mask took part")
def forgets_the_mask(weight, mask, fraction):
    return mask & by_sign(weight, torch.ones_like(mask), fraction, weight.abs())


def sides(weight, mask, fraction, positive, negative):
    kept = mask.clone()
    for side in (positive, negative):
        kept &= ~side | drop(weight.abs(), side, floor(fraction * int(side.sum())))
    return kept


@MUSEUM.wrong("drop_each_sign", "count a 0 as positive")
def zeros_are_negative(weight, mask, fraction):
    return sides(weight, mask, fraction, mask & (weight > 0), mask & (weight <= 0))


@MUSEUM.wrong("drop_each_sign", "count a 0 as positive")
def zeros_are_both(weight, mask, fraction):
    return sides(weight, mask, fraction, mask & (weight >= 0), mask & (weight <= 0))


@MUSEUM.wrong("drop_each_sign", "Of 10 negative weights it dropped 0; right is floor(0.3 × 10)")
def positive_only(weight, mask, fraction):
    return sides(weight, mask, fraction, mask & (weight >= 0), torch.zeros_like(mask))


@MUSEUM.wrong("drop_each_sign", "positive weights it dropped 6")
def a_fraction_of_all_from_each(weight, mask, fraction):
    k = floor(fraction * int(mask.sum()))
    kept = mask.clone()
    for side in (mask & (weight >= 0), mask & (weight < 0)):
        kept &= ~side | drop(weight.abs(), side, min(k, int(side.sum())))
    return kept


@MUSEUM.wrong("drop_each_sign", "in place")
def changes_the_mask(weight, mask, fraction):
    return mask.copy_(solution.drop_each_sign(weight, mask, fraction))


@MUSEUM.wrong("drop_each_sign", "These are the dropped ones")
def the_dropped(weight, mask, fraction):
    return mask & ~solution.drop_each_sign(weight, mask, fraction)


@MUSEUM.wrong("drop_each_sign", "dropping only turns off")
def turns_on(weight, mask, fraction):
    return solution.drop_each_sign(weight, mask, fraction) | ~mask


# --- 4: positions tried -------------------------------------------------------------------------


@MUSEUM.wrong("share_tried", "the share *not* tried")
def untried(total, active, counts):
    return 1 - solution.share_tried(total, active, counts)


@MUSEUM.wrong("share_tried", "the first mask's positions have been tried")
def without_the_first_mask(total, active, counts):
    return solution.share_tried(total, active, counts) - active / total


@MUSEUM.wrong("share_tried", "The drop comes first")
def before_the_drop(total, active, counts):
    never = 1 - active / total
    for k in counts:
        never *= 1 - k / max(total - active, 1)
    return 1 - never


@MUSEUM.wrong("share_tried", "not shared by all")
def among_all_positions(total, active, counts):
    never = 1 - active / total
    for k in counts:
        never *= 1 - k / total
    return 1 - never


@MUSEUM.wrong("share_tried", "Of the k grown some were dropped a moment ago")
def every_one_is_new(total, active, counts):
    return min(1.0, (active + sum(counts)) / total)


@MUSEUM.wrong("share_tried", "the shares untried multiply")
def adds_up(total, active, counts):
    share = active / total
    share += sum((1 - active / total) * k / (total - active + k) for k in counts)
    return min(1.0, share)


@pytest.mark.parametrize("exercise, answer, hint", MUSEUM.entries)
def test_wrong(exercise, answer, hint):
    MUSEUM.rejects(exercise, answer, hint)
