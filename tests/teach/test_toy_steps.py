"""The toy's JavaScript takes the same steps as rigl_edu: run both, compare masks and weights."""

import pytest
import torch
from torch import nn

from rigl_edu import RigL, sparsify
from rigl_edu.sparse import Layer, decide, drop, drop_count, gradient, grow, magnitude
from rigl_edu.teach import six_by_six, toys
from rigl_edu.teach.layers import places
from tests.teach.node import run_node, shown_numbers

pytestmark = pytest.mark.node


def random_case(seed):
    """A layer of random shape and density; every third has coarse numbers, so ties and zeros."""
    g = torch.Generator().manual_seed(seed)
    rows, columns = (int(n) for n in torch.randint(1, 9, (2,), generator=g))
    total = rows * columns
    active = int(torch.randint(0, total + 1, (1,), generator=g))
    mask = torch.zeros(total, dtype=torch.bool)
    mask[torch.randperm(total, generator=g)[:active]] = True

    def numbers():
        values = torch.randn(total, generator=g, dtype=torch.float64)
        return values.mul(2).round().div(2) if seed % 3 == 0 else values

    fraction = float(torch.rand(1, generator=g, dtype=torch.float64))
    if seed % 5 == 0:
        fraction = round(fraction, 1)  # 0.3 * 10 = 3.0000000000000004 and its like
    return {
        "layer": {
            "columns": columns,
            "weight": (numbers() * mask).tolist(),
            "mask": mask.int().tolist(),
            "gradient": numbers().tolist(),
            "momentum": numbers().tolist(),
            "random": torch.rand(total, generator=g, dtype=torch.float64).tolist(),
        },
        "fraction": fraction,
        "k": int(torch.randint(0, min(active, total - active) + 1, (1,), generator=g)),
    }


def test_masks_equal_the_packages_on_200_random_layers_for_each_rule():
    cases = [random_case(seed) for seed in range(200)]
    grown, regrown, ties = 0, 0, 0
    for case, js in zip(cases, run_node("rewire", cases), strict=True):
        layer, fraction = case["layer"], case["fraction"]
        mask = torch.tensor(layer["mask"]).bool()
        weight = torch.tensor(layer["weight"], dtype=torch.float64)
        k = drop_count(fraction, int(mask.count_nonzero()))
        for rule, field in (("SET", "random"), ("SNFS", "momentum"), ("RigL", "gradient")):
            scores = torch.tensor(layer[field], dtype=torch.float64).abs()
            kept = drop(weight.abs(), mask, k)
            after = grow(scores, kept, k)
            assert js[rule]["k"] == k
            assert js[rule]["kept"] == kept.tolist()
            assert js[rule]["mask"] == after.tolist()
            assert js[rule]["weight"] == (weight * (after & mask)).tolist()
            grown += int((after & ~kept).count_nonzero())
            regrown += int((after & ~kept & mask).count_nonzero())
            ties += len(scores) != len(set(scores.tolist()))
        signed = torch.tensor(layer["gradient"], dtype=torch.float64)
        assert js["drop"] == drop(signed, mask, case["k"]).tolist()
        assert js["grow"] == grow(signed, mask, case["k"]).tolist()
    assert grown > 1000 and regrown > 100 and ties > 50  # the cases are not trivial


def test_the_count_is_rounded_as_the_packages_is():
    """0.58 * 50 is 28.999999999999996, and k is 29 all the same."""
    sizes = [(f / 100, n) for f in range(101) for n in range(301) if drop_count(f / 100, n)]
    hard = [(f, n) for f, n in sizes if int(f * n) != drop_count(f, n)]
    assert len(hard) > 5
    cases = []
    for fraction, n in hard:
        numbers = list(range(1, n + 1))
        fields = dict.fromkeys(("weight", "gradient", "momentum", "random"), numbers)
        cases.append({"layer": {**fields, "mask": [1] * n}, "fraction": fraction, "k": 0})
    for (fraction, n), js in zip(hard, run_node("rewire", cases), strict=True):
        assert js["RigL"]["k"] == drop_count(fraction, n)


def test_one_step_of_the_real_rule_does_what_the_toy_shows():
    example = six_by_six()
    model = sparsify(nn.Linear(6, 6, bias=False), density=1 / 3)
    model.set_mask(torch.ones(6, 6))
    with torch.no_grad():
        model.weight.copy_(example.weight)
    model.set_mask(example.mask)
    rule = RigL(model, torch.optim.SGD(model.parameters(), lr=0.1), every=1, until=10**9)
    model.weight.grad = example.gradient.clone()
    rule.step()

    (js,) = run_node("rewire", [{**shown_numbers(toys.rewire(example)), "k": 0}])
    assert js["RigL"]["mask"] == model.mask.bool().flatten().tolist()
    assert torch.tensor(js["RigL"]["weight"]).equal(model.weight.detach().flatten())


def test_the_inlined_numbers_rank_as_the_float32_ones_do():
    values = torch.rand(2000, generator=torch.Generator().manual_seed(0)).repeat(2)
    written = torch.tensor(toys.flat(values), dtype=torch.float64)
    assert values.argsort(stable=True).equal(written.argsort(stable=True))
    assert toys.flat(torch.tensor([0.82, -0.05])) == [0.82, -0.05]


def test_the_words_of_the_card_are_the_packages_decision():
    example = six_by_six()
    view = Layer("layer", example.weight, example.mask, example.gradient, None, torch.Generator())
    (new,) = decide([view], 0.3, magnitude, gradient)
    words = toys.rewire(example).plain
    assert f"smallest |w|, at {places(example.mask & ~new.kept)}," in words
    assert f"RigL by |gradient|, at {places(new.after & ~new.kept)}." in words


@pytest.mark.parametrize("fraction", [0, 1, 0.25, -0.3])
def test_a_fraction_the_slider_does_not_have_is_refused(fraction):
    with pytest.raises(ValueError, match=f"fraction is {fraction}"):
        toys.rewire(six_by_six(), fraction)


def test_a_toy_is_small_self_contained_and_the_same_every_time():
    html = toys.rewire(six_by_six()).html
    assert html == toys.rewire(six_by_six()).html
    assert len(toys.source("toy.js")) + len(toys.source("rewire.js")) < 12000
    nothing_loaded = html.replace("http://www.w3.org/2000/svg", "")  # a name, not an address
    assert "http" not in nothing_loaded and "import" not in html.replace("!important", "")


def test_the_layer_makes_the_three_rules_differ():
    example = six_by_six()
    assert int(example.mask.count_nonzero()) == 12
    for scores in (example.gradient, example.momentum, example.random):
        assert scores.abs().unique().numel() == 36, "ties"
    assert example.weight[example.mask].abs().unique().numel() == 12
    assert (example.weight != 0).equal(example.mask)
    for fraction in (0.2, 0.3, 0.4, 0.5):
        k = drop_count(fraction, 12)
        kept = drop(example.weight.abs(), example.mask, k)
        choices = [
            grow(s.abs(), kept, k) & ~kept
            for s in (example.random, example.momentum, example.gradient)
        ]
        assert not any(a.equal(b) for i, a in enumerate(choices) for b in choices[:i])
        assert (choices[2] & example.mask).any(), "RigL should regrow a dropped weight"
