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


# --- newly explored -------------------------------------------------------------------------------


def test_a_tensor_of_counts_is_a_list():
    mine = lambda masks: torch.tensor(solution.newly_explored(masks))  # noqa: E731
    assert check.ch17.newly_explored(mine, quiet=True)


@MUSEUM.wrong("newly_explored", "with the one before")
def since_the_last(masks):
    return [int(masks[0].sum())] + [
        int((b & ~a).sum()) for a, b in zip(masks, masks[1:], strict=False)
    ]


@MUSEUM.wrong("newly_explored", "with the first one only")
def since_the_first(masks):
    return [int(masks[0].sum())] + [int((mask & ~masks[0]).sum()) for mask in masks[1:]]


@MUSEUM.wrong("newly_explored", "positions are new too")
def first_adds_none(masks):
    return [0, *solution.newly_explored(masks)[1:]]


@MUSEUM.wrong("newly_explored", "the first one too")
def without_the_first(masks):
    return solution.newly_explored(masks)[1:]


@MUSEUM.wrong("newly_explored", "How many does each mask add")
def so_far(masks):
    return [int(torch.stack(masks[: i + 1]).any(0).sum()) for i in range(len(masks))]


@MUSEUM.wrong("newly_explored", "These are shares")
def shares(masks):
    return [n / masks[0].numel() for n in solution.newly_explored(masks)]


@MUSEUM.wrong("newly_explored", "how many each mask has")
def all_of_each(masks):
    return [int(mask.sum()) for mask in masks]


@MUSEUM.wrong("newly_explored", "in place")
def in_place(masks):
    ever, new = masks[0], [int(masks[0].sum())]
    for mask in masks[1:]:
        new.append(int((mask & ~ever).sum()))
        ever |= mask
    return new


@MUSEUM.wrong("newly_explored", "a list of 3 numbers")
def the_rate(masks):
    return torch.stack(masks).any(0).float().mean()


@MUSEUM.wrong("newly_explored", "returned nothing")
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
