"""Chapter 10's checkers: the references pass, each wrong answer gets the hint that names it."""

import pytest
import torch

from rigl_edu.sparse import next_threshold
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


def total(gradients, decay):
    return 1 - decay ** len(gradients)


@MUSEUM.wrong("fair_mean", "That is the page's mean")
def the_pages(gradients, decay):
    return blend(gradients, decay, 1 - decay)


@MUSEUM.wrong("fair_mean", "One step too many")
def one_step_late(gradients, decay):
    return blend(gradients, decay, 1 - decay) / (1 - decay ** (len(gradients) + 1))


@MUSEUM.wrong("fair_mean", "Divide once, at the end")
def divides_each_time(gradients, decay):
    mean = 0 * gradients[0]
    for n, gradient in enumerate(gradients, 1):
        mean = (decay * mean + (1 - decay) * gradient) / (1 - decay**n)
    return mean


@MUSEUM.wrong("fair_mean", "It multiplies")
def multiplies(gradients, decay):
    return blend(gradients, decay, 1 - decay) * total(gradients, decay)


@MUSEUM.wrong("fair_mean", "The two factors are swapped")
def swapped(gradients, decay):
    return blend(gradients, 1 - decay, decay) / total(gradients, decay)


@MUSEUM.wrong("fair_mean", "That is SGD's buffer")
def sgd_buffer(gradients, decay):
    return blend(gradients, decay, 1)


@MUSEUM.wrong("fair_mean", "Each gradient counts the same")
def plain_mean(gradients, decay):
    return torch.stack(gradients).mean(0)


@MUSEUM.wrong("fair_mean", "It starts from the first gradient")
def from_the_first(gradients, decay):
    return blend(gradients[1:], decay, 1 - decay, gradients[0])


@MUSEUM.wrong("fair_mean", "Signs must cancel first")
def of_magnitudes(gradients, decay):
    return solution.fair_mean([g.abs() for g in gradients], decay)


@MUSEUM.wrong("fair_mean", "oldest first")
def backwards(gradients, decay):
    return solution.fair_mean(gradients[::-1], decay)


@MUSEUM.wrong("fair_mean", "changed the gradients in place")
def in_place(gradients, decay):
    mean = 0 * gradients[0]
    for gradient in gradients:
        mean = decay * mean + gradient.mul_(1 - decay)
    return mean / total(gradients, decay)


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


def steering(
    move=lambda h, dropped, target: next_threshold(h, dropped, target),
    count=lambda weights, h: int((weights.abs() < h).sum()),
):
    def thresholds(weights, threshold, target, times):
        found = []
        for _ in range(times):
            found.append(threshold)
            threshold = move(threshold, count(weights, threshold), target)
        return found

    return thresholds


def moved(h, dropped, high, low):
    return h / 2 if dropped > high else h * 2 if dropped < low else h


def test_the_packages_own_rule_passes():
    assert check.ch10.thresholds(steering(), quiet=True)


for name, hint, part in (
    ("wrong_way", "The wrong way round", {"move": lambda h, d, t: h * h / next_threshold(h, d, t)}),
    ("no_slack", "Within a tenth", {"move": lambda h, d, t: moved(h, d, t, t)}),
    ("by_sign", "Compare |w|", {"count": lambda w, h: int((w < h).sum())}),
    (
        "equal_goes",
        "exactly the threshold stays",
        {"count": lambda w, h: int((w.abs() <= h).sum())},
    ),
    (
        "at_the_edges",
        "Only more than 1.1",
        {"move": lambda h, d, t: h / 2 if d >= 1.1 * t else h * 2 if d <= 0.9 * t else h},
    ),
    (
        "rounded_edges",
        "do not round these",
        {"move": lambda h, d, t: moved(h, d, round(1.1 * t), round(0.9 * t))},
    ),
    ("too_wide", "so the next H is", {"move": lambda h, d, t: moved(h, d, 1.5 * t, 0.6 * t)}),
):
    MUSEUM.hang("thresholds", name, hint, steering(**part))


@MUSEUM.wrong("thresholds", "The first entry is the threshold")
def without_the_first(weights, threshold, target, times):
    return solution.thresholds(weights, threshold, target, times + 1)[1:]


@MUSEUM.wrong("thresholds", "One entry a rewiring")
def and_the_next(weights, threshold, target, times):
    return solution.thresholds(weights, threshold, target, times + 1)


@MUSEUM.wrong("thresholds", "a list of 7 numbers")
def only_the_last(weights, threshold, target, times):
    return solution.thresholds(weights, threshold, target, times)[-1]


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
