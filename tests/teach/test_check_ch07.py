"""Chapter 7's checkers: the references pass, each wrong answer fails with its mistake named."""

import math

import pytest

from rigl_edu.teach import check
from rigl_edu.teach.solutions import ch07 as solution
from tests.teach.museum import Museum

MUSEUM = Museum(check.ch07, solution)


def test_references():
    MUSEUM.the_references_pass()


def test_shown_solutions():
    MUSEUM.the_shown_solutions_run("from math import floor, prod")


def test_exercises():
    MUSEUM.is_complete()


def test_one_dense_layer_a_round_is_right_too():
    def one_at_a_time(sizes, sums, density):
        dense = []
        while len(dense) < len(sizes):
            free = [i for i in range(len(sizes)) if i not in dense]
            epsilon = density * sum(sizes) - sum(sizes[i] for i in dense)
            epsilon /= sum(sums[i] for i in free)
            worst = max(free, key=lambda i: sums[i] / sizes[i])
            if epsilon * sums[worst] <= sizes[worst]:
                break
            dense.append(worst)
        return [sizes[i] if i in dense else epsilon * sums[i] for i in range(len(sizes))]

    assert check.ch07.share(one_at_a_time, quiet=True)


# --- the ratio ------------------------------------------------------------------------------------


@MUSEUM.wrong("ratio", "Divide by the size")
def a_number_of_weights(shape):
    return sum(shape)


@MUSEUM.wrong("ratio", "Upside down")
def upside_down(shape):
    return math.prod(shape) / sum(shape)


@MUSEUM.wrong("ratio", "here the density is asked")
def sparsity(shape):
    return 1 - sum(shape) / math.prod(shape)


@MUSEUM.wrong("ratio", "That is ER")
def er(shape):
    return sum(shape[:2]) / math.prod(shape[:2])


@MUSEUM.wrong("ratio", "belongs in the sum too")
def kernel_in_the_size_only(shape):
    return sum(shape[:2]) / math.prod(shape)


@MUSEUM.wrong("ratio", "product of all four")
def kernel_in_the_sum_only(shape):
    return sum(shape) / math.prod(shape[:2])


@MUSEUM.wrong("ratio", "not 3 × 3")
def kernel_area(shape):
    return (sum(shape[:2]) + (math.prod(shape[2:]) if shape[2:] else 0)) / math.prod(shape)


@MUSEUM.wrong("ratio", "returned nothing")
def nothing(shape):
    pass


# --- sharing --------------------------------------------------------------------------------------


def first_round(sizes, sums, density):
    epsilon = density * sum(sizes) / sum(sums)
    return [epsilon * n for n in sums]


MUSEUM.hang("share", "no_overflow_rule", "make it dense", first_round)


@MUSEUM.wrong("share", "Cut off at 1")
def cut(sizes, sums, density):
    return [min(n, size) for n, size in zip(first_round(sizes, sums, density), sizes, strict=True)]


@MUSEUM.wrong("share", "lifts the dense layer")
def cut_and_scale(sizes, sums, density):
    kept = cut(sizes, sums, density)
    return [n * density * sum(sizes) / sum(kept) for n in kept]


def second_round(budget, divide_by_all=False, clip=False):
    def answer(sizes, sums, density):
        wanted = first_round(sizes, sums, density)
        dense = [i for i, n in enumerate(wanted) if n > sizes[i]]
        free = [i for i in range(len(sizes)) if i not in dense]
        if not free:
            return sizes
        left = budget(sizes, density, dense)
        epsilon = left / sum(sums[i] for i in (range(len(sums)) if divide_by_all else free))
        kept = [sizes[i] if i in dense else epsilon * sums[i] for i in range(len(sizes))]
        return [min(n, size) for n, size in zip(kept, sizes, strict=True)] if clip else kept

    return answer


def right_budget(sizes, density, dense):
    return density * sum(sizes) - sum(sizes[i] for i in dense)


MUSEUM.hang(
    "share",
    "dense_layers_for_free",
    "come out of the budget",
    second_round(lambda sizes, density, dense: density * sum(sizes)),
)
MUSEUM.hang(
    "share", "divided_by_all", "leave the dense layer's sum out", second_round(right_budget, True)
)
MUSEUM.hang("share", "two_rounds", "Repeat until a round", second_round(right_budget))
MUSEUM.hang(
    "share", "two_rounds_then_cut", "there it was cut off", second_round(right_budget, clip=True)
)


@MUSEUM.wrong("share", "That is uniform")
def uniform(sizes, sums, density):
    return [density * size for size in sizes]


@MUSEUM.wrong("share", "These are densities")
def densities(sizes, sums, density):
    return [n / size for n, size in zip(solution.share(sizes, sums, density), sizes, strict=True)]


@MUSEUM.wrong("share", "not the same number for all")
def equal_parts(sizes, sums, density):
    return [density * sum(sizes) / len(sizes)] * len(sizes)


@MUSEUM.wrong("share", "list of 3 numbers")
def epsilon_only(sizes, sums, density):
    return density * sum(sizes) / sum(sums)


# --- whole numbers --------------------------------------------------------------------------------


@MUSEUM.wrong("whole", "Rounding each by itself loses")
def round_each(exact):
    return [round(n) for n in exact]


@MUSEUM.wrong("whole", "Rounding down loses")
def floor_each(exact):
    return [math.floor(n) for n in exact]


@MUSEUM.wrong("whole", "Rounding up makes")
def ceil_each(exact):
    return [math.ceil(n) for n in exact]


def give(order, each=1):
    def answer(exact):
        counts = [math.floor(n) for n in exact]
        missing = round(sum(exact)) - sum(counts)
        for i in order(exact, counts)[: math.ceil(missing / each)]:
            counts[i] += min(each, missing)
        return counts

    return answer


MUSEUM.hang("whole", "to_the_first", "not to the first", give(lambda e, c: list(range(len(e)))))
MUSEUM.hang("whole", "all_to_the_last", "one each", give(lambda e, c: [len(e) - 1], each=10**6))
MUSEUM.hang(
    "whole",
    "to_the_smallest_remainder",
    "the largest remainders get one more",
    give(lambda e, c: sorted(range(len(e)), key=lambda i: e[i] - c[i])),
)


def to_a_total(total):
    def answer(exact):
        counts = [math.floor(n) for n in exact]
        order = sorted(range(len(exact)), key=lambda i: counts[i] - exact[i])
        for i in order[: total(sum(exact)) - sum(counts)]:
            counts[i] += 1
        return counts

    return answer


slack = 1e-9  # 10 may come as 10.000000000000002
MUSEUM.hang("whole", "sum_rounded_down", "rounded 11", to_a_total(lambda x: math.floor(x + slack)))
MUSEUM.hang("whole", "sum_rounded_up", "rounded 10", to_a_total(lambda x: math.ceil(x - slack)))


@MUSEUM.wrong("share", "rounding is the next exercise")
def rounded_shares(sizes, sums, density):
    return [round(n) for n in solution.share(sizes, sums, density)]


@MUSEUM.wrong("share", "rounding is the next exercise")
def shares_rounded_down(sizes, sums, density):
    return [math.floor(n) for n in solution.share(sizes, sums, density)]


@MUSEUM.wrong("ratio", "right is 0.0260")
def rounded_ratio(shape):
    return round(solution.ratio(shape), 2) if len(shape) == 4 else solution.ratio(shape)


@MUSEUM.wrong("first_full", "right is 0.3067")
def rounded_density(shapes):
    name, density = solution.first_full(shapes)
    return name, round(density, 3)


@MUSEUM.wrong("whole", "Half a weight")
def as_they_are(exact):
    return [n + 0.5 for n in exact]


@MUSEUM.wrong("whole", "list of 3 numbers")
def the_sum(exact):
    return round(sum(exact))


# --- the first to fill ----------------------------------------------------------------------------


@MUSEUM.wrong("first_full", "'square' is not the first")
def the_smallest(shapes):
    name = min(shapes, key=lambda n: math.prod(shapes[n]))
    epsilon = math.prod(shapes[name]) / sum(shapes[name])
    sums = sum(sum(shape) for shape in shapes.values())
    return name, epsilon * sums / sum(math.prod(shape) for shape in shapes.values())


@MUSEUM.wrong("first_full", "the kernel is in both")
def by_er(shapes):
    return solution.first_full({name: shape[:2] for name, shape in shapes.items()})


@MUSEUM.wrong("first_full", "That is epsilon")
def epsilon(shapes):
    name, _ = solution.first_full(shapes)
    return name, math.prod(shapes[name]) / sum(shapes[name])


@MUSEUM.wrong("first_full", "density of the layer itself")
def its_own_density(shapes):
    return solution.first_full(shapes)[0], 1.0


@MUSEUM.wrong("first_full", "share of all weights")
def its_share(shapes):
    name, _ = solution.first_full(shapes)
    return name, math.prod(shapes[name]) / sum(math.prod(shape) for shape in shapes.values())


@MUSEUM.wrong("first_full", "two things")
def only_the_name(shapes):
    return solution.first_full(shapes)[0]


# --- and the visit --------------------------------------------------------------------------------


@pytest.mark.parametrize("exercise, answer, hint", MUSEUM.entries)
def test_wrong(exercise, answer, hint):
    MUSEUM.rejects(exercise, answer, hint)
