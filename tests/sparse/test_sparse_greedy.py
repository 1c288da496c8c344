"""Greedy selection beside a slow second implementation: from the responses, without a Gram matrix.

The slow one is written from the definitions: loops over the units, the layer's output mixed in full
for every candidate, coefficients in lists.
"""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rigl_edu.sparse.greedy import (
    centred_gram,
    greedy_fixed_steps,
    greedy_line_search,
    line_search_step,
    random_units,
)
from rigl_edu.sparse.greedy_global import first_order_step, greedy_first_order, search_line
from rigl_edu.sparse.selection import Selection, lowest_gamma, move

# --- the slow one --------------------------------------------------------------------------------


def rows(n: int, features: int, seed: int) -> Tensor:
    """Responses of n units, float64."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, features, generator=generator, dtype=torch.float64)


def relu_rows(n: int, points: int, inputs: int, seed: int) -> Tensor:
    """Responses of n random ReLU neurons with one output."""
    generator = torch.Generator().manual_seed(seed)
    x, w, b, v = (
        torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in ((inputs, points), (n, inputs), (n, 1), (n, 1))
    )
    return v * torch.relu(w @ x + b / 2)


def slow_discrepancy(h: Tensor, a: list[float]) -> float:
    """Mean over the features of (sum_i a_i h_i - mean_i h_i)^2."""
    mixture = sum(c * row for c, row in zip(a, h, strict=True))
    return float(((mixture - h.mean(0)) ** 2).mean())


def slow_move(a: list[float], i: int, gamma: float) -> list[float]:
    return [(1 - gamma) * c + (gamma if j == i else 0) for j, c in enumerate(a)]


def slow_interval(a: list[float], i: int) -> tuple[float, float]:
    return (0.0 if a[i] == 1 else -a[i] / (1 - a[i])), 1.0


def slow_step(h: Tensor, a: list[float], allowed: list[int]) -> list[float]:
    """Each unit's best point on its line by projecting the error on it; then the best unit."""
    best, best_d = a, math.inf
    for i in allowed:
        mixture = sum(c * row for c, row in zip(a, h, strict=True))
        error, direction = mixture - h.mean(0), h[i] - mixture
        length = float(direction.dot(direction))
        low, high = slow_interval(a, i)
        gamma = 0.0 if length < 1e-20 else -float(error.dot(direction)) / length
        gamma = min(max(gamma, low), high)
        moved = slow_move(a, i, gamma)
        if gamma == low and low < 0:
            moved[i] = 0.0
        d = slow_discrepancy(h, moved)
        if d < best_d - 1e-15:
            best, best_d = moved, d
    return best


def support(a: list[float]) -> list[int]:
    return [i for i, c in enumerate(a) if c > 0]


def slow_line_search(h: Tensor, keep: int, tolerance: float, steps: int) -> list[list[float]]:
    """The rule of `greedy_steps`, told again; at most `steps` steps."""
    n = len(h)
    alone = [[float(i == j) for j in range(n)] for i in range(n)]
    trace = [min(alone, key=lambda a: slow_discrepancy(h, a))]
    while len(trace) <= steps:
        a = trace[-1]
        d = slow_discrepancy(h, a)
        full = len(support(a)) >= keep
        moved = slow_step(h, a, support(a) if full else list(range(n)))
        removed = len(support(moved)) < len(support(a))
        if not removed and slow_discrepancy(h, moved) >= (1 - tolerance) * d:
            if full:
                break
            moved = slow_step(h, a, [i for i in range(n) if a[i] == 0])
        if slow_discrepancy(h, moved) >= d:
            break
        trace.append(moved)
    return trace


def as_list(a: Tensor) -> list[float]:
    return [float(c) for c in a]


def random_coefficients(n: int, kept: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    a = torch.zeros(n, dtype=torch.float64)
    positions = torch.randperm(n, generator=generator)[:kept]
    a[positions] = torch.rand(kept, generator=generator, dtype=torch.float64) + 0.01
    return a / a.sum()


# --- the Gram matrix -----------------------------------------------------------------------------


@given(n=st.integers(1, 9), features=st.integers(1, 12), seed=st.integers(0, 99), data=st.data())
@settings(max_examples=40, deadline=None)
def test_the_gram_matrix_gives_the_discrepancy(n, features, seed, data):
    h = rows(n, features, seed) + 5  # a common part, which the centring must take out
    a = random_coefficients(n, data.draw(st.integers(1, n)), seed)
    c = centred_gram([h])
    assert float(a @ c @ a) == pytest.approx(slow_discrepancy(h, as_list(a)), rel=1e-9, abs=1e-12)
    cut = data.draw(st.integers(0, features - 1))
    parts = [part for part in (h[:, :cut], h[:, cut:]) if part.numel()]
    torch.testing.assert_close(centred_gram(parts), c, rtol=1e-12, atol=1e-12)
    assert c.dtype == torch.float64


def test_a_large_common_part_costs_no_accuracy():
    h = rows(6, 40, 1)
    torch.testing.assert_close(
        centred_gram([h + 2.0**30]), centred_gram([(h + 2.0**30) - 2.0**30]), rtol=1e-6, atol=1e-8
    )


def test_float32_responses_are_multiplied_in_float64():
    h = rows(5, 300, 2).float()
    assert torch.equal(centred_gram([h]), centred_gram([h.double()]))


# --- one step ------------------------------------------------------------------------------------


@given(n=st.integers(2, 8), features=st.integers(1, 10), seed=st.integers(0, 999), data=st.data())
@settings(max_examples=80, deadline=None)
def test_a_step_equals_the_slow_step_and_beats_a_grid(n, features, seed, data):
    h = rows(n, features, seed)
    a = random_coefficients(n, data.draw(st.integers(1, n)), seed + 1)
    candidates = torch.tensor(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    if not candidates.any():
        candidates[:] = True
    allowed = candidates.nonzero().flatten().tolist()
    moved = line_search_step(centred_gram([h]), a, candidates)
    d = slow_discrepancy(h, as_list(moved))
    slow = slow_step(h, as_list(a), allowed)
    assert d == pytest.approx(slow_discrepancy(h, slow), rel=1e-9, abs=1e-13)
    for i in allowed:
        low, high = slow_interval(as_list(a), i)
        for t in range(51):
            gamma = low + (high - low) * t / 50
            assert d <= slow_discrepancy(h, slow_move(as_list(a), i, gamma)) + 1e-12
    # Only one unit moved against the others, which keep their proportions.
    assert (moved >= 0).all() and float(moved.sum()) == pytest.approx(1)


def test_a_unit_that_does_harm_is_removed_exactly():
    # The mixture is at (4, 0). Without unit 0, at (10, 0), it would be at (1, 0), which is nearest
    # to the mean of all, (0, 0); D is a mean over two features.
    h = torch.tensor([[10.0, 0], [1, 3], [1, -3], [-12, 0]])
    a = torch.tensor([1.0, 1, 1, 0]).double() / 3
    moved = line_search_step(centred_gram([h]), a, a > 0)
    assert moved[0] == 0 and moved[3] == 0
    torch.testing.assert_close(moved, torch.tensor([0, 0.5, 0.5, 0]).double())
    assert slow_discrepancy(h, as_list(moved)) == pytest.approx(0.5)


def test_ties_go_to_the_lower_unit():
    h = torch.tensor([[1.0, 0], [-1, 0], [1, 0], [-1, 0]])
    steps = greedy_line_search(centred_gram([h]), 4)
    assert [as_list(s.coefficients) for s in steps] == [[1, 0, 0, 0], [0.5, 0.5, 0, 0]]
    fixed = greedy_fixed_steps(centred_gram([h]), 4)
    assert as_list(fixed[-1].coefficients) == [0.5, 0.5, 0, 0]


def test_a_lone_unit_and_a_twin_of_the_mixture_are_no_direction():
    # Units 0 and 1 respond alike, so from unit 0 alone neither leads anywhere.
    c = centred_gram([torch.tensor([[1.0, 1], [1, 1], [-2, -2]])])
    alone = torch.tensor([1.0, 0, 0]).double()
    moved = line_search_step(c, alone, torch.tensor([True, True, False]))
    assert torch.equal(moved, alone)
    assert torch.equal(lowest_gamma(alone), torch.zeros(3).double())
    assert torch.equal(move(alone, 0, 0.0), alone)


def test_a_layer_of_equal_units_needs_one():
    steps = greedy_line_search(centred_gram([torch.ones(4, 3)]), 4)
    assert [(s.kept, s.discrepancy) for s in steps] == [(1, 0.0)]


# --- the whole search ----------------------------------------------------------------------------


@given(
    n=st.integers(1, 7),
    features=st.integers(1, 9),
    seed=st.integers(0, 999),
    tolerance=st.sampled_from([1e-2, 0.2]),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_the_search_equals_the_slow_search_step_by_step(n, features, seed, tolerance, data):
    h = rows(n, features, seed)
    keep = data.draw(st.integers(1, n))
    steps = greedy_line_search(centred_gram([h]), keep, tolerance)
    slow = slow_line_search(h, keep, tolerance, 30)
    for ours, theirs in zip(steps, slow, strict=False):
        if ours.discrepancy < 1e-10:  # from here on rounding decides
            break
        assert as_list(ours.coefficients) == pytest.approx(theirs, abs=1e-8)
        assert ours.kept == len(support(theirs))
        assert ours.discrepancy == pytest.approx(slow_discrepancy(h, theirs), rel=1e-8)
    else:
        assert len(steps) == len(slow) or len(slow) == 31


@given(n=st.integers(1, 30), features=st.integers(1, 40), seed=st.integers(0, 999), data=st.data())
@settings(max_examples=40, deadline=None)
def test_the_discrepancy_falls_and_the_coefficients_stay_convex(n, features, seed, data):
    keep = data.draw(st.integers(1, n))
    steps = greedy_line_search(centred_gram([rows(n, features, seed)]), keep, 1e-2)
    for before, after in zip(steps[:-1], steps[1:], strict=True):
        assert after.discrepancy < before.discrepancy
    for s in steps:
        assert (s.coefficients >= 0).all()
        assert float(s.coefficients.sum()) == pytest.approx(1, abs=1e-10)
        assert s.kept == int((s.coefficients > 0).sum()) <= keep


@pytest.mark.parametrize("search", ["local", "first order"])
def test_removals_happen_in_a_search_and_make_room_for_others(search):
    removals, regained = 0, 0
    for seed in (9, 11, 14) if search == "local" else (1, 19):
        h = relu_rows(30, 100, 4, seed)
        if search == "local":
            steps = greedy_line_search(centred_gram([h]), 10)
        else:
            steps = greedy_first_order(quadratic(h), 30, 10)
        kept = [s.kept for s in steps]
        for t in range(1, len(steps)):
            before, after = steps[t - 1].coefficients, steps[t].coefficients
            removals += int(((before > 0) & (after == 0)).sum())
            regained += kept[t] > kept[t - 1] and max(kept[:t]) == 10
        assert kept[-1] == 10
    assert removals >= 2 and regained >= 2


def test_all_the_room_is_used_and_the_coefficients_are_best_for_the_units_kept():
    for seed in range(5):
        c = centred_gram([rows(40, 60, seed)])
        last = greedy_line_search(c, 12, 1e-8)[-1]
        assert last.kept == 12
        # At the minimum over mixtures of the units kept, D has the same slope for each: 0.
        slopes = (c @ last.coefficients)[last.coefficients > 0] - last.discrepancy
        assert slopes.abs().max() < 1e-3 * last.discrepancy
        rough = greedy_line_search(c, 12, 0.1)[-1]
        assert rough.kept == 12 and rough.discrepancy > last.discrepancy


def test_one_unit_is_the_best_one_and_all_units_imitate_exactly():
    h = rows(15, 40, 3)
    c = centred_gram([h])
    (one,) = greedy_line_search(c, 1)
    singles = [slow_discrepancy(h, [float(i == j) for j in range(15)]) for i in range(15)]
    assert one.discrepancy == pytest.approx(min(singles))
    assert int(one.coefficients.argmax()) == singles.index(min(singles))
    every = greedy_line_search(c, 15, 0)[-1]
    assert every.discrepancy < 1e-12 * one.discrepancy
    torch.testing.assert_close(every.coefficients, torch.full_like(c[0], 1 / 15), atol=1e-5, rtol=0)


# --- the other two -------------------------------------------------------------------------------


@given(n=st.integers(1, 9), features=st.integers(1, 9), seed=st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_fixed_steps_equal_brute_force_over_the_mean_of_all_picks(n, features, seed):
    h = rows(n, features, seed)
    picks: list[int] = []
    for k, ours in enumerate(greedy_fixed_steps(centred_gram([h]), 12), start=1):
        means = [h[[*picks, i]].mean(0) - h.mean(0) for i in range(n)]
        values = [float((mean**2).mean()) for mean in means]
        pick = int(
            (k * ours.coefficients - torch.tensor([picks.count(i) for i in range(n)])).argmax()
        )
        assert values[pick] == pytest.approx(min(values), rel=1e-9, abs=1e-12)  # ties: either
        picks.append(pick)
        assert ours.discrepancy == pytest.approx(min(values), rel=1e-9, abs=1e-12)
        assert as_list(ours.coefficients) == pytest.approx([picks.count(i) / k for i in range(n)])
        assert ours.kept == len(set(picks))


def test_fixed_steps_pick_a_unit_twice():
    # Mean 0; after 1 and -2 the second 1 makes it exact.
    last = greedy_fixed_steps(centred_gram([torch.tensor([[1.0], [-2], [5], [-4]])]), 3)[-1]
    assert as_list(last.coefficients) == pytest.approx([2 / 3, 1 / 3, 0, 0])
    assert last.discrepancy == pytest.approx(0)


def test_random_units_are_distinct_equal_and_as_far_off_as_the_formula_says():
    h = rows(30, 20, 4)
    c = centred_gram([h])
    generator = torch.Generator().manual_seed(0)
    for keep in (1, 5, 20, 30):
        draws = [random_units(c, keep, generator) for _ in range(400)]
        for s in draws[:5]:
            assert s.kept == keep and set(as_list(s.coefficients)) <= {0.0, 1 / keep}
            assert s.discrepancy == pytest.approx(slow_discrepancy(h, as_list(s.coefficients)))
        mean = sum(s.discrepancy for s in draws) / len(draws)
        expected = (30 - keep) / 29 * float(c.trace()) / 30 / keep
        assert mean == pytest.approx(expected, rel=0.05, abs=1e-15)
        assert keep == 30 or len({tuple(as_list(s.coefficients)) for s in draws}) > 20


# --- the claim of the paper, on 200 ReLU neurons and 400 points ----------------------------------


def line(x: list[float], y: list[float]) -> tuple[float, float]:
    """Slope and r^2 of a straight line through the points."""
    mx, my = sum(x) / len(x), sum(y) / len(y)
    sxx, syy = sum((v - mx) ** 2 for v in x), sum((v - my) ** 2 for v in y)
    sxy = sum((v - mx) * (w - my) for v, w in zip(x, y, strict=True))
    return sxy / sxx, sxy**2 / sxx / syy


def by_kept(steps: list[Selection]) -> dict[int, float]:
    """The lowest discrepancy seen with each number of units."""
    best: dict[int, float] = {}
    for s in steps:
        best[s.kept] = min(s.discrepancy, best.get(s.kept, math.inf))
    return best


@pytest.mark.parametrize("seed", range(3))
def test_greedy_falls_exponentially_random_as_one_over_n_and_fixed_steps_lie_between(seed):
    c = centred_gram([relu_rows(200, 400, 100, seed)])
    greedy = by_kept(greedy_line_search(c, 140, 1e-3))
    sizes = list(range(20, 140))
    logs = [math.log(greedy[n]) for n in sizes]
    slope, r2 = line(sizes, logs)
    assert slope < -0.015 and r2 > 0.98  # down by a factor 6 at least
    for part in (slice(0, 60), slice(60, None)):
        part_slope, part_r2 = line(sizes[part], logs[part])
        assert part_slope == pytest.approx(slope, rel=0.3) and part_r2 > 0.97
    # A power of n is no straight line here: it would be one against log n.
    assert line([math.log(n) for n in sizes], logs)[1] < r2 - 0.01

    generator = torch.Generator().manual_seed(seed)
    random = {
        n: sum(random_units(c, n, generator).discrepancy for _ in range(100)) / 100
        for n in (2, 3, 5, 8, 12, 20, 40, 80)
    }
    small = [n for n in random if n <= 20]
    power, _ = line([math.log(n) for n in small], [math.log(random[n]) for n in small])
    assert power == pytest.approx(-1, abs=0.15)

    fixed = by_kept(greedy_fixed_steps(c, 200))
    for n in (5, 8, 12, 20, 40):
        assert greedy[n] < fixed[n] < random[n]


# --- first order ---------------------------------------------------------------------------------


def quadratic(h: Tensor):
    """D as a function of coefficients that autograd can follow, from the responses."""
    return lambda a: (a @ h - h.mean(0)).square().mean()


def slow_first_order(h: Tensor, keep: int, tolerance: float, steps: int) -> list[list[float]]:
    """Slopes by differences of D along each line, the exact lowest point on the chosen one."""
    n = len(h)
    alone = [[float(i == j) for j in range(n)] for i in range(n)]
    trace = [min(alone, key=lambda a: slow_discrepancy(h, a))]

    def slope(a: list[float], i: int) -> float:
        ahead, back = (slow_discrepancy(h, slow_move(a, i, g)) for g in (1e-4, -1e-4))
        return (ahead - back) / 2e-4  # exact for a parabola

    def step(a: list[float], allowed: list[int]) -> list[float]:
        moves = [(slope(a, i), i, 1.0) for i in allowed]
        for i in allowed:
            if a[i] > 0:
                moves.append((-slope(a, i), i, slow_interval(a, i)[0]))
        rate, i, end = min(moves, key=lambda m: m[0])
        if rate >= 0 or end == 0:
            return a
        mixture = sum(c * row for c, row in zip(a, h, strict=True))
        error, direction = mixture - h.mean(0), h[i] - mixture
        gamma = -float(error.dot(direction)) / float(direction.dot(direction))
        gamma = min(gamma, end) if end > 0 else max(gamma, end)
        moved = slow_move(a, i, gamma)
        if gamma == end < 0:
            moved[i] = 0.0
        return moved

    while len(trace) <= steps:
        a = trace[-1]
        d = slow_discrepancy(h, a)
        full = len(support(a)) >= keep
        moved = step(a, support(a) if full else list(range(n)))
        removed = len(support(moved)) < len(support(a))
        if not removed and slow_discrepancy(h, moved) >= (1 - tolerance) * d:
            if full:
                break
            moved = step(a, [i for i in range(n) if a[i] == 0])
        if slow_discrepancy(h, moved) >= d:
            break
        trace.append(moved)
    return trace


@given(n=st.integers(1, 7), features=st.integers(1, 9), seed=st.integers(0, 999), data=st.data())
@settings(max_examples=50, deadline=None)
def test_the_first_order_search_equals_the_slow_one_step_by_step(n, features, seed, data):
    h = rows(n, features, seed)
    keep = data.draw(st.integers(1, n))
    steps = greedy_first_order(quadratic(h), n, keep, 0.05)
    slow = slow_first_order(h, keep, 0.05, 30)
    for ours, theirs in zip(steps, slow, strict=False):
        if ours.discrepancy < 1e-6:  # from here on the slow one's differences are rounding
            break
        assert as_list(ours.coefficients) == pytest.approx(theirs, abs=1e-5)
        assert ours.discrepancy == pytest.approx(slow_discrepancy(h, theirs), rel=1e-4)
    else:
        assert len(steps) == len(slow) or len(slow) == 31


def test_first_order_is_not_far_behind_the_exact_search():
    for seed in range(6):
        h = relu_rows(40, 60, 8, seed)
        first_order = greedy_first_order(quadratic(h), 40, 8)[-1]
        exact = greedy_line_search(centred_gram([h]), 8)
        assert first_order.kept <= 8
        assert first_order.discrepancy < 2 * exact[-1].discrepancy < exact[0].discrepancy


@pytest.mark.parametrize("seed", range(4))
def test_a_discrepancy_that_is_no_parabola_never_rises(seed):
    h = rows(12, 20, seed)

    def wavy(a: Tensor) -> Tensor:
        return ((3 * (a @ h)).tanh() - (3 * h.mean(0)).tanh()).square().sum()

    steps = greedy_first_order(wavy, 12, 6)
    assert len(steps) > 5 and steps[-1].discrepancy < 0.6 * steps[0].discrepancy
    for s in steps:
        assert s.discrepancy == pytest.approx(float(wavy(s.coefficients)))
        assert (s.coefficients >= 0).all() and s.kept <= 6
        assert float(s.coefficients.sum()) == pytest.approx(1)
    for before, after in zip(steps[:-1], steps[1:], strict=True):
        assert after.discrepancy < before.discrepancy


@pytest.mark.parametrize("end", [1.0, -0.25])
@pytest.mark.parametrize("low", [0.05, 0.5, 1.0, 3.0])
def test_the_line_search_finds_a_parabolas_lowest_point_within_the_interval(low, end):
    centre = low * end
    evaluated = []

    def f(gamma: float) -> float:
        evaluated.append(gamma)
        return (gamma - centre) ** 2 + 1

    gamma, value = search_line(f, centre**2 + 1, -2 * centre, end)
    assert gamma == pytest.approx(min(low, 1.0) * end) and value == pytest.approx(f(gamma))
    assert len(evaluated) <= 4
    assert low < 1 or gamma == end  # exactly, so that a removal is one


def test_the_line_search_comes_back_from_a_rise_and_never_goes_up():
    def cliff(gamma: float) -> float:
        return 1 - gamma + 1e4 * gamma**4

    gamma, value = search_line(cliff, 1.0, -1.0, 1.0)
    assert 0 < gamma < 0.06 and value == cliff(gamma) < 1
    assert search_line(lambda gamma: 1 + gamma, 1.0, 1.0, 1.0) == (0.0, 1.0)  # uphill
    assert search_line(lambda gamma: 1.0, 1.0, -1e-9, 1.0) == (0.0, 1.0)  # a slope of rounding
    assert search_line(lambda gamma: math.nan, 1.0, -1.0, 1.0) == (0.0, 1.0)


def test_no_way_down_leaves_the_selection_as_it_is():
    h = torch.tensor([[1.0], [-1.0]]).double()
    last = Selection(torch.tensor([0.5, 0.5]).double(), 2, 0.0)
    assert first_order_step(quadratic(h), last, torch.tensor([True, True])) is last


# --- errors --------------------------------------------------------------------------------------

GRAM = centred_gram([rows(4, 6, 0)])


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: greedy_line_search(GRAM, 0), "keep is 0"),
        (lambda: greedy_line_search(GRAM, 5), "keep is 5.*at most the 4 units"),
        (lambda: greedy_line_search(GRAM, 2, 1.0), "tolerance is 1.0"),
        (lambda: greedy_line_search(GRAM, 2, -1e-9), "tolerance is -1e-09"),
        (lambda: greedy_line_search(GRAM, 2, math.nan), "tolerance is nan"),
        (lambda: greedy_line_search(rows(4, 6, 0), 2), r"\(4, 6\)"),
        (lambda: greedy_line_search(rows(4, 4, 0)[0], 2), r"\(4,\)"),
        (lambda: greedy_line_search(torch.zeros(0, 0), 1), r"\(0, 0\)"),
        (lambda: greedy_line_search(rows(4, 9, 0) @ rows(4, 9, 0).T, 2), "rows of gram add up to"),
        (lambda: greedy_line_search(GRAM * math.nan, 2), "nan"),
        (lambda: greedy_fixed_steps(GRAM, 0), "steps is 0"),
        (lambda: greedy_fixed_steps(GRAM + 1, 3), "rows of gram add up to"),
        (lambda: random_units(GRAM, 0, torch.Generator()), "keep is 0"),
        (lambda: random_units(GRAM, 5, torch.Generator()), "keep is 5"),
        (lambda: random_units(GRAM + 1, 2, torch.Generator()), "rows of gram add up to"),
        (lambda: centred_gram([]), "no batch"),
        (lambda: centred_gram([torch.zeros(3)]), r"\(3,\)"),
        (lambda: centred_gram([torch.zeros(3, 0)]), r"\(3, 0\)"),
        (lambda: centred_gram([torch.zeros(3, 2), torch.zeros(4, 2)]), r"\(4, 2\).*3 units"),
        (lambda: greedy_first_order(quadratic(rows(4, 6, 0)), 4, 0), "keep is 0"),
        (lambda: greedy_first_order(quadratic(rows(4, 6, 0)), 4, 5), "keep is 5"),
        (lambda: greedy_first_order(quadratic(rows(4, 6, 0)), 4, 2, 2.0), "tolerance is 2.0"),
        (lambda: greedy_first_order(lambda a: a.sum() * math.nan, 4, 2), "must be finite"),
    ],
)
def test_bad_input_is_named(call, match):
    before = GRAM.clone()
    with pytest.raises(ValueError, match=match):
        call()
    assert torch.equal(GRAM, before)


def test_the_inputs_are_left_alone():
    gram, a = GRAM.clone(), torch.tensor([0.5, 0.5, 0, 0]).double()
    line_search_step(gram, a, torch.ones(4, dtype=torch.bool))
    move(a, 0, -1.0)
    greedy_line_search(gram, 3)
    greedy_fixed_steps(gram, 3)
    assert torch.equal(gram, GRAM) and as_list(a) == [0.5, 0.5, 0, 0]
