"""Chapter 8's checkers: the references pass, each wrong answer fails with its mistake named."""

import math

import pytest

from rigl_edu.teach import check
from rigl_edu.teach.solutions import ch08 as solution
from tests.teach.museum import Museum

MUSEUM = Museum(check.ch08, solution)


def test_references():
    MUSEUM.the_references_pass()


def test_shown_solutions():
    MUSEUM.the_shown_solutions_run("from math import prod")


def test_exercises():
    MUSEUM.is_complete()


# --- the power that is left -----------------------------------------------------------------------


@MUSEUM.wrong("power_left", "standard deviation")
def std_left(densities):
    return math.prod(densities) ** 0.5


@MUSEUM.wrong("power_left", "That is what is lost")
def lost(densities):
    return 1 - math.prod(densities)


@MUSEUM.wrong("power_left", "grows with the number")
def squared(densities):
    return math.prod(densities) ** 2


@MUSEUM.wrong("power_left", "do not average")
def average(densities):
    return sum(densities) / len(densities)


@MUSEUM.wrong("power_left", "do not add")
def added(densities):
    return sum(densities)


@MUSEUM.wrong("power_left", "The sparsest layer alone")
def sparsest(densities):
    return min(densities)


@MUSEUM.wrong("power_left", "the layers differ")
def average_to_the_depth(densities):
    return (sum(densities) / len(densities)) ** len(densities)


# --- a standard deviation for each neuron ---------------------------------------------------------


@MUSEUM.wrong("neuron_std", "That is the variance")
def variance(mask):
    return 2 / mask.flatten(1).sum(1).clamp(min=1)


@MUSEUM.wrong("neuron_std", "(columns)")
def fan_out(mask):
    return (2 / mask.sum(0).flatten().clamp(min=1)) ** 0.5


@MUSEUM.wrong("neuron_std", "what He's 2 is for")
def without_two(mask):
    return (1 / mask.flatten(1).sum(1).clamp(min=1)) ** 0.5


@MUSEUM.wrong("neuron_std", "missing ones too")
def dense(mask):
    return mask.new_full((len(mask),), (2 / mask[0].numel()) ** 0.5)


@MUSEUM.wrong("neuron_std", "that is per layer")
def per_layer(mask):
    return mask.new_full((len(mask),), (2 * len(mask) / float(mask.sum())) ** 0.5)


@MUSEUM.wrong("neuron_std", "Each place of the kernel")
def kernels_only(mask):
    if mask.dim() == 4:
        mask = mask.sum((2, 3)) != 0
    return (2 / mask.sum(1).clamp(min=1)) ** 0.5


@MUSEUM.wrong("neuron_std", "count at least 1")
def without_guard(mask):
    return (2 / mask.flatten(1).sum(1)) ** 0.5


@MUSEUM.wrong("neuron_std", "one number a neuron")
def a_column(mask):
    return solution.neuron_std(mask)[:, None]


# --- drawing a layer ------------------------------------------------------------------------------


def column(std, mask):
    return std.view(-1, *[1] * (mask.dim() - 1))


@MUSEUM.wrong("draw", "off the mask")
def not_masked(mask, sample):
    return sample * column(solution.neuron_std(mask), mask)


@MUSEUM.wrong("draw", "dense layer's weights")
def dense_and_masked(mask, sample):
    return sample * column(dense(mask), mask) * mask


@MUSEUM.wrong("draw", "That is per layer")
def one_factor(mask, sample):
    return sample * column(per_layer(mask), mask) * mask


@MUSEUM.wrong("draw", "by the variance")
def by_variance(mask, sample):
    return sample * column(variance(mask), mask) * mask


@MUSEUM.wrong("draw", "along the inputs")
def broadcast_wrong(mask, sample):
    return sample * solution.neuron_std(mask) * mask


@MUSEUM.wrong("draw", "There is a NaN")
def no_guard(mask, sample):
    return sample * column(without_guard(mask), mask) * mask


# --- the norm of the gradient ---------------------------------------------------------------------


def norms(gradients, masks):
    return [
        float((g if m is None else g * m).norm()) for g, m in zip(gradients, masks, strict=True)
    ]


@MUSEUM.wrong("masked_norm", "multiply by the mask")
def dense_norm(gradients, masks):
    return math.hypot(*(float(g.norm()) for g in gradients))


@MUSEUM.wrong("masked_norm", "Take the root")
def square(gradients, masks):
    return sum(n**2 for n in norms(gradients, masks))


@MUSEUM.wrong("masked_norm", "sum of |g|")
def l1(gradients, masks):
    return sum(
        float((g if m is None else g * m).abs().sum())
        for g, m in zip(gradients, masks, strict=True)
    )


@MUSEUM.wrong("masked_norm", "Norms do not add up")
def sum_of_norms(gradients, masks):
    return sum(norms(gradients, masks))


@MUSEUM.wrong("masked_norm", "mean of the norms")
def mean_of_norms(gradients, masks):
    return sum(norms(gradients, masks)) / len(gradients)


@MUSEUM.wrong("masked_norm", "The bias is missing")
def without_biases(gradients, masks):
    pairs = [(g, m) for g, m in zip(gradients, masks, strict=True) if m is not None]
    return math.hypot(*norms(*zip(*pairs, strict=True)))


# --- and the visit --------------------------------------------------------------------------------


@pytest.mark.parametrize("exercise, answer, hint", MUSEUM.entries)
def test_wrong(exercise, answer, hint):
    MUSEUM.rejects(exercise, answer, hint)
