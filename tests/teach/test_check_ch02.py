"""Chapter 2's checkers: references pass, each wrong answer fails with its mistake named."""

from math import ceil, floor

import pytest
import torch

from rigl_edu.teach import check
from rigl_edu.teach.solutions import ch02 as solution
from tests.teach.museum import Museum

MUSEUM = Museum(check.ch02, solution)
wrong = MUSEUM.wrong


def test_references():
    MUSEUM.the_references_pass()


def test_shown_solutions():
    MUSEUM.the_shown_solutions_run("import torch")


def test_exercises():
    MUSEUM.is_complete()


# --- the cubic ------------------------------------------------------------------------------------


def progress(t, start, until):
    return min(max((t - start) / (until - start), 0), 1)


@wrong("cubic_density", "that is the sparsity")
def sparsity(t, start, until, final):
    return 1 - solution.cubic_density(t, start, until, final)


@wrong("cubic_density", "A straight line")
def straight(t, start, until, final):
    return 1 - (1 - final) * progress(t, start, until)


@wrong("cubic_density", "the power is 3")
def square(t, start, until, final):
    return final + (1 - final) * (1 - progress(t, start, until)) ** 2


@wrong("cubic_density", "upside down")
def late(t, start, until, final):
    return 1 - (1 - final) * progress(t, start, until) ** 3


@wrong("cubic_density", "not at 0")
def to_nothing(t, start, until, final):
    return (1 - progress(t, start, until)) ** 3


@wrong("cubic_density", "counted from `start`")
def from_zero(t, start, until, final):
    return final + (1 - final) * (1 - min(t / until, 1)) ** 3


@wrong("cubic_density", "divided by `until` it never arrives")
def divides_by_until(t, start, until, final):
    return final + (1 - final) * (1 - max(t - start, 0) / until) ** 3


@wrong("cubic_density", "hold it at 0")
def not_held_before(t, start, until, final):
    return final + (1 - final) * (1 - (t - start) / (until - start)) ** 3


@wrong("cubic_density", "hold progress at 1")
def not_held_after(t, start, until, final):
    return final + (1 - final) * (1 - max((t - start) / (until - start), 0)) ** 3


# --- one ranking ----------------------------------------------------------------------------------


@wrong("prune_globally", "Each layer by itself")
def per_layer(weights, density):
    return [solution.prune_globally([w], density)[0] for w in weights]


@wrong("prune_globally", "It ranks with the sign")
def with_sign(weights, density):
    least = min(float(w.min()) for w in weights)
    return solution.prune_globally([w - least for w in weights], density)


@wrong("prune_globally", "It keeps the smallest")
def smallest(weights, density):
    return solution.prune_globally([1 / w for w in weights], density)


@wrong("prune_globally", "that is what should go")
def inverted(weights, density):
    return [~mask for mask in solution.prune_globally(weights, density)]


@wrong("prune_globally", "count instead")
def by_threshold(weights, density):
    sizes = torch.cat([w.abs().flatten() for w in weights])
    threshold = sizes.topk(round(density * len(sizes))).values.min()
    return [w.abs() >= threshold for w in weights]


def keeping(count):
    def answer(weights, density):
        n = sum(w.numel() for w in weights)
        return solution.prune_globally(weights, count(density * n) / n)

    return answer


MUSEUM.hang("prune_globally", "rounds_down", "neither down nor up", keeping(floor))
MUSEUM.hang("prune_globally", "rounds_up", "neither down nor up", keeping(ceil))


@wrong("prune_globally", "leaves out the weight at the threshold")
def above_the_threshold(weights, density):
    sizes = torch.cat([w.abs().flatten() for w in weights])
    threshold = sizes.topk(round(density * len(sizes))).values.min()
    return [w.abs() > threshold for w in weights]


@wrong("prune_globally", "all layers in one ranking")
def scaled_by_layer(weights, density):
    return solution.prune_globally([w / w.abs().mean() for w in weights], density)


@wrong("prune_globally", "return masks, not weights")
def pruned_weights(weights, density):
    masks = solution.prune_globally(weights, density)
    return [w * mask for w, mask in zip(weights, masks, strict=True)]


@wrong("prune_globally", "needs a mask of that shape")
def flat(weights, density):
    return [mask.flatten() for mask in solution.prune_globally(weights, density)]


@wrong("prune_globally", "It changed the weights")
def in_place(weights, density):
    masks = solution.prune_globally(weights, density)
    for w, mask in zip(weights, masks, strict=True):
        w.mul_(mask)
    return masks


# --- the cost -------------------------------------------------------------------------------------


@wrong("training_share", "final network's cost")
def final_only(steps, start, until, final):
    return final


@wrong("training_share", "for a straight line only")
def mean_of_two(steps, start, until, final):
    return (1 + final) / 2


@wrong("training_share", "mean over the ramp")
def the_ramp(steps, start, until, final):
    ramp = range(start, until)
    return sum(solution.cubic_density(t, start, until, final) for t in ramp) / len(ramp)


@wrong("training_share", "divide by the number of steps")
def the_sum(steps, start, until, final):
    return steps * solution.training_share(steps, start, until, final)


@wrong("training_share", "after `until` count too")
def stops_at_until(steps, start, until, final):
    return solution.training_share(until, start, until, final)


@wrong("training_share", "what is saved")
def what_is_saved(steps, start, until, final):
    return 1 - solution.training_share(steps, start, until, final)


@pytest.mark.parametrize("exercise, answer, hint", MUSEUM.entries)
def test_wrong(exercise, answer, hint):
    MUSEUM.rejects(exercise, answer, hint)
