"""Chapter 10's checkers: the references pass, each wrong answer gets the hint that names it."""

import pytest
import torch

from rigl_edu.teach import check
from rigl_edu.teach.solutions import ch10 as solution
from tests.teach.museum import Museum

MUSEUM = Museum(check.ch10, solution)


def test_references():
    MUSEUM.the_references_pass()


def test_shown_solutions():
    MUSEUM.the_shown_solutions_run("")


def test_exercises():
    MUSEUM.is_complete()


# --- 1: the running mean ------------------------------------------------------------------------


def blend(gradients, keep, add, start=None):
    mean = torch.zeros_like(gradients[0]) if start is None else start
    for gradient in gradients:
        mean = keep * mean + add * gradient
    return mean


@MUSEUM.wrong("running_mean", "The two factors are swapped")
def swapped(gradients, decay):
    return blend(gradients, 1 - decay, decay)


@MUSEUM.wrong("running_mean", "That is SGD's buffer")
def sgd_buffer(gradients, decay):
    return blend(gradients, decay, 1)


@MUSEUM.wrong("running_mean", "Each gradient counts the same")
def plain_mean(gradients, decay):
    return torch.stack(gradients).mean(0)


@MUSEUM.wrong("running_mean", "It starts from the first gradient")
def from_the_first(gradients, decay):
    return blend(gradients[1:], decay, 1 - decay, gradients[0])


@MUSEUM.wrong("running_mean", "Signs must cancel first")
def of_magnitudes(gradients, decay):
    return blend([g.abs() for g in gradients], decay, 1 - decay)


@MUSEUM.wrong("running_mean", "oldest first")
def backwards(gradients, decay):
    return solution.running_mean(gradients[::-1], decay)


@MUSEUM.wrong("running_mean", "changed the gradients in place")
def in_place(gradients, decay):
    mean = 0 * gradients[0]
    for gradient in gradients:
        mean = decay * mean + gradient.mul_(1 - decay)
    return mean


# --- 2: what DSR drops ----------------------------------------------------------------------------


@MUSEUM.wrong("dsr_drop", "Compare |w|, not w")
def signed(weights, masks, threshold):
    return [mask & (weight >= threshold) for weight, mask in zip(weights, masks, strict=True)]


@MUSEUM.wrong("dsr_drop", "lost all its weights")
def empties_a_layer(weights, masks, threshold):
    return [mask & (weight.abs() >= threshold) for weight, mask in zip(weights, masks, strict=True)]


@MUSEUM.wrong("dsr_drop", "exactly the threshold stays")
def drops_equal(weights, masks, threshold):
    return [mask & (weight.abs() > threshold) for weight, mask in zip(weights, masks, strict=True)]


@MUSEUM.wrong("dsr_drop", "These are the dropped ones")
def the_dropped(weights, masks, threshold):
    return [mask & (weight.abs() < threshold) for weight, mask in zip(weights, masks, strict=True)]


@MUSEUM.wrong("dsr_drop", "All layers have the same threshold")
def a_share_of_each_layer(weights, masks, threshold):
    return [
        mask & (weight.abs() >= weight[mask].abs().quantile(threshold))
        for weight, mask in zip(weights, masks, strict=True)
    ]


@MUSEUM.wrong("dsr_drop", "one of its *own* weights")
def first_position_of_an_empty_layer(weights, masks, threshold):
    kept = empties_a_layer(weights, masks, threshold)
    for left in kept:
        if not left.any():
            left[0, 0] = True
    return kept


@MUSEUM.wrong("dsr_drop", "a list of 2 masks")
def only_the_first(weights, masks, threshold):
    return solution.dsr_drop(weights[:1], masks[:1], threshold)


# --- 3: the threshold -----------------------------------------------------------------------------


@MUSEUM.wrong("next_threshold", "The wrong way round")
def wrong_way(threshold, dropped, target):
    return threshold * 2 if dropped > 1.1 * target else threshold / 2


@MUSEUM.wrong("next_threshold", "Within a tenth")
def no_slack(threshold, dropped, target):
    return threshold / 2 if dropped > target else threshold * 2


@MUSEUM.wrong("next_threshold", "must move")
def only_down(threshold, dropped, target):
    return threshold / 2 if dropped > 1.1 * target else threshold


@MUSEUM.wrong("next_threshold", "must move")
def too_wide(threshold, dropped, target):
    if dropped > 1.5 * target:
        return threshold / 2
    return threshold * 2 if dropped < 0.6 * target else threshold


# --- 4: what SNFS can save ------------------------------------------------------------------------


@MUSEUM.wrong("density_for", "a static mask's answer")
def static(share):
    return share


@MUSEUM.wrong("density_for", "not by a forward pass")
def of_a_forward_pass(share):
    return (share - 1) / 2


@MUSEUM.wrong("density_for", "the other way round")
def share_at(share):
    return (2 * share + 1) / 3


@MUSEUM.wrong("density_for", "no density will do")
def negative(share):
    return (3 * share - 1) / 2


@pytest.mark.parametrize("exercise, answer, hint", MUSEUM.entries)
def test_wrong(exercise, answer, hint):
    MUSEUM.rejects(exercise, answer, hint)


@MUSEUM.wrong("dsr_drop", "holds zeros and ones")
def returns_the_weights(weights, masks, threshold):
    kept = solution.dsr_drop(weights, masks, threshold)
    return [weight * mask for weight, mask in zip(weights, kept, strict=True)]


@MUSEUM.wrong("dsr_drop", "keeps one weight, its largest")
def keeps_all_of_an_emptied_layer(weights, masks, threshold):
    kept = [m & (w.abs() >= threshold) for w, m in zip(weights, masks, strict=True)]
    return [k if k.any() else m for k, m in zip(kept, masks, strict=True)]
