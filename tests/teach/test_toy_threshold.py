"""The toy of chapter 2: it keeps the weights that rigl_edu keeps."""

import pytest
import torch

from rigl_edu.sparse import drop, keep_globally
from rigl_edu.teach import six_by_six, toys
from rigl_edu.teach.layers import places
from tests.teach.node import run_node


def random_case(seed):
    """A layer of random shape and density; every third has coarse numbers, so ties."""
    g = torch.Generator().manual_seed(seed)
    rows, columns = (int(n) for n in torch.randint(1, 9, (2,), generator=g))
    total = rows * columns
    active = int(torch.randint(1, total + 1, (1,), generator=g))
    mask = torch.zeros(total, dtype=torch.bool)
    mask[torch.randperm(total, generator=g)[:active]] = True
    weight = torch.randn(total, generator=g, dtype=torch.float64)
    if seed % 3 == 0:
        weight = weight.mul(2).round().div(2) + (weight.abs() < 0.25) / 8
    layer = {
        "columns": columns,
        "weight": (weight * mask).tolist(),
        "mask": mask.int().tolist(),
    }
    return {"layer": layer, "removed": int(torch.randint(0, active, (1,), generator=g))}


@pytest.mark.node
def test_masks_equal_the_packages_on_200_random_layers():
    ties = 0
    cases = [random_case(seed) for seed in range(200)]
    for case, js in zip(cases, run_node("threshold", cases), strict=True):
        layer, removed = case["layer"], case["removed"]
        mask = torch.tensor(layer["mask"]).bool()
        weight = torch.tensor(layer["weight"], dtype=torch.float64)
        kept = drop(weight.abs(), mask, removed)
        assert js["mask"] == kept.tolist()
        left = int(mask.count_nonzero()) - removed
        alone = keep_globally({"l": weight.abs()}, {"l": mask}, left / len(mask))["l"]
        assert js["mask"] == alone.tolist()
        assert js["left"] == left
        assert js["density"] == pytest.approx(left / len(mask))
        squares = weight.square()
        share = float((squares * kept).sum() / squares.sum())
        assert js["energy"] == pytest.approx(share)
        ties += len(weight[mask]) != len(weight[mask].abs().unique())
    assert ties > 30  # the cases are not trivial


def test_the_words_are_the_packages_decision():
    example = six_by_six()
    words = toys.threshold(example).plain
    kept = drop(example.weight.abs(), example.mask, 3)
    assert f"With 3 removed, at {places(example.mask & ~kept)}, 9 of 36" in words
    assert "between |w| = 0.12 and 0.17" in words
    nothing = toys.threshold(example, 0).plain
    assert "With 0 removed, 12 of 36 positions hold a weight: density 0.33" in nothing
    assert "100% of the whole" in nothing


@pytest.mark.parametrize("removed", [-1, 12, 36])
def test_a_number_that_cannot_be_removed_is_refused(removed):
    with pytest.raises(ValueError, match=f"removed is {removed}"):
        toys.threshold(six_by_six(), removed)
