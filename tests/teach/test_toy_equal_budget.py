"""The toy of equal budgets counts as the package does: densities, weights, FLOPs."""

import random

import pytest

from rigl_edu import forward_flops, sparsify
from rigl_edu.lab import wide_resnet
from rigl_edu.sparse import active_counts, erk, layer_table
from rigl_edu.teach import toys
from rigl_edu.teach.toys.equal_budget import BUDGETS, erk_density, flops_of, wrn_sizes
from tests.teach.node import run_node, shown_numbers

node = pytest.mark.node


def inlined():
    return shown_numbers(toys.equal_budget())["layers"]


def random_layers(seed):
    draw = random.Random(seed)
    layers = []
    for i in range(draw.randint(1, 8)):
        shape = [draw.randint(4, 40), draw.randint(4, 40)]
        layers.append([f"l{i}", shape + [3, 3] * draw.randint(0, 1), 1, 0])
    return layers, draw.uniform(0.1, 1)


@node
def test_erk_and_counts_equal_the_packages_on_100_random_networks():
    shapes = [random_layers(seed) for seed in range(100)]
    given = run_node("equal_budget", {"layers": [], "cases": [], "shapes": shapes})
    full = 0
    for (layers, density), js in zip(shapes, given["random"], strict=True):
        named = {name: tuple(shape) for name, shape, *_ in layers}
        densities = erk(named, density)
        assert js["densities"] == pytest.approx(list(densities.values()), rel=1e-12)
        assert js["counts"] == list(active_counts(named, densities).values())
        full += any(d == 1 for d in densities.values())
    assert full > 10  # the rule for layers that overflow is used


@node
def test_both_budgets_equal_the_packages():
    cases = [(density, budget) for density in (0.02, 0.1, 0.2, 0.5) for budget in BUDGETS]
    given = run_node("equal_budget", {"layers": inlined(), "cases": cases, "shapes": []})
    for (density, budget), js in zip(cases, given["compared"], strict=True):
        other = erk_density(density, budget)
        assert js["densities"] == pytest.approx([density, other], rel=1e-12)
        for distribution, d, weights, flops in zip(
            ("uniform", "erk"), (density, other), js["weights"], js["flops"], strict=True
        ):
            model = sparsify(wide_resnet(22, 2, num_classes=10), d, distribution)
            assert weights == [row.active for row in layer_table(model)]
            assert flops == forward_flops(model, (3, 32, 32))
        of_what = [sum(n) for n in js["weights"]] if budget == BUDGETS[0] else js["flops"]
        assert of_what[1] == pytest.approx(of_what[0], rel=1e-3)


def test_a_density_of_the_papers_figure_4_is_found():
    assert erk_density(0.1, "equal FLOPs") == pytest.approx(0.0587, rel=0.02)
    assert erk_density(0.2, "equal FLOPs") == pytest.approx(0.1145, rel=0.03)
    with pytest.raises(ValueError, match="budget is"):
        erk_density(0.1, "equal seconds")


def test_the_words_are_the_packages_numbers():
    model = sparsify(wide_resnet(22, 2, num_classes=10), 0.1, "uniform")
    weights = sum(row.active for row in layer_table(model))
    share = forward_flops(model, (3, 32, 32)) / forward_flops(model, (3, 32, 32), dense=True)
    words = toys.equal_budget(0.1).plain
    assert f"Uniform masks, density 0.10: {weights:,} weights, {share:.3f} of the dense" in words
    assert f"ERK at equal FLOPs, density {erk_density(0.1, 'equal FLOPs'):.4f}" in words


def test_the_sizes_are_the_networks():
    sizes = wrn_sizes()
    assert len(sizes) == 23 and sizes["stem"].positions == 1024 and sizes["fc"].positions == 1
    dense = {name: float(size.shape[0]) for name, size in sizes.items()}
    assert flops_of(sizes, dense) > 0


@pytest.mark.parametrize("density", [0.01, 0.51, 0.155])
def test_a_density_the_slider_does_not_have_is_refused(density):
    with pytest.raises(ValueError, match="density is"):
        toys.equal_budget(density)
