"""The line between two networks, what is read off it, and batch norm on the way."""

import copy
from math import inf, nan

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rigl_edu.sparse.batch_norm import reestimate_batch_norm
from rigl_edu.sparse.interpolation import (
    LII_ALPHAS,
    PLOT_ALPHAS,
    copy_state,
    interpolate,
    lii,
    path,
)
from rigl_edu.sparse.layers import masked_layers
from rigl_edu.sparse.sparsify import sparsify
from tests.sparse.models import CLASSES, backward, batch, convnet, mlp, same


class OneWeight(nn.Module):
    """A network that is one number, so that any function of it can be its loss."""

    def __init__(self, w: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w, dtype=torch.float64))


def state(w: float) -> dict[str, torch.Tensor]:
    return copy_state(OneWeight(w))


def cross_entropy_of(model: nn.Module) -> float:
    inputs, targets = batch(model, 7, size=32)
    with torch.no_grad():
        return float(F.cross_entropy(model(inputs), targets))


def two_masked(density: float = 0.3) -> tuple[nn.Module, nn.Module]:
    """Two networks of one architecture with different weights and different masks."""
    first = sparsify(mlp(5, 7, CLASSES, seed=1).double(), density, seed=1)
    second = sparsify(mlp(5, 7, CLASSES, seed=2).double(), density, seed=2)
    return first, second


# --- points on the line -------------------------------------------------------------------------


@settings(max_examples=40)
@given(alpha=st.floats(-0.5, 1.5), seed=st.integers(0, 9))
def test_every_float_is_that_of_a_slow_loop(alpha, seed):
    first = copy_state(sparsify(mlp(3, 4, CLASSES, seed=seed).double(), 0.5, seed=0))
    second = copy_state(sparsify(mlp(3, 4, CLASSES, seed=seed + 1).double(), 0.5, seed=0))
    point = interpolate(first, second, alpha)
    assert list(point) == list(first)
    for name, found in point.items():
        ends = zip(first[name].flatten().tolist(), second[name].flatten().tolist(), strict=True)
        expected = [(1 - alpha) * a + alpha * b for a, b in ends]
        assert found.shape == first[name].shape
        if "mask" in name:
            assert torch.equal(found, first[name])
        else:
            assert found.flatten().tolist() == pytest.approx(expected, rel=1e-12, abs=1e-15)


@settings(max_examples=20)
@given(alpha=st.floats(-2, 3), seed=st.integers(0, 99))
def test_ends_are_exact_and_between_two_copies_nothing_moves(alpha, seed):
    generator = torch.Generator().manual_seed(seed)
    first = {"w": torch.randn(200, generator=generator) * 1e3}
    second = {"w": torch.randn(200, generator=generator) * 1e-3}
    assert same(interpolate(first, second, 0), first)
    assert same(interpolate(first, second, 1), second)
    assert same(interpolate(first, copy.deepcopy(first), alpha), first)


def test_a_mask_on_the_way_is_the_union_of_the_ends():
    first, second = (copy_state(model) for model in two_masked())
    for alpha in (-0.2, 0, 0.4, 1, 1.2):
        point = interpolate(first, second, alpha)
        for name in ("0", "2"):
            union = first[f"{name}.mask"].bool() | second[f"{name}.mask"].bool()
            assert torch.equal(point[f"{name}.mask"], union.double())
            assert not point[f"{name}.weight"][~union].any()
    union = interpolate(first, second, 0.4)["0.mask"]
    assert union.sum() > first["0.mask"].sum()


def test_the_mask_of_a_model_that_is_one_layer_is_a_mask_too():
    first, second = {"mask": torch.tensor([1.0, 0.0])}, {"mask": torch.tensor([1.0, 1.0])}
    assert interpolate(first, second, 0.5)["mask"].tolist() == [1, 1]
    unmask = {"unmask": torch.tensor([1.0])}, {"unmask": torch.tensor([2.0])}
    assert interpolate(*unmask, 0.5)["unmask"].tolist() == [1.5]


def test_batch_norms_count_of_batches_is_the_first_ends():
    model = convnet(norm=True)
    first = copy_state(model)
    model(batch(model, 0)[0])
    point = interpolate(first, copy_state(model), 0.9)["1.num_batches_tracked"]
    assert point.dtype == torch.int64 and int(point) == 0


def test_states_and_points_share_no_memory_with_what_they_came_from():
    model = mlp(3, 2)
    first = copy_state(model)
    kept = copy.deepcopy(first)
    point = interpolate(first, first, 0.5)
    for tensor in [*model.state_dict().values(), *point.values()]:
        tensor.fill_(9)
    integers = {"n": torch.tensor(3)}
    interpolate(integers, integers, 0.5)["n"].fill_(9)
    assert same(first, kept) and int(integers["n"]) == 3


# --- paths --------------------------------------------------------------------------------------


def test_path_starts_at_the_first_state_and_goes_on_beyond_the_second():
    values = path(
        OneWeight(0.0), state(2.0), state(6.0), lambda m: m.w.item(), [-0.5, 0, 0.25, 1, 2]
    )
    assert values == [0, 2, 3, 6, 10]
    assert all(type(value) is float for value in values)


def test_ends_of_a_path_between_different_masks_compute_what_the_networks_do():
    first, second = two_masked()
    model = copy.deepcopy(first)
    values = path(model, copy_state(first), copy_state(second), cross_entropy_of, [0, 0.5, 1])
    assert values[0] == cross_entropy_of(first) and values[2] == cross_entropy_of(second)


def test_weights_only_one_end_has_are_on_the_path():
    """A path with the first end's mask would cut them, and not arrive at the second end."""
    first, second = two_masked()
    seen = []
    path(first, copy_state(first), copy_state(second), lambda m: seen.append(m) or 0.0, [0.5])
    only = (masked_layers(second)["0"].mask == 1) & (masked_layers(first)["0"].mask == 0)
    expected = masked_layers(second)["0"].weight[only] / 2
    assert only.any() and torch.equal(masked_layers(seen[0])["0"].weight[only], expected)


def test_path_leaves_the_model_and_the_states_as_they_were():
    """Even if `evaluate` and `prepare` train what they are given, and one of them fails."""
    model = sparsify(convnet(norm=True), 0.3)
    backward(model, 0)
    model[1].eval()
    first, second = copy_state(model), copy_state(sparsify(convnet(norm=True, seed=1), 0.3, seed=1))
    kept = copy.deepcopy((first, second))
    gradients = [p.grad.clone() for p in model.parameters()]
    modes = [m.training for m in model.modules()]
    calls = 0

    def evaluate(point: nn.Module) -> float:
        nonlocal calls
        calls += 1
        assert [m.training for m in point.modules()] == modes  # the last point's eval() is gone
        backward(point.train(), 3)
        with torch.no_grad():
            for p in point.parameters():
                p.add_(p.grad)
        point.eval()
        if calls == 3:
            raise RuntimeError("out of patience")
        return 0.0

    with pytest.raises(RuntimeError, match="out of patience"):
        path(model, first, second, evaluate, LII_ALPHAS, prepare=lambda point: point[0].float())
    assert calls == 3
    assert same(copy_state(model), kept[0]) and same(first, kept[0]) and same(second, kept[1])
    assert modes == [m.training for m in model.modules()]
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))


def test_prepare_comes_before_each_evaluation_also_at_the_ends():
    def prepare(model: OneWeight) -> None:
        model.w.data += 100

    values = path(
        OneWeight(0.0), state(1.0), state(3.0), lambda m: m.w.item(), [0, 0.5, 1], prepare
    )
    assert values == [101, 102, 103]


# --- LII ----------------------------------------------------------------------------------------


def test_grids_are_the_papers_and_hit_both_ends():
    assert len(PLOT_ALPHAS) == 29 and len(LII_ALPHAS) == 30
    assert np.allclose(PLOT_ALPHAS, np.linspace(-0.2, 1.2, 29))
    assert np.allclose(LII_ALPHAS, np.linspace(0, 1, 30))
    assert {0.0, 1.0} <= set(PLOT_ALPHAS) and {0.0, 1.0} <= set(LII_ALPHAS)


def test_lii_of_two_copies_of_a_network_is_exactly_0():
    model = sparsify(mlp(5, 7, CLASSES), 0.4)
    values = path(model, copy_state(model), copy_state(model), cross_entropy_of, LII_ALPHAS)
    assert lii(values, LII_ALPHAS) == 0 and set(values) == {cross_entropy_of(model)}


@pytest.mark.parametrize(
    ("loss", "w1", "w2", "expected"),
    [
        # max 9 at the end, mean of the ends (1 + 9) / 2. Beyond the end, at 1.2, there is 14.4.
        (lambda w: w**2, -1.0, 3.0, 4.0),
        (lambda w: w**2, 3.0, -1.0, 4.0),
        (lambda w: w**2, -2.0, 2.0, 0.0),  # a valley lies between, not a hill
        (lambda w: (w**2 - 1) ** 2, -1.0, 1.0, 1.0),  # two wells, a hill of height 1 at w = 0
        # The hill at w = 0 is alpha = 0.4; the ends are 0.36^2 = 0.1296 and 0.44^2 = 0.1936.
        (lambda w: (w**2 - 1) ** 2, -0.8, 1.2, 1 - 0.1616),
        (lambda w: 5.0, -0.8, 1.2, 0.0),
        (lambda w: 2 * w, 0.0, 1.0, 1.0),  # a mere slope counts half its height
    ],
)
def test_lii_by_hand(loss, w1, w2, expected):
    values = path(OneWeight(0.0), state(w1), state(w2), lambda m: loss(m.w.item()), PLOT_ALPHAS)
    assert lii(values, PLOT_ALPHAS) == pytest.approx(expected, abs=1e-12)


def test_lii_takes_alphas_in_any_order_and_with_roundings():
    assert lii([7, 1, 3, 100], [0.5, 1, 0, 1.01]) == 5
    alphas = np.linspace(-0.2, 1.2, 29)
    assert 0.0 not in alphas or 1.0 not in alphas
    assert lii([abs(a - 0.5) for a in alphas], alphas) == pytest.approx(0)
    assert lii([1, inf, 2], [0, 0.5, 1]) == inf


def test_two_networks_with_permuted_hidden_units_are_one_function_with_a_barrier_between():
    """Their weights differ and their outputs do not, so any straight way is a detour."""
    model = mlp(5, 16, CLASSES, seed=3).double()
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    for _ in range(100):  # learns the batch that cross_entropy_of asks about
        inputs, targets = batch(model, 7, size=32)
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    first = copy_state(model)
    order = torch.arange(15, -1, -1)
    second = first | {
        "0.weight": first["0.weight"][order],
        "0.bias": first["0.bias"][order],
        "2.weight": first["2.weight"][:, order],
    }
    values = path(model, first, second, cross_entropy_of, LII_ALPHAS)
    assert values[0] == pytest.approx(values[-1], rel=1e-9) and values[0] < 0.1
    assert values == pytest.approx(values[::-1], rel=1e-9)
    assert lii(values, LII_ALPHAS) > 0.5


# --- batch norm ---------------------------------------------------------------------------------


def images(index: int, size: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(index)
    return 3 + 2 * torch.randn(size, 2, 6, 6, generator=generator, dtype=torch.float64)


def statistics(values: torch.Tensor) -> tuple[list[float], list[float]]:
    """Mean and unbiased variance of each channel of (B, C, H, W), in loops."""
    means, variances = [], []
    for channel in range(values.shape[1]):
        x = values[:, channel].flatten().tolist()
        mean = sum(x) / len(x)
        means.append(mean)
        variances.append(sum((v - mean) ** 2 for v in x) / (len(x) - 1))
    return means, variances


def test_batch_norm_has_the_statistics_of_the_whole_data_given_as_one_batch():
    model = sparsify(convnet(norm=True).double(), 0.3)
    data = images(0, size=20)
    reestimate_batch_norm(model, [data])
    means, variances = statistics(model[0](data))
    assert model[1].running_mean.tolist() == pytest.approx(means, rel=1e-9)
    assert model[1].running_var.tolist() == pytest.approx(variances, rel=1e-9)


def test_batch_norms_deeper_in_the_network_have_the_mean_of_the_batches_statistics():
    """What came before plays no part: neither the old statistics nor the momentum."""
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3),
        nn.BatchNorm2d(3, momentum=0.7),
        nn.ReLU(),
        nn.Conv2d(3, 4, 3),
        nn.Dropout(0.5),
        nn.BatchNorm2d(4, momentum=None),
    ).double()
    model(images(50))
    batches = [images(1), images(2), images(3)]
    expected = []
    for data in batches:
        x = model[0](data)
        first = statistics(x)
        mean, variance = (x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), False, keepdim=True))
        second = statistics(model[3](((x - mean) / (variance + 1e-5).sqrt()).relu()))
        expected.append([*first, *second])
    random_state = torch.get_rng_state()
    reestimate_batch_norm(model, batches)
    found = [
        model[1].running_mean,
        model[1].running_var,
        model[5].running_mean,
        model[5].running_var,
    ]
    for i, tensor in enumerate(found):
        columns = zip(*(of_batch[i] for of_batch in expected), strict=True)
        assert tensor.tolist() == pytest.approx([sum(c) / 3 for c in columns], rel=1e-9)
    assert model[1].num_batches_tracked == 3
    assert model[1].momentum == 0.7 and model[5].momentum is None
    assert torch.equal(torch.get_rng_state(), random_state)  # dropout was off


def test_reestimating_changes_statistics_and_nothing_else():
    model = sparsify(convnet(norm=True).double(), 0.3)
    model[1].eval()
    backward(model, 0)
    before, modes = copy_state(model), [m.training for m in model.modules()]
    gradients = [p.grad.clone() for p in model.parameters()]
    reestimate_batch_norm(model, [images(1)])
    after = copy_state(model)
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert changed == ["1.running_mean", "1.running_var", "1.num_batches_tracked"]
    assert modes == [m.training for m in model.modules()]
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))


def test_momenta_and_modes_return_when_the_forward_pass_fails():
    model = convnet(norm=True)
    model[1].momentum = 0.3
    with pytest.raises(RuntimeError):
        reestimate_batch_norm(model, [torch.zeros(4, 9, 6, 6)])
    assert model[1].momentum == 0.3 and all(m.training for m in model.modules())


def test_a_model_without_running_statistics_stays_as_it_is():
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3, track_running_stats=False))
    before = copy_state(model)
    reestimate_batch_norm(model, [torch.ones(4, 2, 6, 6)])
    assert same(before, copy_state(model)) and model.training


def test_reestimated_statistics_are_those_of_the_interpolated_network_at_every_point():
    model = convnet(norm=True).double()
    first, second = copy_state(model), copy_state(convnet(norm=True, seed=1).double())
    batches = [images(1), images(2)]
    points = []
    path(
        model,
        first,
        second,
        lambda m: points.append(m) or 0.0,
        [0, 0.5, 1],
        prepare=lambda m: reestimate_batch_norm(m, batches),
    )
    for point in points:
        x = [statistics(point[0](data)) for data in batches]
        means = [sum(c) / 2 for c in zip(*(mean for mean, _ in x), strict=True)]
        assert point[1].running_mean.tolist() == pytest.approx(means, rel=1e-9)


# --- bad input ----------------------------------------------------------------------------------

M = OneWeight(5.0)
A, B = state(1.0), state(2.0)


def never(model: nn.Module) -> float:
    raise AssertionError("evaluated before the input was checked")


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: interpolate(A, {"v": A["w"]}, 0.5), r"only one has \['v', 'w'\]"),
        (lambda: interpolate(A, {"w": torch.ones(2)}, 0.5), r"'w' has shape \(\).*\(2,\)"),
        (lambda: interpolate(A, B, nan), "alpha is nan"),
        (lambda: path(M, A, {}, never, [0]), r"only one has \['w'\]"),
        (lambda: path(M, {"v": A["w"]}, {"v": A["w"]}, never, [0]), r"\['v', 'w'\]"),
        (lambda: path(M, A, {"w": torch.ones(2)}, never, [0]), r"'w' has shape \(\)"),
        (lambda: path(M, A, B, never, [0, 1, inf]), r"alphas are \[0, 1, inf\]"),
        (lambda: lii([1.0, 2.0], [0, 0.5, 1]), "2 values for 3 alphas"),
        (lambda: lii([1.0, 2.0], [0.01, 1]), r"alphas are \[0.01, 1\]"),
        (lambda: lii([1.0, 2.0], [0, 0.99]), r"alphas are \[0, 0.99\]"),
        (lambda: lii([], []), r"alphas are \[\]"),
        (lambda: lii([1.0, nan, 2.0], [0, 0.5, 1]), "not a number"),
        (lambda: reestimate_batch_norm(M, []), "batches is empty"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(call, match):
    with pytest.raises(ValueError, match=match):
        call()
    assert (M.w.item(), A["w"].item(), B["w"].item()) == (5, 1, 2)


def test_no_batches_are_refused_before_the_statistics_are_reset():
    model = convnet(norm=True)
    model(batch(model, 0)[0])
    before = copy_state(model)
    with pytest.raises(ValueError, match="batches is empty"):
        reestimate_batch_norm(model, [])
    assert same(before, copy_state(model))
