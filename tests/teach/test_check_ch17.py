"""Chapter 17's checkers: the references pass, each wrong answer fails with its mistake named."""

import pytest
import torch

from rigl_edu.teach import check
from rigl_edu.teach.solutions import ch17 as solution
from tests.teach.museum import Museum

MUSEUM = Museum(check.ch17, solution)


def test_references():
    MUSEUM.the_references_pass()


def test_shown_solutions():
    MUSEUM.the_shown_solutions_run("import torch")


def test_exercises():
    MUSEUM.is_complete()


def test_a_float_mask_is_a_mask():
    assert check.ch17.n_of_m(lambda *x: solution.n_of_m(*x).float(), quiet=True)
    assert check.ch17.wanda(lambda *x: solution.wanda(*x).float(), quiet=True)


def test_any_way_to_break_ties_is_accepted():
    def last_first(scores, n, m):
        return solution.n_of_m(scores.flip(1), n, m).flip(1)

    assert check.ch17.n_of_m(last_first, quiet=True)


def top(scores, keep):
    mask = torch.zeros(scores.shape, dtype=torch.bool)
    return mask.scatter(-1, scores.topk(keep, -1).indices, True)


# --- explored -------------------------------------------------------------------------------------


@MUSEUM.wrong("explored", "density of the last mask")
def the_last(masks):
    return masks[-1].float().mean()


@MUSEUM.wrong("explored", "union, not sum")
def counted_twice(masks):
    return sum(mask.sum() for mask in masks) / masks[0].numel()


@MUSEUM.wrong("explored", "what *all* masks had")
def intersection(masks):
    return torch.stack(masks).all(0).float().mean()


@MUSEUM.wrong("explored", "Divide by all positions")
def of_active(masks):
    return torch.stack(masks).any(0).sum() / masks[0].sum()


@MUSEUM.wrong("explored", "That is a count")
def a_count(masks):
    return torch.stack(masks).any(0).sum()


@MUSEUM.wrong("explored", "explored too")
def only_new(masks):
    return (torch.stack(masks).any(0) & ~masks[0]).float().mean()


@MUSEUM.wrong("explored", "in place")
def in_place(masks):
    ever = masks[0]
    for mask in masks:
        ever |= mask
    return ever.float().mean()


@MUSEUM.wrong("explored", "returned nothing")
def nothing(masks):
    pass


# --- N of M ---------------------------------------------------------------------------------------


@MUSEUM.wrong("n_of_m", "down the columns")
def along_outputs(scores, n, m):
    pad = -scores.shape[0] % m
    padded = torch.cat([scores, scores.new_zeros(pad, scores.shape[1])])
    return solution.n_of_m(padded.T.contiguous(), n, m).T[: scores.shape[0]]


@MUSEUM.wrong("n_of_m", "constant fan-in")
def fan_in(scores, n, m):
    return top(scores, scores.shape[1] // m * n)


@MUSEUM.wrong("n_of_m", "unstructured")
def unstructured(scores, n, m):
    return top(scores.flatten(), scores.numel() // m * n).view_as(scores)


@MUSEUM.wrong("n_of_m", "keep the highest")
def lowest(scores, n, m):
    return solution.n_of_m(-scores, n, m)


@MUSEUM.wrong("n_of_m", "n is how many stay")
def removes_n(scores, n, m):
    return solution.n_of_m(scores, m - n, m)


@MUSEUM.wrong("n_of_m", "Neighbours form a group")
def strided(scores, n, m):
    groups = scores.view(scores.shape[0], m, -1).transpose(1, 2).contiguous()
    return top(groups, n).transpose(1, 2).reshape(scores.shape)


@MUSEUM.wrong("n_of_m", "choose n indices")
def by_threshold(scores, n, m):
    groups = scores.view(scores.shape[0], -1, m)
    return (groups >= groups.topk(n, 2).values.amin(2, keepdim=True)).view_as(scores)


@MUSEUM.wrong("n_of_m", "mask of shape (6, 6)")
def left_in_groups(scores, n, m):
    return solution.n_of_m(scores, n, m).view(scores.shape[0], -1, m)


# --- |w| times the input's norm -------------------------------------------------------------------


@MUSEUM.wrong("wanda", "magnitude pruning")
def magnitude(weight, x, keep):
    return top(weight.abs(), keep)


@MUSEUM.wrong("wanda", "take |w|")
def signed(weight, x, keep):
    return top(weight * x.norm(dim=0), keep)


@MUSEUM.wrong("wanda", "cancel")
def mean_input(weight, x, keep):
    return top(weight.abs() * x.mean(0).abs(), keep)


@MUSEUM.wrong("wanda", "not its square")
def squared(weight, x, keep):
    return top(weight.abs() * x.square().sum(0), keep)


@MUSEUM.wrong("wanda", "Rank within each row")
def whole_layer(weight, x, keep):
    scores = weight.abs() * x.norm(dim=0)
    return top(scores.flatten(), keep * len(weight)).view_as(weight)


@MUSEUM.wrong("wanda", "what stays")
def removed(weight, x, keep):
    return top(-weight.abs() * x.norm(dim=0), keep)


@MUSEUM.wrong("wanda", "It raised")
def norm_of_an_image(weight, x, keep):
    return top(weight.abs() * x.norm(dim=1), keep)


@pytest.mark.parametrize("exercise, answer, hint", MUSEUM.entries)
def test_wrong(exercise, answer, hint):
    MUSEUM.rejects(exercise, answer, hint)


@MUSEUM.wrong("wanda", "not the sum of absolute values")
def sums_absolute_values(weight, x, keep):
    return solution.wanda(weight, x.abs().sum(0)[None], keep)


@MUSEUM.wrong("wanda", "not the largest value")
def takes_the_largest(weight, x, keep):
    return solution.wanda(weight, x.abs().amax(0)[None], keep)
