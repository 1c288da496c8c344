"""The Hessian: matrices worked out by hand, finite differences, and nothing else touched."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rigl_edu.sparse.curvature import MAX_PARAMETERS, hessian, spectrum
from rigl_edu.sparse.layers import masked_layers
from rigl_edu.sparse.sparsify import sparsify
from tests.sparse.models import CLASSES, backward, convnet, mlp, same, snapshot


def batch_for(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def cross_entropy(model: nn.Module, *shape: int):
    inputs = batch_for(*shape).to(next(model.parameters()).dtype)
    targets = torch.arange(shape[0]) % CLASSES
    return lambda: F.cross_entropy(model(inputs), targets)


# --- by hand ---------------------------------------------------------------------------------


def test_mean_squared_error_of_a_masked_linear_layer():
    """L = mean (X w + b - y)^2 has the Hessian 2/n A^T A, A: X's active columns and ones for b."""
    layer = sparsify(nn.Sequential(nn.Linear(6, 1)), 0.5, {"0": 0.5}, seed=3).double()
    x, y = batch_for(9, 6), batch_for(9, 1, seed=1)
    active = layer[0].mask[0].bool()
    assert active.tolist() != [True] * 3 + [False] * 3  # order would not be tested
    a = torch.cat([x[:, active], torch.ones(9, 1, dtype=torch.float64)], dim=1)  # (9, 4)
    found = hessian(layer, lambda: F.mse_loss(layer(x), y))
    torch.testing.assert_close(found, 2 / 9 * a.T @ a)
    assert (spectrum(found) > 0).all()


def test_two_outputs_are_two_blocks():
    """Each row of the weight has its own inputs; the mean is over 2 n numbers."""
    layer = sparsify(nn.Sequential(nn.Linear(3, 2, bias=False)), 1.0).double()
    layer[0].set_mask(torch.tensor([[1, 0, 1], [0, 1, 0]]))
    x, y = batch_for(7, 3), batch_for(7, 2, seed=1)
    expected = torch.zeros(3, 3, dtype=torch.float64)
    expected[:2, :2] = x[:, [0, 2]].T @ x[:, [0, 2]] / 7
    expected[2, 2] = (x[:, 1] ** 2).sum() / 7
    torch.testing.assert_close(hessian(layer, lambda: F.mse_loss(layer(x), y)), expected)


def two_weights(w1: float, w2: float, relu: bool = False) -> nn.Module:
    layers = [nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)]
    model = nn.Sequential(layers[0], nn.ReLU(), layers[1]) if relu else nn.Sequential(*layers)
    model = model.double()
    with torch.no_grad():
        layers[0].weight.fill_(w1)
        layers[1].weight.fill_(w2)
    return model


def squared_error(model: nn.Module, y: float):
    return lambda: (model(torch.ones(1, 1, dtype=torch.float64)) - y).square().sum()


def test_a_saddle_has_one_negative_eigenvalue():
    """L = (w1 w2 - 1)^2 at 0: only d2L/dw1dw2 = 4 w1 w2 - 2 = -2 is left, eigenvalues -2 and 2."""
    model = two_weights(0, 0)
    found = hessian(model, squared_error(model, 1))
    assert found.tolist() == [[0, -2], [-2, 0]]
    assert spectrum(found).tolist() == pytest.approx([-2, 2])


@pytest.mark.parametrize("relu", [False, True])
def test_a_product_of_two_weights(relu):
    """(w1 w2 - y)^2 at (3, 5), y = 2: [[2 w2^2, 4 w1 w2 - 2 y], [.., 2 w1^2]]; a live ReLU is 1."""
    model = two_weights(3, 5, relu)
    assert hessian(model, squared_error(model, 2)).tolist() == [[50, 56], [56, 18]]


def test_a_dead_neuron_has_no_curvature():
    model = two_weights(-3, 5, relu=True)
    assert hessian(model, squared_error(model, 2)).tolist() == [[0, 0], [0, 0]]


def test_a_loss_linear_in_the_weights_has_no_curvature():
    model = nn.Linear(2, 1)
    found = hessian(model, lambda: model(torch.ones(1, 2)).sum())
    assert torch.equal(found, torch.zeros(3, 3))


def test_a_parameter_the_loss_does_not_use_has_rows_of_zeros():
    model = nn.ModuleDict({"used": nn.Linear(1, 1, bias=False), "idle": nn.Linear(2, 1)})
    found = hessian(model, lambda: model["used"](torch.full((1, 1), 3.0)).square().sum())
    expected = torch.zeros(4, 4)
    expected[0, 0] = 18  # (3 w)^2
    assert torch.equal(found, expected)


# --- finite differences ----------------------------------------------------------------------


def by_finite_differences(model: nn.Module, loss, step: float = 1e-5) -> torch.Tensor:
    """Column by column from gradients at two points; masks are asked entry by entry."""
    masks = {f"{name}.weight": layer.mask for name, layer in masked_layers(model).items()}
    places = []
    for name, parameter in model.named_parameters():
        for i in range(parameter.numel()):
            place = tuple(int(j) for j in torch.unravel_index(torch.tensor(i), parameter.shape))
            if name not in masks or masks[name][place] == 1:
                places.append((parameter, place))

    def gradient() -> torch.Tensor:
        model.zero_grad()
        loss().backward()
        return torch.stack([p.grad[place] for p, place in places])

    columns = []
    for parameter, place in places:
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter[place] += sign * step
            ends.append(gradient())
            with torch.no_grad():
                parameter[place] -= sign * step
        columns.append((ends[0] - ends[1]) / (2 * step))
    model.zero_grad()
    return torch.stack(columns, dim=1)


def smooth_mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, CLASSES))


NETWORKS = {
    "tanh": (lambda: sparsify(smooth_mlp(), 0.5, seed=1), (8, 5)),
    "relu": (lambda: sparsify(mlp(5, 6, 4, CLASSES), 0.6, seed=1), (8, 5)),
    "first layer unmasked": (lambda: sparsify(mlp(5, 4, CLASSES), 0.4, "uniform"), (8, 5)),
    "unmasked": (lambda: mlp(4, 3, CLASSES), (8, 4)),
    "conv, batch norm in training mode": (
        lambda: sparsify(convnet(width=1, norm=True), 0.4, seed=2),
        (6, 2, 6, 6),
    ),
    "conv, channels_last": (
        lambda: sparsify(convnet(width=1), 0.4).to(memory_format=torch.channels_last),
        (6, 2, 6, 6),
    ),
}


@pytest.mark.parametrize("network", NETWORKS)
def test_equals_finite_differences_of_the_gradient(network):
    make, shape = NETWORKS[network]
    torch.manual_seed(0)
    model = make().double()
    loss = cross_entropy(model, *shape)
    found = hessian(model, loss)
    torch.testing.assert_close(found, by_finite_differences(model, loss), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(found, found.T, rtol=0, atol=1e-12)
    assert found.abs().max() > 0.01 and found.dtype == torch.float64


def test_the_sparse_hessian_is_the_dense_one_without_the_masked_rows():
    sparse = sparsify(mlp(5, 6, CLASSES), 0.5, seed=1).double()
    dense = mlp(5, 6, CLASSES).double()
    dense.load_state_dict({k: v for k, v in sparse.state_dict().items() if "mask" not in k})
    on = torch.cat(
        [
            (
                sparse.get_buffer(name.replace("weight", "mask"))
                if "weight" in name
                else p + torch.inf
            )
            .flatten()
            .bool()
            for name, p in dense.named_parameters()
        ]
    )
    full = hessian(dense, cross_entropy(dense, 8, 5))
    assert full.shape[0] == 30 + 6 + 18 + 3 and on.sum() == 24 + 9
    torch.testing.assert_close(hessian(sparse, cross_entropy(sparse, 8, 5)), full[on][:, on])


def test_a_frozen_parameter_is_left_out():
    model = mlp(3, 4, CLASSES)
    whole = hessian(model, cross_entropy(model, 8, 3))
    model[0].requires_grad_(False)
    part = hessian(model, cross_entropy(model, 8, 3))
    torch.testing.assert_close(part, whole[16:, 16:])


def test_a_weight_in_two_places_counts_once():
    model = mlp(3, 3, 3)
    model[2].weight = model[0].weight
    assert hessian(model, cross_entropy(model, 8, 3)).shape == (9 + 3 + 3,) * 2


# --- side effects ----------------------------------------------------------------------------


def test_nothing_of_the_model_is_changed():
    model = sparsify(convnet(width=1, norm=True), 0.5).eval()
    backward(model, 0)
    model[0].weight.grad = None
    model[-1].bias.requires_grad_(False)
    for layer in masked_layers(model).values():
        layer.gradient_is_new = False
    before = snapshot(model)
    gradients = {n: copy.deepcopy(p.grad) for n, p in model.named_parameters()}
    flags = {n: p.requires_grad for n, p in model.named_parameters()}
    state = torch.get_rng_state()
    calls = []
    loss = cross_entropy(model, 6, 2, 6, 6)
    found = hessian(model, lambda: calls.append(1) or loss())
    assert calls == [1] and not found.requires_grad
    assert same(before, snapshot(model))
    assert torch.equal(state, torch.get_rng_state()) and torch.is_grad_enabled()
    for name, parameter in model.named_parameters():
        old = gradients[name]
        assert parameter.grad is old is None or torch.equal(parameter.grad, old), name
        assert parameter.requires_grad == flags[name], name
    for layer in masked_layers(model).values():
        assert not layer.gradient_is_new and not layer.keep_dense_gradient


def test_works_where_gradients_are_switched_off():
    model = two_weights(3, 5)
    with torch.no_grad():
        assert hessian(model, squared_error(model, 2)).tolist() == [[50, 56], [56, 18]]
        assert not torch.is_grad_enabled()


# --- spectrum --------------------------------------------------------------------------------


def test_spectrum_is_ascending_in_float64_whatever_the_order_and_precision():
    values = torch.tensor([3.0, -1.0, 0.5, -7.0])
    q = torch.linalg.qr(batch_for(4, 4)).Q
    found = spectrum((q @ values.double().diag() @ q.T).float())
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx([-7, -1, 0.5, 3], abs=1e-5)


def test_spectrum_takes_the_mean_of_both_triangles():
    assert spectrum(torch.tensor([[0.0, 1.0], [3.0, 0.0]])).tolist() == pytest.approx([-2, 2])


def test_trace_is_the_sum_of_the_spectrum():
    model = sparsify(mlp(5, 6, CLASSES), 0.5).double()
    found = hessian(model, cross_entropy(model, 8, 5))
    assert spectrum(found).sum().item() == pytest.approx(found.trace().item())


# --- errors ----------------------------------------------------------------------------------


def never_called():
    raise AssertionError("the loss was called before the check")


@pytest.mark.parametrize(
    ("model", "loss", "match"),
    [
        (nn.Linear(100, 101), never_called, r"10201 active.* 0\.4 GB; at most 10000"),
        (nn.Linear(200, 100).double(), never_called, r"20100 active.* 3\.2 GB"),
        (nn.ReLU(), never_called, "ReLU has no parameter"),
        (nn.Linear(2, 2).requires_grad_(False), never_called, "Linear has no parameter"),
        (mlp(2, 2), lambda: torch.zeros(3, requires_grad=True) * 2, r"shape \(3,\)"),
        (mlp(2, 2), lambda: torch.tensor(1.0), "no gradient"),
    ],
)
def test_impossible_hessians_are_refused(model, loss, match):
    before = snapshot(model)
    with pytest.raises(ValueError, match=match):
        hessian(model, loss)
    assert same(before, snapshot(model))


def test_masked_weights_do_not_count_towards_the_limit():
    model = sparsify(nn.Sequential(nn.Linear(101, 100, bias=False)), 1.0)
    assert model[0].weight.numel() > MAX_PARAMETERS
    mask = torch.zeros(100, 101)
    mask[:2, :5] = 1
    model[0].set_mask(mask)
    assert hessian(model, lambda: model(torch.ones(1, 101)).square().sum()).shape == (10, 10)


@pytest.mark.parametrize(
    ("matrix", "match"),
    [
        (torch.zeros(2, 3), r"shape \(2, 3\)"),
        (torch.zeros(3), r"shape \(3,\)"),
        (torch.tensor([[float("nan")]]), "infinite or NaN"),
        (torch.tensor([[float("inf")]]), "infinite or NaN"),
    ],
)
def test_impossible_matrices_are_refused(matrix, match):
    with pytest.raises(ValueError, match=match):
        spectrum(matrix)
