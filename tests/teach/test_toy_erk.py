"""The toy's JavaScript shares budgets as rigl_edu does, and its words are the package's result."""

import random
from math import prod

import pytest

from rigl_edu.sparse import erk
from rigl_edu.teach import toys
from tests.teach.in_browser import open_page
from tests.teach.node import run_node
from tests.teach.toys_shown import SHOWN

THREE = {"A": (6, 6), "B": (2, 6), "C": (1, 2)}


def random_case(seed):
    draw = random.Random(seed)
    shapes = []
    for _ in range(draw.randint(1, 6)):
        shape = [draw.randint(1, 40), draw.randint(1, 40)]
        if draw.random() < 0.5:
            shape += [draw.choice((1, 3, 5))] * 2
        shapes.append(shape)
    return {"shapes": shapes, "density": draw.choice((1.0, draw.uniform(0.01, 1)))}


@pytest.mark.node
def test_densities_equal_the_packages_on_300_random_networks():
    cases = [random_case(seed) for seed in range(300)]
    over, cuts = 0, 0
    for case, js in zip(cases, run_node("erk", cases), strict=True):
        shapes = {str(i): tuple(shape) for i, shape in enumerate(case["shapes"])}
        expected = erk(shapes, case["density"])
        assert js["erk"] == pytest.approx(list(expected.values()), rel=1e-12)
        sizes = [prod(shape) for shape in case["shapes"]]
        budget = case["density"] * sum(sizes)
        for step in js["rounds"]:
            assert sum(step["wanted"]) == pytest.approx(budget)
        assert not any(js["rounds"][-1]["over"])
        assert sum(js["cut"]) <= budget + 1e-9
        over += len(js["rounds"]) > 1
        cuts += sum(js["cut"]) < 0.99 * budget
    assert over > 100 and cuts > 50  # the cases are not trivial


@pytest.mark.node
def test_the_three_layers_of_the_page_by_hand():
    shapes = [list(shape) for shape in THREE.values()]
    (js,) = run_node("erk", [{"shapes": shapes, "density": 0.44}])
    first, second = js["rounds"]
    assert first["epsilon"] == pytest.approx(22 / 23) and first["over"] == [False, False, True]
    assert second["epsilon"] == pytest.approx(1) and second["wanted"] == pytest.approx([12, 8, 2])


def test_the_words_of_the_card_are_the_packages_result():
    words = toys.erk({"three": THREE}, 0.44).plain
    densities = erk(THREE, 0.44)
    for name, shape in THREE.items():
        assert f"{name} {densities[name] * prod(shape):.2f} of {prod(shape)}" in words
    assert "keep 22.00 of 50 weights" in words and "Dense: C." in words


@pytest.mark.parametrize("density", [0, 1.02, 0.45, -0.02])
def test_a_density_the_slider_does_not_have_is_refused(density):
    with pytest.raises(ValueError, match=f"density is {density}"):
        toys.erk({"three": THREE}, density)


def test_no_network_is_refused():
    with pytest.raises(ValueError, match="needs a network"):
        toys.erk({})


@pytest.mark.browser
def test_sharing_again_cutting_off_and_starting_over(browser):
    page = open_page(browser, SHOWN["erk"]())
    status = page.get_by_role("status")
    assert "epsilon = 0.9565. C would hold more" in status.inner_text()
    page.get_by_role("button", name="cut off at 1").click()
    assert "21.13 weights instead of 22.00: density 0.423, not 0.44" in status.inner_text()
    page.get_by_role("button", name="share again").click()
    assert "start over to share it" in status.inner_text()
    page.get_by_role("button", name="start over").click()
    page.get_by_role("button", name="share again").click()
    assert "Round 2: epsilon = 1.0000" in status.inner_text()
    assert "Dense: C." in status.inner_text()
    page.get_by_role("button", name="share again").click()
    assert "Nothing to share" in status.inner_text()
    page.get_by_role("radio").nth(1).check()
    assert "Round 1" in status.inner_text()
    page.get_by_role("slider").focus()
    page.keyboard.press("End")
    for _ in range(4):
        page.get_by_role("button", name="share again").click()
    assert page.errors == []
    page.close()


def test_the_page_shows_the_layers_it_shares_by_hand():
    assert "6 → 6 → 2 → 1" in SHOWN["erk"]().plain
