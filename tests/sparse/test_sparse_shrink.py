"""Dead units go, the function stays."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rigl_edu.lab.models import mlp
from rigl_edu.sparse import MaskedLinear, layer_table, shrink, sparsify


def slowly(model):
    """How many units of each hidden layer lie on a path that carries something: by search.

    A unit counts if an active path leads from it to the output, and one from the input to it;
    one without inputs is a constant, which its readers' biases can take over.
    """
    masks = [m.mask.bool() for m in model if isinstance(m, nn.Linear)]
    fed = [torch.ones(masks[0].shape[1], dtype=torch.bool)]
    for mask in masks:
        fed.append((mask & fed[-1]).any(1))
    read = [torch.ones(masks[-1].shape[0], dtype=torch.bool)]
    for mask in reversed(masks):
        read.append((mask & read[-1][:, None]).any(0))
    read.reverse()
    return [int((f & r).sum()) for f, r in zip(fed[1:-1], read[1:-1], strict=True)]


def sparse_mlp(d, seed, bias=True):
    torch.manual_seed(seed)
    layers = nn.Linear(12, 20, bias), nn.ReLU(), nn.Linear(20, 15, bias), nn.ReLU()
    model = nn.Sequential(nn.Flatten(), *layers, nn.Linear(15, 4, bias)).double()
    for module in model:
        if isinstance(module, nn.Linear) and bias:
            nn.init.normal_(module.bias)
    return sparsify(model, d, "er", seed=seed)


@given(d=st.floats(0.03, 0.4), seed=st.integers(0, 10**6), bias=st.booleans())
@settings(max_examples=50, deadline=None)
def test_the_outputs_are_the_same_and_every_unit_left_is_alive(d, seed, bias):
    model = sparse_mlp(d, seed, bias)
    before = copy.deepcopy(model.state_dict())
    small = shrink(model)
    x = torch.randn(7, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(small(x), model(x), rtol=1e-10, atol=1e-10)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    hidden = [m.out_features for m in small if isinstance(m, nn.Linear)][:-1]
    assert hidden == slowly(model)
    assert [type(m) for m in small] == [type(m) for m in model]


def test_a_chain_of_dead_units_goes_at_once():
    """Unit 0 feeds only unit 0 of the next layer, which nobody reads."""
    model = sparsify(nn.Sequential(*[nn.Linear(3, 3), nn.ReLU()] * 2, nn.Linear(3, 2)), 1.0)
    model = sparsify(mlp((3, 3, 3, 2)), 1.0)
    first, second, third = (m for m in model if isinstance(m, nn.Linear))
    mask = second.mask.clone()
    mask[1:, 0] = 0
    second.set_mask(mask)
    mask = third.mask.clone()
    mask[:, 0] = 0
    third.set_mask(mask)
    assert [row.shape for row in layer_table(shrink(model))] == [(2, 3), (2, 2), (2, 2)]


def test_nothing_dead_nothing_changes_and_plain_layers_stay_plain():
    model = sparsify(mlp((6, 5, 4)), 1.0, dense=["1"])
    small = shrink(model)
    for old, new in zip(model, small, strict=True):
        assert type(old) is type(new)
    assert isinstance(small[3], MaskedLinear)
    x = torch.randn(2, 6)
    assert torch.equal(small(x), model(x))


@pytest.mark.parametrize(
    "model, message",
    [
        (nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3)), "not Tanh"),
        (nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)), "a ReLU between any two"),
        (nn.Sequential(nn.Linear(3, 3), nn.ReLU()), "and none after"),
        (nn.Sequential(nn.ReLU(), nn.Linear(3, 3)), "a ReLU between any two"),
    ],
)
def test_other_networks_are_refused(model, message):
    with pytest.raises(ValueError, match=message):
        shrink(model)
