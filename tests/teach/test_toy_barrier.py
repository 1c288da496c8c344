"""The barrier toy's JavaScript walks the line that rigl_edu walks, and its words say the same."""

import re

import pytest
import torch

from rigl_edu.sparse import copy_state, interpolate, lii, path
from rigl_edu.teach import toys
from rigl_edu.teach.toys.barrier import PAIRS, POINTS, loss, two_weights
from tests.teach.node import run_node, shown_numbers


def random_case(seed):
    """Two points anywhere; in every third case both are solutions, on branches drawn by chance."""
    g = torch.Generator().manual_seed(seed)
    ends = 2 * torch.randn(2, 2, generator=g, dtype=torch.float64)
    if seed % 3 == 0:
        ends[:, 1] = 1 / ends[:, 0]
    return {
        "first": ends[0].tolist(),
        "second": ends[1].tolist(),
        "alpha": float(torch.rand((), generator=g, dtype=torch.float64)),
        "points": int(torch.randint(1, 30, (), generator=g)),
    }


@pytest.mark.node
def test_the_line_and_its_barrier_are_the_packages_on_300_random_pairs():
    cases = [random_case(seed) for seed in range(300)]
    hills = 0
    for case, js in zip(cases, run_node("barrier", cases), strict=True):
        first, second = two_weights(case["first"]), two_weights(case["second"])
        ends = copy_state(first), copy_state(second)
        here = interpolate(*ends, case["alpha"])
        assert js["here"] == pytest.approx([w.item() for w in here.values()], rel=1e-9, abs=1e-12)
        (now,) = path(first, *ends, loss, [case["alpha"]])
        assert js["loss"] == pytest.approx(now, rel=1e-9, abs=1e-12)
        alphas = [i / case["points"] for i in range(case["points"] + 1)]
        losses = path(first, *ends, loss, alphas)
        assert js["losses"] == pytest.approx(losses, rel=1e-9, abs=1e-12)
        assert js["barrier"] == pytest.approx(lii(losses, alphas), rel=1e-9, abs=1e-9)
        hills += js["barrier"] > 0.5
    assert 50 < hills < 250  # the cases are not trivial


@pytest.mark.node
def test_every_pair_is_two_solutions_and_its_barrier_is_in_the_words():
    words = toys.barrier().plain
    cases = [
        {"first": first, "second": second, "alpha": 0.5, "points": POINTS}
        for first, second in PAIRS.values()
    ]
    for name, js in zip(PAIRS, run_node("barrier", cases), strict=True):
        assert js["losses"][0] == pytest.approx(0) and js["losses"][-1] == pytest.approx(0)
        said = re.search(rf"{name}, from [^:]*: (\d\.\d\d)", words)
        assert said[1] == f"{js['barrier']:.2f}"


def test_the_pairs_are_a_basin_and_two_hills():
    words = toys.barrier("near each other").plain
    low, far, opposite = (float(x) for x in re.findall(r"\): (\d\.\d\d)", words))
    assert low < 0.01 < 0.3 < far < opposite == 1.0


def test_the_reader_starts_at_the_pair_that_was_asked_for():
    for pair in PAIRS:
        numbers = shown_numbers(toys.barrier(pair))
        assert numbers["names"][0] == pair and set(numbers["names"]) == set(PAIRS)


def test_an_unknown_pair_is_refused():
    with pytest.raises(ValueError, match="pair is 'here'; there are near each other"):
        toys.barrier("here")
