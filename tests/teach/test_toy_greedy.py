"""The greedy toy's JavaScript takes the steps of rigl_edu.sparse; its words are the package's."""

import pytest
import torch

from rigl_edu.sparse import (
    centred_gram,
    greedy_fixed_steps,
    greedy_line_search,
    line_search_step,
)
from rigl_edu.teach import toys
from rigl_edu.teach.toys.greedy import ORDER, POINTS
from tests.teach.node import run_node


def random_case(seed):
    """Units in the plane and a mixture of some of them."""
    g = torch.Generator().manual_seed(seed)
    n = int(torch.randint(1, 12, (1,), generator=g))
    points = torch.randn(n, 2, generator=g, dtype=torch.float64)
    if seed % 3 == 0:
        points[0] = points.mean(0)  # a unit so good that it has to be left again
    a = torch.rand(n, generator=g, dtype=torch.float64)
    a = a * (torch.rand(n, generator=g, dtype=torch.float64) < 0.5)
    a[int(torch.randint(n, (1,), generator=g))] += 0.2
    return {
        "points": points.tolist(),
        "order": torch.randperm(n, generator=g).tolist(),
        "steps": n,
        "a": (a / a.sum()).tolist(),
    }


def vector(values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.node
def test_each_rule_takes_the_packages_steps_on_300_layers():
    cases = [random_case(seed) for seed in range(300)]
    added, taken, removed, again = 0, 0, 0, 0
    for case, js in zip(cases, run_node("greedy", cases), strict=True):
        gram = centred_gram([vector(case["points"])])
        free = torch.ones(len(gram), dtype=torch.bool)
        a = vector(case["a"])
        assert js["d"] == pytest.approx(float(a @ gram @ a), abs=1e-12)

        # From any mixture one step of the line search: the same move.
        after = line_search_step(gram, a, free)
        assert vector(js["step"]["a"]) == pytest.approx(after, abs=1e-9)
        added += js["step"]["gamma"] > 1e-9
        taken += js["step"]["gamma"] < -1e-9
        removed += bool(((after == 0) & (a > 0)).any()) and js["step"]["gamma"] < 0
        assert [x == 0 for x in js["step"]["a"]] == (after == 0).tolist()

        # From the start: D of each step, and no rise.
        one = int(gram.diagonal().argmin())
        mix = torch.zeros_like(gram[0])
        mix[one] = 1
        for k, step in enumerate(js["search"]):
            mix = line_search_step(gram, mix, free) if k else mix
            assert step["d"] == pytest.approx(float(mix @ gram @ mix), abs=1e-9)

        for step, right in zip(js["fixed"], greedy_fixed_steps(gram, case["steps"]), strict=True):
            assert step["d"] == pytest.approx(right.discrepancy, abs=1e-9)
            assert vector(step["a"]) == pytest.approx(right.coefficients, abs=1e-9)
            again += max(step["a"]) > 1.5 * min(x for x in step["a"] if x)

        for k, step in enumerate(js["random"], 1):
            mean = vector(case["points"])[case["order"][:k]].mean(0)
            error = mean - vector(case["points"]).mean(0)
            assert step["d"] == pytest.approx(float(error.square().mean()), abs=1e-12)
    assert added > 100 and taken > 20 and removed > 5 and again > 20


def test_the_words_are_the_packages_numbers():
    words = toys.greedy().plain
    gram = centred_gram([torch.tensor(POINTS)])
    searched = greedy_line_search(gram, len(POINTS), 0)[:4]
    said = ", ".join(f"{step.discrepancy:.1e}" for step in searched)
    assert f"by line search {said};" in words
    fixed = ", ".join(f"{step.discrepancy:.1e}" for step in greedy_fixed_steps(gram, 4))
    assert f"in steps of 1/k {fixed};" in words
    assert f"start with unit {int(gram.diagonal().argmin())}, the nearest" in words


@pytest.mark.node
def test_the_three_things_the_page_says_about_it():
    (js,) = run_node("greedy", [{"points": POINTS, "order": ORDER, "steps": 8, "a": [1] + [0] * 7}])
    search, fixed, random = ([s["d"] for s in js[rule]] for rule in ("search", "fixed", "random"))
    assert search == sorted(search, reverse=True)
    assert all(after < 0.6 * before for before, after in zip(search[1:], search[2:], strict=False))
    assert any(after > before for before, after in zip(fixed, fixed[1:], strict=False))
    assert search[5] < fixed[5] / 100
    assert random[-1] < 1e-12 < random[-2]
    assert random[6] > search[6] * 1000


@pytest.mark.parametrize(
    "points, order, said",
    [
        (POINTS[:3], (0, 1, 2), "at least 4"),
        (((3.0, 0.0), *POINTS[1:]), ORDER, "from -2 to 2"),
        (POINTS, (0, 0, 1, 2, 3, 4, 5, 6), "each of 0 to 7 once"),
    ],
)
def test_what_the_picture_cannot_show_is_refused(points, order, said):
    with pytest.raises(ValueError, match=said):
        toys.greedy(points, order)
