"""The redistribution toy hands out the weights that `rigl_edu.sparse.share` does."""

import json
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from rigl_edu.sparse import drop_count, share
from rigl_edu.teach import toys

JS = Path(__file__).parents[1] / "js"
TOY = Path(toys.__file__).with_name("redistribution.js")
LAYERS = {"A": (12, 36), "B": (8, 12), "C": (4, 6)}

node = pytest.mark.node


def run_node(cases):
    program = shutil.which("node")
    if program is None:
        pytest.skip("Node.js is not on this machine")
    done = subprocess.run(
        [program, str(JS / "redistribution_batch.js"), str(TOY)],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


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
    for case, js in zip(cases, run_node(cases), strict=True):
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
    html = toys.redistribution(LAYERS, (0.3, 0.5, 1.2)).html
    from html import unescape

    numbers = json.loads(unescape(re.search(r'data-numbers="([^"]*)"', html)[1]))
    (js,) = run_node([{**numbers, "budget": 0}])
    assert js["dropped"] == [3, 2, 1] and js["given"] == [1, 2, 3] and js["after"] == [10, 8, 6]


def test_the_words_are_the_packages_decision():
    words = toys.redistribution(LAYERS, (0.3, 0.5, 1.2)).plain
    assert "C: 4 of 6 weights, score 1.2, drops 1, gets 3, has 6 then" in words
    assert "Before 24 weights, after 24." in words


@pytest.mark.parametrize("scores", [(0.3, 0.5), (0.3, 0.5, 2.1), (0.3, 0.55, 1), (-0.1, 1, 1)])
def test_scores_the_sliders_do_not_have_are_refused(scores):
    with pytest.raises(ValueError, match="scores are"):
        toys.redistribution(LAYERS, scores)
