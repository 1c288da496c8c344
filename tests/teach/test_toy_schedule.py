"""The schedule toy's JavaScript counts as rigl_edu does; its words are the package's numbers."""

import random

import pytest
import torch

from rigl_edu.sparse import cosine_fraction, drop_count, grow, random_mask, rewires_at
from rigl_edu.teach import toys
from rigl_edu.teach.toys.schedule import STEPS, tried
from tests.teach.node import run_node, shown_numbers

SHARES = {
    "cosine": cosine_fraction,
    "linear": lambda t, until, fraction: fraction * (1 - t / until) if t < until else 0,
    "constant": lambda t, until, fraction: fraction if t < until else 0,
}


def random_case(draw, shape):
    total = draw.randint(2, 20_000)
    layer = {"active": draw.randint(1, total - 1), "total": total, "steps": draw.randint(1, 1200)}
    pace = {
        "shape": shape,
        "every": draw.randint(1, 250),
        "until": draw.randint(1, 1200),
        "fraction": draw.choice([round(draw.random(), 1) or 0.1, draw.random()]),
    }
    return {"layer": layer, "pace": pace}


@pytest.mark.node
def test_steps_shares_and_counts_are_the_packages_in_300_trainings():
    draw = random.Random(0)
    cases = [random_case(draw, shape) for shape in SHARES for _ in range(100)]
    rewirings = 0
    for case, js in zip(cases, run_node("schedule", cases), strict=True):
        layer, pace = case["layer"], case["pace"]
        every, until, fraction = pace["every"], pace["until"], pace["fraction"]
        steps = [t for t in range(1, layer["steps"] + 1) if rewires_at(t, every, until)]
        shares = [SHARES[pace["shape"]](t, until, fraction) for t in steps]
        counts = [drop_count(share, layer["active"]) for share in shares]
        assert [found["t"] for found in js["found"]] == steps
        assert [found["k"] for found in js["found"]] == counts
        assert js["shares"] == pytest.approx(shares)
        for i, found in enumerate(js["found"], 1):
            expected = tried(layer["active"], layer["total"], counts[:i])
            assert found["tried"] == pytest.approx(expected)
        assert js["after"] == 0
        assert js["count"] == drop_count(fraction, layer["active"])
        assert js["first"] == (every < until)
        rewirings += len(steps)
    assert rewirings > 2000


def test_the_share_tried_is_what_random_growth_tries():
    """Whatever is dropped: here always the same positions, which a wrong formula would notice."""
    g = torch.Generator().manual_seed(0)
    counts, n, total, shares = [30, 20, 20, 10], 60, 400, []
    for _ in range(200):
        mask = random_mask((total,), n, g)
        seen = mask.clone()
        for k in counts:
            mask = mask.clone()
            mask[mask.nonzero().flatten()[:k]] = False
            mask = grow(torch.rand(total, generator=g), mask, k)
            seen |= mask
        shares.append(float(seen.float().mean()))
    assert sum(shares) / len(shares) == pytest.approx(tried(n, total, counts), abs=0.005)


def test_the_words_are_the_packages_numbers():
    words = toys.schedule().plain
    steps = [t for t in range(1, STEPS + 1) if rewires_at(t, 50, 750)]
    counts = [drop_count(cosine_fraction(t, 750, 0.3), 1000) for t in steps]
    assert f"a cosine gives {len(steps)} rewirings" in words
    assert f"at step {steps[0]}, moves {counts[0]} weights" in words
    assert f"at step {steps[-1]}, moves {counts[-1]}; together {sum(counts):,}" in words
    assert f"{100 * tried(1000, 10_000, counts):.1f} % of the positions" in words


def test_a_schedule_without_a_rewiring_has_words_too():
    words = toys.schedule(every=250, until=100).plain
    assert "0 rewirings. Grown at random, 10.0 %" in words


def test_the_numbers_are_inlined():
    assert shown_numbers(toys.schedule(until=500)) == {
        "layer": {"active": 1000, "total": 10_000, "steps": STEPS},
        "start": {"fraction": 0.3, "every": 50, "until": 500},
    }


@pytest.mark.parametrize(
    "wrong", [{"fraction": 0.7}, {"fraction": 0.25}, {"every": 30}, {"until": 1050}, {"every": 0}]
)
def test_a_number_the_sliders_do_not_have_is_refused(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} is {wrong[name]}; the slider has"):
        toys.schedule(**wrong)


@pytest.mark.parametrize("active", [0, 10_000])
def test_a_layer_has_empty_positions_and_weights(active):
    with pytest.raises(ValueError, match=f"active={active} must be"):
        toys.schedule(active=active)
