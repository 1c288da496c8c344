"""The gradient norm: the right number, and no trace of having measured it."""

import copy
from math import isclose, isnan, sqrt

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rigl_edu.sparse.gradient_flow import gradient_norm, norms_across_step
from rigl_edu.sparse.layers import MaskedLinear, masked_layers
from rigl_edu.sparse.methods import RigL, Static
from rigl_edu.sparse.schedule import rewires_at
from rigl_edu.sparse.sparsify import sparsify
from tests.sparse.models import CLASSES, backward, batch, convnet, mlp, same, snapshot


def total(outputs, targets):
    """A loss whose gradient with respect to one linear layer's weight is its input."""
    return outputs.sum()


def row(values, mask, *, bias=False) -> MaskedLinear:
    layer = MaskedLinear(len(values), 1, bias=bias)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([values]))
    layer.set_mask(torch.tensor([mask]))
    return layer


def noisy() -> nn.Sequential:
    """A masked network with batch norm and dropout, in training mode."""
    model = convnet(norm=True)
    model.insert(3, nn.Dropout(0.5))
    return sparsify(model, 0.3)


# --- the number ---------------------------------------------------------------------------------


def test_norm_by_hand_masked_weights_do_not_count_and_biases_do():
    layer = row([1.0, 1.0], [1, 0], bias=True)
    inputs = torch.tensor([[3.0, 100.0]])  # dL/dw = (3, 100), dL/dbias = 1
    assert gradient_norm(layer, inputs, torch.zeros(1), total) == sqrt(3**2 + 1)


@settings(max_examples=25)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    density=st.floats(0.4, 1.0),
    seed=st.integers(0, 99),
)
def test_norm_is_that_of_a_slow_loop_over_a_dense_twin(sizes, density, seed):
    """The twin has ordinary layers; position by position, its gradient counts where a mask is 1."""
    dense = mlp(5, *sizes, CLASSES, seed=seed).double()
    shapes = [m for m in dense.modules() if isinstance(m, nn.Linear)]
    masks = []
    for layer in shapes:
        on = torch.rand(layer.weight.shape, generator=torch.Generator().manual_seed(seed)) < density
        masks.append(on)
        layer.weight.data[~on] = 0
    model = sparsify(copy.deepcopy(dense), 1.0)
    for layer, on in zip(masked_layers(model).values(), masks, strict=True):
        layer.set_mask(on)

    inputs, targets = batch(dense, seed)
    F.cross_entropy(dense(inputs), targets).backward()
    squares = 0.0
    for layer, on in zip(shapes, masks, strict=True):
        for i in range(layer.out_features):
            for j in range(layer.in_features):
                if on[i, j]:
                    squares += float(layer.weight.grad[i, j]) ** 2
            squares += float(layer.bias.grad[i]) ** 2
    found = gradient_norm(model, inputs, targets, F.cross_entropy)
    assert isclose(found, sqrt(squares), rel_tol=1e-12, abs_tol=1e-15)


def test_norm_of_a_convolution_with_batch_norm_is_that_of_the_training_gradient():
    model = sparsify(convnet(norm=True).double(), 0.3)
    inputs, targets = batch(model, 0)
    twin = copy.deepcopy(model)
    backward(twin, 0)
    training = torch.cat([p.grad.flatten() for p in twin.parameters()]).norm()
    assert isclose(gradient_norm(model, inputs, targets, F.cross_entropy), float(training))
    in_eval_mode = gradient_norm(model.eval(), inputs, targets, F.cross_entropy)
    assert not isclose(in_eval_mode, float(training), rel_tol=0.01)


def test_norm_works_for_a_dense_model():
    model = mlp(5, 4, CLASSES)
    inputs, targets = batch(model, 0)
    backward(model, 0)
    expected = torch.cat([p.grad.flatten() for p in model.parameters()]).norm()
    assert isclose(
        gradient_norm(model, inputs, targets, F.cross_entropy), float(expected), rel_tol=1e-6
    )


def test_frozen_and_unused_parameters_do_not_count():
    layer = row([1.0, 1.0], [1, 1], bias=True)
    layer.bias.requires_grad_(False)
    layer.unused = nn.Parameter(torch.ones(3))
    assert gradient_norm(layer, torch.tensor([[3.0, 4.0]]), torch.zeros(1), total) == 5


def test_norm_can_be_taken_inside_no_grad():
    with torch.no_grad():
        found = gradient_norm(row([1.0], [1]), torch.tensor([[7.0]]), torch.zeros(1), total)
    assert found == 7


def test_a_diverged_network_has_no_norm():
    layer = row([float("nan")], [1])
    assert isnan(
        gradient_norm(layer, torch.ones(1, 1), torch.zeros(1), lambda o, t: o.square().sum())
    )


# --- no trace -----------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("new", [True, False])
def test_measuring_leaves_no_trace_before_a_rewiring(training, new):
    """Dense gradients wait in .grad, a rule has asked for them, and dropout draws numbers."""
    model = noisy()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    rule = RigL(model, optimizer, every=2, until=10)
    for index in range(2):
        backward(model, index)
        if index == 0:
            rule.step()
    layers = masked_layers(model).values()
    assert any(layer.weight.grad[layer.mask == 0].any() for layer in layers)
    for layer in layers:
        layer.gradient_is_new = new
    model.train(training)
    next(model.children()).train(not training)  # modes may differ from layer to layer
    inputs, targets = batch(model, 99)
    inputs.requires_grad_(True)

    modes = [m.training for m in model.modules()]
    gradients = [(p.grad, p.grad.clone(), p.grad._version) for p in model.parameters()]
    versions = [t._version for t in model.state_dict().values()]
    state, random_state = snapshot(model), torch.get_rng_state()
    momenta = [optimizer.state[p]["momentum_buffer"].clone() for p in model.parameters()]
    first = gradient_norm(model, inputs, targets, F.cross_entropy)

    assert same(state, snapshot(model))
    assert versions == [t._version for t in model.state_dict().values()]
    assert torch.equal(random_state, torch.get_rng_state())
    assert modes == [m.training for m in model.modules()]
    for parameter, (tensor, values, version) in zip(model.parameters(), gradients, strict=True):
        assert parameter.grad is tensor and tensor._version == version
        assert torch.equal(tensor, values)
    assert all(layer.keep_dense_gradient and layer.gradient_is_new == new for layer in layers)
    for p, momentum in zip(model.parameters(), momenta, strict=True):
        assert torch.equal(optimizer.state[p]["momentum_buffer"], momentum)
    assert inputs.grad is None
    assert gradient_norm(model, inputs, targets, F.cross_entropy) == first


def test_rigl_trains_bit_equal_with_and_without_measuring():
    """Also measured between forward and backward, and between backward and step."""
    results = []
    for measured in (False, True):
        model = noisy()
        optimizer = torch.optim.AdamW(model.parameters(), 0.01)
        rule = RigL(model, optimizer, every=2, until=100)
        torch.manual_seed(5)
        held_out = batch(model, 99)

        def measure(model=model, held_out=held_out):
            return gradient_norm(model, *held_out, F.cross_entropy)

        for index in range(9):
            inputs, targets = batch(model, index)
            model.zero_grad()
            loss = F.cross_entropy(model(inputs), targets)
            if measured:
                measure()
            loss.backward()
            if measured:
                norms_across_step(rule, measure)
            else:
                rule.step()
        results.append(snapshot(model))
        assert rule.last_update is not None and any(u.grown > u.regrown for u in rule.last_update)
    assert same(*results)


# --- across a step ------------------------------------------------------------------------------


def test_norm_across_a_rewiring_by_hand():
    """Gradient (1, 2, 5, 7); the second weight is dropped and the fourth is grown."""
    layer = row([2.0, 0.1, 0.0, 0.0], [1, 1, 0, 0])
    inputs = torch.tensor([[1.0, 2.0, 5.0, 7.0]])
    rule = RigL(layer, torch.optim.SGD(layer.parameters(), 0.1), every=1, until=10**6, fraction=0.9)
    assert rewires_at(rule.t + 1, rule.every, rule.until)
    layer(inputs).sum().backward()
    norms = norms_across_step(rule, lambda: gradient_norm(layer, inputs, torch.zeros(1), total))
    assert norms == pytest.approx((sqrt(1 + 4), sqrt(1 + 49)), rel=1e-6)
    assert layer.mask.tolist() == [[1, 0, 0, 1]] and rule.t == 1


def test_norm_across_a_step_of_anything_with_a_step():
    events = []

    class Stepper:
        def step(self):
            events.append("step")

    def measure():
        events.append("measure")
        return float(len(events))

    assert norms_across_step(Stepper(), measure) == (1.0, 3.0)
    assert events == ["measure", "step", "measure"]


def test_dropout_draws_the_same_units_before_and_after_a_step():
    model = noisy()
    inputs, targets = batch(model, 0)
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    backward(model, 0)
    rule = Static(model, optimizer)
    before, after = norms_across_step(
        rule, lambda: gradient_norm(model, inputs, targets, F.cross_entropy)
    )
    assert before == after > 0


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frozen", "loss", "match"),
    [
        (True, F.cross_entropy, "Sequential has no parameter that requires a gradient"),
        (False, lambda o, t: F.cross_entropy(o, t, reduction="none"), r"shape \(8,\).*one number"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(frozen, loss, match):
    model = noisy()
    model.requires_grad_(not frozen)
    before, random_state = snapshot(model), torch.get_rng_state()
    with pytest.raises(ValueError, match=match):
        gradient_norm(model, *batch(model, 0), loss)
    assert same(before, snapshot(model)) and torch.equal(random_state, torch.get_rng_state())
