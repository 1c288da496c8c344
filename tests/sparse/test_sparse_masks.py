"""drop, grow and share against slow, obvious versions, ties and all."""

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from rigl_edu.sparse import drop, grow, random_mask, share
from rigl_edu.sparse.masks import positions
from tests.sparse.reference import (
    drop_reference,
    exact_shares,
    grow_reference,
    share_reference,
)


@st.composite
def scored_masks(draw):
    """Scores with many ties, a mask of the same 1- to 4-dimensional shape, maybe channels_last."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    n = torch.Size(shape).numel()
    levels = draw(st.sampled_from([1, 2, 3, 1000]))
    scores = torch.tensor(draw(st.lists(st.integers(0, levels - 1), min_size=n, max_size=n)))
    mask = torch.tensor(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    dtype = draw(st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64]))
    scores = (scores - draw(st.sampled_from([0, 1]))).to(dtype).view(shape)
    mask = mask.view(shape)
    if len(shape) == 4 and draw(st.booleans()):
        scores = scores.contiguous(memory_format=torch.channels_last)
        mask = mask.contiguous(memory_format=torch.channels_last)
    return scores, mask.to(draw(st.sampled_from([torch.bool, torch.float32])))


@settings(max_examples=300)
@given(scored_masks(), st.data())
def test_drop_and_grow_equal_the_sorted_reference(case, data):
    scores, mask = case
    on = mask.bool().flatten().tolist()
    values = scores.flatten().tolist()
    k = data.draw(st.integers(0, sum(on)))
    dropped = drop(scores, mask, k)
    assert dropped.dtype == torch.bool and dropped.shape == mask.shape
    assert dropped.flatten().tolist() == drop_reference(values, on, k)
    k = data.draw(st.integers(0, len(on) - sum(on)))
    grown = grow(scores, mask, k)
    assert grown.dtype == torch.bool and grown.shape == mask.shape
    assert grown.flatten().tolist() == grow_reference(values, on, k)


def test_drop_and_grow_leave_their_arguments_alone():
    scores = torch.arange(12.0).view(3, 4)
    mask = torch.tensor([[1.0, 1, 0, 0]] * 3)
    before = scores.clone(), mask.clone()
    drop(scores, mask, 2)
    grow(scores, mask, 2)
    assert torch.equal(scores, before[0]) and torch.equal(mask, before[1])


def test_trap_6_equal_scores_remove_and_add_exactly_k():
    """Trap 6: with ties, or zeros among the active, a threshold compare takes too many."""
    mask = torch.tensor([0.0, 1, 1, 1, 0, 1, 0, 1])
    zeros = torch.zeros(8)
    assert drop(zeros, mask, 2).tolist() == [False, True, True, True] + [False] * 4
    assert grow(zeros, mask, 2).tolist() == [True] * 6 + [False, True]
    # Negative scores: a product with 0 would make the ineligible positions the best ones.
    assert grow(-torch.ones(8), mask, 1).tolist() == [True] * 4 + [False, True, False, True]
    assert drop(-torch.ones(8), mask, 4).tolist() == [False, True] + [False] * 6


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_trap_8_scores_that_are_not_finite_are_refused(bad):
    """Trap 8: a NaN wins every ranking."""
    scores = torch.tensor([0.1, bad, 0.3, bad])
    mask = torch.tensor([True, True, False, False])
    with pytest.raises(ValueError, match="not all finite"):
        drop(scores, mask, 1)
    with pytest.raises(ValueError, match="not all finite"):
        grow(scores, mask, 1)


@pytest.mark.parametrize(("k", "allowed"), [(-1, 2), (3, 2)])
def test_impossible_k(k, allowed):
    mask = torch.tensor([True, True, False, False])
    with pytest.raises(ValueError, match=rf"k={k} is impossible.*{allowed}"):
        grow(torch.ones(4), mask, k)
    with pytest.raises(ValueError, match=rf"k={k} is impossible"):
        drop(torch.ones(4), mask, k)


def test_scores_of_another_shape():
    with pytest.raises(ValueError, match=r"\(2, 2\).*\(4,\)"):
        grow(torch.ones(2, 2), torch.zeros(4), 1)


def test_large_layers_rank_like_a_stable_sort():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randint(0, 500, (50_000,), generator=generator).float()
    mask = random_mask((50_000,), 5_000, generator)
    off = (~mask).nonzero().squeeze(1)
    order = scores[off].sort(descending=True, stable=True).indices
    expected = mask.clone()
    expected[off[order[:1234]]] = True
    assert torch.equal(grow(scores, mask, 1234), expected)
    on = mask.nonzero().squeeze(1)
    order = scores[on].sort(descending=True, stable=True).indices
    expected = torch.zeros_like(mask)
    expected[on[order[: 5_000 - 321]]] = True
    assert torch.equal(drop(scores, mask, 321), expected)


@st.composite
def budgets(draw):
    n = draw(st.integers(1, 6))
    capacity = draw(st.lists(st.integers(0, 40), min_size=n, max_size=n))
    scores = draw(st.lists(st.integers(0, 50), min_size=n, max_size=n))
    return scores, draw(st.integers(0, sum(capacity))), capacity


@settings(max_examples=400)
@given(budgets())
@example(([0, 0, 5], 9, [4, 4, 4]))  # the one layer with a claim fills up; the others share
@example(([0, 0], 3, [2, 2]))
@example(([1, 1, 1], 10, [4, 4, 4]))
def test_share_equals_exact_fractions(case):
    scores, budget, capacity = case
    counts = share([float(s) for s in scores], budget, capacity)
    assert sum(counts) == budget
    assert all(0 <= n <= room for n, room in zip(counts, capacity, strict=True))
    exact = exact_shares(scores, budget, capacity)
    assert all(abs(n - x) < 1 for n, x in zip(counts, exact, strict=True))
    # Equal remainders of unequal shares may be rounded either way by floats.
    remainders = [x % 1 for x in exact if x % 1]
    assume(len(set(remainders)) == len(remainders))
    assert counts == share_reference(scores, budget, capacity)


@settings(max_examples=200)
@given(
    st.lists(st.floats(0, 1e300, allow_nan=False), min_size=1, max_size=30),
    st.integers(0, 10**6),
    st.data(),
)
def test_share_is_exact_for_any_finite_scores(scores, budget, data):
    n = len(scores)
    capacity = data.draw(st.lists(st.integers(0, 10**6), min_size=n, max_size=n))
    budget = min(budget, sum(capacity))
    counts = share(scores, budget, capacity)
    assert sum(counts) == budget
    assert all(0 <= c <= room for c, room in zip(counts, capacity, strict=True))


@given(scored_masks())
def test_positions_are_row_major_in_every_memory_format(case):
    mask = case[1].bool()
    on = [i for i, value in enumerate(mask.flatten().tolist()) if value]
    assert positions(mask).dtype == torch.int64 and positions(mask).tolist() == on


def test_share_follows_scores_and_fills_full_layers():
    assert share([1.0, 3.0], 8, [10, 10]) == [2, 6]
    assert share([1.0, 3.0], 8, [10, 4]) == [4, 4]
    assert share([1.0, 1.0, 2.0], 12, [1, 10, 10]) == [1, 4, 7]  # 11/3 and 22/3
    assert share([0.0, 0.0], 5, [5, 5]) == [3, 2]


@pytest.mark.parametrize("budget", [-1, 8])
def test_share_names_an_impossible_budget(budget):
    with pytest.raises(ValueError, match=rf"{budget}.*7"):
        share([1.0, 1.0], budget, [3, 4])


@pytest.mark.parametrize("score", [-0.5, float("nan"), float("inf")])
def test_share_names_an_impossible_score(score):
    with pytest.raises(ValueError, match=f"{score}.*finite and at least 0"):
        share([1.0, score], 2, [3, 4])
