"""The redistribution toy hands out the weights that `rigl_edu.sparse.share` does."""

import random

import pytest

from rigl_edu.sparse import drop_count, share
from rigl_edu.teach import toys
from tests.teach.node import run_node, shown_numbers

LAYERS = {"A": (12, 36), "B": (8, 12), "C": (4, 6)}

node = pytest.mark.node


def random_case(seed):
    """One to seven layers; every third has coarse scores, so ties and zeros."""
    draw = random.Random(seed)
    n = draw.randint(1, 7)
    sizes = [draw.randint(1, 60) for _ in range(n)]
    scores = [
        draw.choice((0.0, 0.0, 0.5, 1.0)) if seed % 3 == 0 else draw.random() for _ in range(n)
    ]
    return {
        "active": [draw.randint(0, size) for size in sizes],
        "sizes": sizes,
        "scores": scores,
        "fraction": draw.choice((0.1, 0.3, 0.58, 0.9)),
        "budget": draw.randint(0, sum(sizes)),
    }


@node
def test_shares_equal_the_packages_in_500_random_cases():
    cases = [random_case(seed) for seed in range(500)]
    capped = zeros = 0
    for case, js in zip(cases, run_node("redistribution", cases), strict=True):
        dropped = [drop_count(case["fraction"], n) for n in case["active"]]
        room = [s - n + k for s, n, k in zip(case["sizes"], case["active"], dropped, strict=True)]
        given = share(case["scores"], sum(dropped), room)
        assert (js["dropped"], js["room"], js["given"]) == (dropped, room, given)
        assert sum(js["after"]) == sum(case["active"])
        assert js["shared"] == share(case["scores"], case["budget"], case["sizes"])
        capped += any(c > r for c, r in zip(js["claims"], room, strict=True))
        zeros += not any(case["scores"])
    assert capped > 50 and zeros > 5  # the cases are not trivial


@node
def test_the_pages_numbers_go_in_as_they_are():
    numbers = shown_numbers(toys.redistribution(LAYERS, (0.3, 0.5, 1.2)))
    (js,) = run_node("redistribution", [{**numbers, "budget": 0}])
    assert js["dropped"] == [3, 2, 1] and js["given"] == [1, 2, 3] and js["after"] == [10, 8, 6]


def test_the_words_are_the_packages_decision():
    words = toys.redistribution(LAYERS, (0.3, 0.5, 1.2)).plain
    assert "C: 4 of 6 weights, score 1.2, drops 1, gets 3, has 6 then" in words
    assert "Before 24 weights, after 24." in words


@pytest.mark.parametrize("scores", [(0.3, 0.5), (0.3, 0.5, 2.1), (0.3, 0.55, 1), (-0.1, 1, 1)])
def test_scores_the_sliders_do_not_have_are_refused(scores):
    with pytest.raises(ValueError, match="scores are"):
        toys.redistribution(LAYERS, scores)
