"""Chapter 6's checkers: the references pass, each wrong answer fails with its mistake named."""

from math import ceil, floor, log

import pytest
import torch

from rigl_edu.teach import check
from rigl_edu.teach.solutions import ch06 as solution
from tests.teach.museum import Museum

MUSEUM = Museum(check.ch06, solution)


def test_references():
    MUSEUM.the_references_pass()


def test_shown_solutions():
    MUSEUM.the_shown_solutions_run("from math import ceil, log")


def test_exercises():
    MUSEUM.is_complete()


# --- how many steps ------------------------------------------------------------------------------


@MUSEUM.wrong("steps_needed", "log(factor)")
def without_the_factor(first, target, factor):
    return log(first / target)


@MUSEUM.wrong("steps_needed", "Round up")
def rounded_down(first, target, factor):
    return max(0, floor(log(target / first) / log(factor) + 1e-9))


@MUSEUM.wrong("steps_needed", "round up")
def not_rounded(first, target, factor):
    return max(0, log(target / first) / log(factor))


@MUSEUM.wrong("steps_needed", "multiplies D")
def straight_down(first, target, factor):
    return ceil((first - target) / (first * factor))


@MUSEUM.wrong("steps_needed", "where D starts")
def from_one(first, target, factor):
    return max(0, ceil(log(target) / log(factor) - 1e-9))


@MUSEUM.wrong("steps_needed", "0 steps")
def below_zero(first, target, factor):
    return ceil(log(target / first) / log(factor) - 1e-9)


@MUSEUM.wrong("steps_needed", "negative")
def upside_down(first, target, factor):
    return ceil(log(first / target) / log(factor) - 1e-9)


@MUSEUM.wrong("steps_needed", "returned nothing")
def no_steps(first, target, factor):
    pass


# --- the Gram matrix -----------------------------------------------------------------------------


@MUSEUM.wrong("centred_gram", "C is centred")
def not_centred(responses):
    return responses @ responses.T / responses.shape[1]


@MUSEUM.wrong("centred_gram", "Divide by F")
def a_sum(responses):
    centred = responses - responses.mean(0)
    return centred @ centred.T


@MUSEUM.wrong("centred_gram", "`mean(0)`")
def centred_by_unit(responses):
    centred = responses - responses.mean(1, keepdim=True)
    return centred @ centred.T / responses.shape[1]


@MUSEUM.wrong("centred_gram", "divides by N")
def divided_by_units(responses):
    centred = responses - responses.mean(0)
    return centred @ centred.T / len(responses)


@MUSEUM.wrong("centred_gram", "a row for each unit")
def transposed(responses):
    centred = responses - responses.mean(0)
    return centred.T @ centred / responses.shape[1]


@MUSEUM.wrong("centred_gram", "in place")
def centred_in_place(responses):
    responses -= responses.mean(0)
    return responses @ responses.T / responses.shape[1]


# --- one line search -----------------------------------------------------------------------------


def parts(gram, a, i):
    q = gram @ a
    d = a @ q
    return q[i] - d, gram[i, i] - 2 * q[i] + d, -a[i] / (1 - a[i])


@MUSEUM.wrong("best_gamma", "uphill")
def wrong_sign(gram, a, i):
    half_slope, curvature, lowest = parts(gram, a, i)
    return float((half_slope / curvature).clamp(lowest, 1))


@MUSEUM.wrong("best_gamma", "factor of 2")
def slope_twice(gram, a, i):
    half_slope, curvature, lowest = parts(gram, a, i)
    return float((-half_slope / curvature / 2).clamp(lowest, 1))


@MUSEUM.wrong("best_gamma", "may be negative")
def only_adds(gram, a, i):
    half_slope, curvature, _ = parts(gram, a, i)
    return float((-half_slope / curvature).clamp(0, 1))


@MUSEUM.wrong("best_gamma", "coefficient negative")
def no_lower_end(gram, a, i):
    half_slope, curvature, _ = parts(gram, a, i)
    return float((-half_slope / curvature).clamp(max=1))


@MUSEUM.wrong("best_gamma", "At -a_i the unit is not gone")
def ends_at_minus_a(gram, a, i):
    half_slope, curvature, _ = parts(gram, a, i)
    return float((-half_slope / curvature).clamp(-a[i], 1))


@MUSEUM.wrong("best_gamma", "past the unit")
def no_upper_end(gram, a, i):
    half_slope, curvature, lowest = parts(gram, a, i)
    return float((-half_slope / curvature).clamp(min=lowest))


@MUSEUM.wrong("best_gamma", "one number")
def coefficients_instead(gram, a, i):
    gamma = solution.best_gamma(gram, a, i)
    return (1 - gamma) * a


# --- a thin layer --------------------------------------------------------------------------------


@MUSEUM.wrong("thin", "need that factor")
def no_factor(w1, b1, w2, a):
    return w1[a > 0], b1[a > 0], w2[:, a > 0]


@MUSEUM.wrong("thin", "at a_i = 1/N the layer is as it was")
def factor_without_n(w1, b1, w2, a):
    return w1[a > 0], b1[a > 0], w2[:, a > 0] * a[a > 0]


@MUSEUM.wrong("thin", "not of those kept")
def factor_with_the_kept(w1, b1, w2, a):
    kept = a > 0
    return w1[kept], b1[kept], w2[:, kept] * int(kept.sum()) * a[kept]


@MUSEUM.wrong("thin", "behind the activation")
def factor_before_the_activation(w1, b1, w2, a):
    kept = a > 0
    scale = len(a) * a[kept]
    return w1[kept] * scale[:, None], b1[kept] * scale, w2[:, kept]


@MUSEUM.wrong("thin", "takes its bias along")
def bias_forgotten(w1, b1, w2, a):
    return w1[a > 0], b1, solution.thin(w1, b1, w2, a)[2]


@MUSEUM.wrong("thin", "w1 keeps their rows")
def zeros_instead(w1, b1, w2, a):
    on = (a > 0).double()
    return w1 * on[:, None], b1 * on, w2 * len(a) * a


@MUSEUM.wrong("thin", "three tensors")
def only_one(w1, b1, w2, a):
    return w1[a > 0]


@pytest.mark.parametrize("exercise, answer, hint", MUSEUM.entries)
def test_wrong(exercise, answer, hint):
    MUSEUM.rejects(exercise, answer, hint)


def test_a_tensor_of_one_number_is_a_number():
    def as_tensor(gram, a, i):
        return torch.tensor(solution.best_gamma(gram, a, i))

    assert check.ch06.best_gamma(as_tensor, quiet=True)
