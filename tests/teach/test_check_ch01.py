"""Chapter 1's checkers: references pass, each wrong answer fails with its mistake named."""

import pytest
import torch

from rigl_edu.teach import check
from rigl_edu.teach.solutions import ch01 as solution
from tests.teach.museum import Museum

MUSEUM = Museum(check.ch01, solution)


def test_references():
    MUSEUM.the_references_pass()


def test_shown_solutions():
    MUSEUM.the_shown_solutions_run("import torch")


def test_exercises():
    MUSEUM.is_complete()


# --- FLOPs ----------------------------------------------------------------------------------------

wrong = MUSEUM.wrong


@wrong("conv_flops", "two FLOPs a weight")
def multiplications_only(mask, height, width):
    return int(mask.sum()) * height * width


@wrong("conv_flops", "That is one output position")
def one_position(mask, height, width):
    return 2 * int(mask.sum())


@wrong("conv_flops", "That is the dense layer")
def all_weights(mask, height, width):
    return 2 * mask.numel() * height * width


@wrong("conv_flops", "span the input channels already")
def channels_twice(mask, height, width):
    return 2 * int(mask.sum()) * mask.shape[1] * height * width


@wrong("conv_flops", "a density was rounded")
def by_a_rounded_density(mask, height, width):
    return 2 * round(float(mask.float().mean()), 4) * mask.numel() * height * width


def test_a_density_in_float32_is_near_enough():
    def mine(mask, height, width):
        return float(2 * mask.float().mean() * mask.numel() * height * width) * (1 - 1e-7)

    assert check.ch01.conv_flops(mine, quiet=True)


@wrong("conv_flops", "returned nothing")
def nothing(mask, height, width):
    pass


# --- masks ----------------------------------------------------------------------------------------


@wrong("exact_mask", "ones, not 60 each")
def coin_flips(shape, density, generator):
    return torch.rand(shape, generator=generator) < density


@wrong("exact_mask", "hit some positions twice")
def with_repetition(shape, density, generator):
    size = torch.Size(shape).numel()
    mask = torch.zeros(size, dtype=torch.bool)
    mask[torch.randint(size, (round(density * size),), generator=generator)] = True
    return mask.view(shape)


@wrong("exact_mask", "that is the sparsity")
def inverted(shape, density, generator):
    return ~solution.exact_mask(shape, density, generator)


@wrong("exact_mask", "Use `round`")
def cut_off(shape, density, generator):
    size = torch.Size(shape).numel()
    return solution.exact_mask(shape, int(density * size) / size, generator)


@wrong("exact_mask", "Two draws from one generator are equal")
def the_first_ones(shape, density, generator):
    size = torch.Size(shape).numel()
    return (torch.arange(size) < round(density * size)).view(shape)


@wrong("exact_mask", "The same seed gives another mask")
def own_luck(shape, density, generator):
    return solution.exact_mask(shape, density, None)


@wrong("exact_mask", "mask of shape (30, 20)")
def flat(shape, density, generator):
    return solution.exact_mask(shape, density, generator).flatten()


@wrong("exact_mask", "not equally likely")
def a_run_of_ones(shape, density, generator):
    size = torch.Size(shape).numel()
    count = round(density * size)
    start = int(torch.randint(size - count + 1, (1,), generator=generator))
    places = torch.arange(size)
    return ((places >= start) & (places < start + count)).view(shape)


# --- the step -------------------------------------------------------------------------------------


@wrong("masked_step", "The momentum leaks at 24")
def masks_the_weight_only(weight, mask, gradient, momentum, lr, decay):
    momentum = 0.9 * momentum + gradient + decay * weight
    return mask * (weight - lr * momentum), momentum


@wrong("masked_step", "The weight leaks at 24")
def masks_nothing(weight, mask, gradient, momentum, lr, decay):
    momentum = 0.9 * momentum + gradient + decay * weight
    return weight - lr * momentum, momentum


@wrong("masked_step", "Weight decay is missing")
def without_decay(weight, mask, gradient, momentum, lr, decay):
    return solution.masked_step(weight, mask, gradient, momentum, lr, 0)


@wrong("masked_step", "The old momentum is lost")
def without_momentum(weight, mask, gradient, momentum, lr, decay):
    return solution.masked_step(weight, mask, gradient, 0 * momentum, lr, decay)


@wrong("masked_step", "without a factor 0.1")
def running_mean(weight, mask, gradient, momentum, lr, decay):
    momentum = 0.9 * momentum + 0.1 * mask * (gradient + decay * weight)
    return weight - lr * momentum, momentum


@wrong("masked_step", "went uphill")
def uphill(weight, mask, gradient, momentum, lr, decay):
    return solution.masked_step(weight, mask, gradient, momentum, -lr, decay)


@wrong("masked_step", "Weight decay came twice")
def decay_twice(weight, mask, gradient, momentum, lr, decay):
    weight, momentum = solution.masked_step(weight, mask, gradient, momentum, lr, decay)
    return weight * (1 - lr * decay), momentum


@wrong("masked_step", "changed its input weight in place")
def in_place(weight, mask, gradient, momentum, lr, decay):
    new, momentum = solution.masked_step(weight, mask, gradient, momentum, lr, decay)
    return weight.copy_(new), momentum


@wrong("masked_step", "Return two tensors")
def the_weight_alone(weight, mask, gradient, momentum, lr, decay):
    return solution.masked_step(weight, mask, gradient, momentum, lr, decay)[0]


# --- storage --------------------------------------------------------------------------------------


@wrong("break_even", "Each row's start takes 4 bytes too")
def half(rows, columns):
    return (4 * rows * columns - 1) // 8


@wrong("break_even", "It has rows + 1 row starts")
def rows_only(rows, columns):
    return max(0, (4 * rows * columns - 4 * rows - 1) // 8)


@wrong("break_even", "it should take fewer bytes")
def as_many_bytes(rows, columns):
    return max(0, (4 * rows * columns - 4 * (rows + 1)) // 8)


@wrong("break_even", "That is a density")
def a_share(rows, columns):
    return solution.break_even(rows, columns) / (rows * columns)


@wrong("break_even", "so the answer is 0")
def below_zero(rows, columns):
    return (4 * rows * columns - 4 * (rows + 1) - 1) // 8


@wrong("break_even", "round down")
def not_whole(rows, columns):
    return (4 * rows * columns - 4 * (rows + 1)) / 8


@pytest.mark.parametrize("exercise, answer, hint", MUSEUM.entries)
def test_wrong(exercise, answer, hint):
    MUSEUM.rejects(exercise, answer, hint)
