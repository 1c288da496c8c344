"""R_p: by hand, against sets of indices, and chance level."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rigl_edu.sparse.largest_weights import overlap, overlap_of_layers


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def slow(first: list[float], second: list[float], on: list[bool], p: float) -> float:
    """Sort the active indices by magnitude, the lower index first among equals; intersect."""
    active = [i for i, yes in enumerate(on) if yes]
    k = round(p * len(active))
    sets = [set(sorted(active, key=lambda i: (-abs(w[i]), i))[:k]) for w in (first, second)]
    return len(sets[0] & sets[1]) / k


def test_by_hand():
    """The largest three of ten: positions 0, 3, 7 and 3, 7, 8, signs not looked at."""
    first = torch.tensor([9.0, 1, 0, -8, 2, 0, 1, 7, 3, 0])
    second = torch.tensor([1.0, 0, 2, 5, 0, 0, 1, -9, 6, 0])
    assert overlap(first, second, 0.3) == pytest.approx(2 / 3)
    assert overlap(first, second, 0.1) == 0  # positions 0 and 7
    assert overlap(first, second, 1) == 1


def test_a_mask_leaves_the_active_positions_and_p_is_a_share_of_them():
    first = torch.tensor([9.0, 1, 4, 3, 8, 2])
    second = torch.tensor([9.0, 4, 1, 3, 8, 2])
    mask = torch.tensor([0, 1, 1, 1, 0, 1])  # left are 1 4 3 2 and 4 1 3 2
    assert overlap(first, second, 0.5, mask) == 0.5  # positions 2, 3 and 1, 3
    assert overlap(first, second, 0.25, mask) == 0  # positions 2 and 1
    assert overlap(first, second, 0.5) == 2 / 3  # positions 0, 4, 2 and 0, 4, 1


def test_ties_go_to_the_lower_index():
    zeros = torch.zeros(10)
    last = torch.arange(10.0)
    assert overlap(zeros, last, 0.3) == 0  # 0, 1, 2 and 7, 8, 9
    assert overlap(zeros, last, 0.8) == 6 / 8  # 0 to 7 and 2 to 9
    assert overlap(zeros, last.flip(0), 0.3) == 1


def test_zeros_off_a_mask_count_as_agreement_only_without_the_mask():
    """Two sparse vectors with nothing in common but where they are 0."""
    mask = torch.zeros(1000)
    mask[900:] = 1
    first, second = mask * normal(1000, seed=1), mask * normal(1000, seed=2)
    assert overlap(first, second, 0.5) > 0.99
    assert overlap(first, second, 0.1, mask) < 0.4


@given(
    data=st.data(),
    n=st.integers(1, 40),
    p=st.sampled_from([0.05, 0.1, 0.25, 0.29, 0.5, 0.75, 1.0]),
)
def test_equals_sets_of_indices(data, n, p):
    """Few values, so that ties are everywhere."""
    values = st.lists(st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 2.0]), min_size=n, max_size=n)
    first, second = data.draw(values), data.draw(values)
    on = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
    k = round(p * sum(on))
    tensors = torch.tensor(first), torch.tensor(second)
    if k == 0:
        with pytest.raises(ValueError, match="none of them"):
            overlap(*tensors, p, torch.tensor(on))
        return
    found = overlap(*tensors, p, torch.tensor(on))
    assert found == slow(first, second, on, p)
    assert found == overlap(*reversed(tensors), p, torch.tensor(on))
    # The size of a set is exact: the numerator is a whole number of k-ths.
    assert found * k == pytest.approx(round(found * k))


@pytest.mark.parametrize("p", [0.1, 0.3, 0.7])
def test_unrelated_weights_agree_by_chance(p):
    """Hypergeometric: mean p, standard deviation sqrt(p (1-p)^2 / (p n)) = (1-p) / sqrt(n)."""
    n = 40_000
    found = overlap(normal(200, 200, seed=1), normal(200, 200, seed=2), p)
    assert abs(found - p) < 4 * (1 - p) / n**0.5


def test_related_weights_are_above_chance_and_equal_ones_at_1():
    start, noise = normal(100, 100, seed=1), normal(100, 100, seed=2)
    assert overlap(start, start.clone()) == overlap(start, -3 * start) == 1
    assert 0.2 < overlap(start, start + noise) < 0.9


def test_memory_format_does_not_matter():
    first, second = normal(4, 3, 5, 5, seed=1), normal(4, 3, 5, 5, seed=2)
    first, second = first.round(), second.round()  # ties
    last = first.to(memory_format=torch.channels_last)
    assert overlap(last, second, 0.3) == overlap(first, second, 0.3)
    assert overlap_of_layers({"a": last}, {"a": second}, 0.3) == overlap(first, second, 0.3)


def test_layers_are_one_vector():
    """A layer with small weights has none of the largest, however they agree within it."""
    first = {"a": torch.tensor([10.0, 9, 8, 7]), "b": torch.tensor([[1.0, 2], [3, 4]])}
    second = {"b": torch.tensor([[1.0, 2], [3, 4]]), "a": torch.tensor([7.0, 8, 9, 10])}
    assert overlap_of_layers(first, second, 0.25) == 0  # 0, 1 and 2, 3 of a
    assert overlap_of_layers(first, second, 0.5) == 1  # all of a
    masks = {"a": torch.tensor([1, 0, 0, 1]), "b": torch.tensor([[1, 1], [0, 0]])}
    assert overlap_of_layers(first, second, 0.25, masks) == 0
    assert overlap_of_layers(first, second, 0.75, masks) == 1  # a's two and the 2 of b


def test_layers_equal_their_concatenation():
    shapes = {"a": (6, 7), "b": (5, 2, 3, 3), "c": (11,)}
    first = {n: normal(*s, seed=i) for i, (n, s) in enumerate(shapes.items())}
    second = {n: w + normal(*w.shape, seed=9) for n, w in first.items()}
    masks = {n: normal(*s, seed=7) > 0 for n, s in shapes.items()}
    flat = [
        torch.cat([tensors[n].flatten() for n in shapes]).tolist()
        for tensors in (first, second, masks)
    ]
    assert overlap_of_layers(first, second, 0.2, masks) == slow(*flat, 0.2)


FOUR = torch.arange(4.0)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((FOUR, FOUR, 0), "p is 0;"),
        ((FOUR, FOUR, 1.1), "p is 1.1;"),
        ((FOUR, FOUR, -0.5), "p is -0.5;"),
        ((FOUR, FOUR, float("nan")), "p is nan;"),
        ((FOUR, FOUR, 0.1), "p=0.1 of 4 positions"),
        ((FOUR, FOUR, 1, torch.zeros(4)), "p=1 of 0 positions"),
        ((FOUR, torch.zeros(5)), r"\(4,\), \(5,\), \(4,\)"),
        ((FOUR, FOUR, 0.5, torch.ones(2, 2)), r"\(4,\), \(4,\), \(2, 2\)"),
        ((FOUR, FOUR / 0, 0.5), "not all finite"),
        ((FOUR / 0, FOUR, 0.5), "not all finite"),
    ],
)
def test_impossible_tensors_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        overlap(*arguments)


@pytest.mark.parametrize(
    ("first", "second", "masks", "match"),
    [
        ({"a": FOUR}, {"b": FOUR}, None, r"second must name.*'a', 'b'"),
        ({"a": FOUR}, {"a": FOUR, "b": FOUR}, None, r"second must name.*\['b'\]"),
        ({"a": FOUR}, {"a": FOUR}, {}, r"masks must name.*\['a'\]"),
        ({"a": FOUR}, {"a": FOUR.view(2, 2)}, None, r"layer 'a' has shape \(2, 2\) in second"),
        ({"a": FOUR}, {"a": FOUR}, {"a": torch.ones(1, 4)}, r"shape \(1, 4\) in masks"),
        ({}, {}, None, "no layer"),
    ],
)
def test_impossible_layers_are_refused(first, second, masks, match):
    with pytest.raises(ValueError, match=match):
        overlap_of_layers(first, second, 0.5, masks)
