"""The repellent loss against its gradient written out, and the angle between two solutions."""

import copy
from math import acos, cos, inf, nan, pi, sin, sqrt

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rigl_edu.sparse.angle import angular_distance, as_vector, masked_weights
from rigl_edu.sparse.layers import MaskedLinear, masked_layers
from rigl_edu.sparse.repellent import mean_squared_cosine, repellent_loss
from rigl_edu.sparse.sparsify import sparsify
from tests.sparse.models import CLASSES, batch, convnet, mlp, same, snapshot


def row(values, mask=None) -> MaskedLinear:
    layer = MaskedLinear(len(values), 1, bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([values]))
    layer.set_mask(torch.tensor([mask or [1] * len(values)]))
    return layer


def weights(*values: float) -> dict[str, torch.Tensor]:
    """A solution of the layer above, whose name in itself is empty."""
    return {"": torch.tensor([list(values)], dtype=torch.float64)}


def case(seed: int, rounds: int, density: float = 0.4) -> tuple[nn.Module, list]:
    """A masked network and full weights (everywhere nonzero) of earlier rounds."""
    model = sparsify(mlp(4, 5, CLASSES, seed=seed).double(), density, seed=seed)
    earlier = [
        masked_weights(sparsify(mlp(4, 5, CLASSES, seed=100 + seed + r).double(), 1.0))
        for r in range(rounds)
    ]
    return model, earlier


def loss_of(model: nn.Module, earlier, strength: float) -> float:
    return repellent_loss(model, earlier, strength).item()


def flat(model: nn.Module, of: dict[str, torch.Tensor]) -> list[float]:
    """Masked weights of all layers, one list."""
    found = []
    for name, layer in masked_layers(model).items():
        pairs = zip(of[name].flatten().tolist(), layer.mask.flatten().tolist(), strict=True)
        found += [w if m else 0.0 for w, m in pairs]
    return found


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


# --- the loss -----------------------------------------------------------------------------------


@settings(max_examples=25)
@given(
    seed=st.integers(0, 50),
    rounds=st.integers(1, 4),
    strength=st.sampled_from([2.0, -1.0, 0.3]),
)
def test_value_and_gradient_are_those_written_out(seed, rounds, strength):
    """dJ/da = (strength / R) sum_r 2 c_r (b_r / (|a| |b_r|) - c_r a / |a|^2), c_r the cosine."""
    model, earlier = case(seed, rounds)
    layers = masked_layers(model)
    for layer in layers.values():
        layer.keep_dense_gradient = True  # so that it is the loss that gives 0, not the hook
    loss = repellent_loss(model, earlier, strength)
    loss.backward()
    found = [g for layer in layers.values() for g in layer.weight.grad.flatten().tolist()]

    a = flat(model, masked_weights(model))
    length = sqrt(dot(a, a))
    value, gradient = 0.0, [0.0] * len(a)
    for solution in earlier:
        b = flat(model, solution)
        c = dot(a, b) / length / sqrt(dot(b, b))
        value += strength / rounds * c * c
        for i in range(len(a)):
            part = b[i] / (length * sqrt(dot(b, b))) - c * a[i] / length**2
            gradient[i] += strength / rounds * 2 * c * part
    assert loss.item() == pytest.approx(value, rel=1e-10)
    assert found == pytest.approx(gradient, rel=1e-8, abs=1e-12)
    off = torch.cat([layer.mask.flatten() for layer in layers.values()]) == 0
    assert not torch.tensor(found)[off].any()
    assert dot(found, a) == pytest.approx(0, abs=1e-10)  # it turns the weights, no more


def test_gradient_is_that_of_finite_differences():
    model, earlier = case(1, 3)
    masks = {name: layer.mask for name, layer in masked_layers(model).items()}
    start = masked_weights(model)

    def loss(*values):
        return mean_squared_cosine(dict(zip(start, values, strict=True)), masks, earlier)

    assert torch.autograd.gradcheck(loss, [w.requires_grad_() for w in start.values()])


def test_only_active_positions_of_an_earlier_solution_count():
    model = row([3.0, 0.0, 0.0], [1, 1, 0])
    assert loss_of(model, [weights(1.0, 0.0, 99.0)], 2.0) == pytest.approx(2)
    assert loss_of(model, [weights(1.0, 1.0, 99.0)], 2.0) == pytest.approx(1)
    assert loss_of(model, [weights(0.0, 1.0, 99.0)], 2.0) == 0


def test_all_layers_are_one_vector():
    """cos^2 of (1, 1) and (1, 0) over two layers is 1/2; layer by layer it would be 1 and 0."""
    model = nn.Sequential(row([1.0]), row([1.0]))
    earlier = {"0": torch.ones(1, 1).double(), "1": torch.zeros(1, 1).double()}
    assert loss_of(model, [earlier], 1.0) == pytest.approx(0.5)


def test_opposite_solutions_repel_too_and_length_does_not_matter():
    for old in (weights(1.0, 2.0), weights(-1.0, -2.0), weights(50.0, 100.0)):
        for scale in (1.0, 1e-3, 1e3):
            loss = repellent_loss(row([scale * 1.0, scale * 2.0]), [old], 2.0)
            assert loss.item() == pytest.approx(2)


def test_the_mean_not_the_sum_is_taken_over_earlier_solutions():
    model = row([1.0, 0.0])
    one = [weights(1.0, 0.0)]
    assert loss_of(model, one * 5, 2.0) == pytest.approx(2)
    assert loss_of(model, [*one, weights(0.0, 1.0)], 2.0) == pytest.approx(1)


@pytest.mark.parametrize(("strength", "where"), [(2.0, 0.0), (-1.0, 1.0)])
def test_descending_the_loss_ends_at_a_right_angle_or_in_the_old_direction(strength, where):
    model = row([1.0, 0.3, -0.2])
    old = weights(1.0, 1.0, 0.5)
    optimizer = torch.optim.SGD(model.parameters(), 0.2)
    for _ in range(200):
        optimizer.zero_grad()
        repellent_loss(model, [old], strength).backward()
        optimizer.step()
    masks = {"": model.mask}
    assert float(mean_squared_cosine({"": model.weight.detach()}, masks, [old])) == pytest.approx(
        where, abs=1e-6
    )


def test_repelling_the_last_solution_alone_is_a_two_cycle_and_all_of_them_is_not():
    """The task has three solutions at right angles; it slightly prefers them in their order."""
    solutions = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]

    def train(earlier) -> int:
        losses = [0.1 * i + loss_of(row(w), earlier, 2.0) for i, w in enumerate(solutions)]
        return losses.index(min(losses))

    last_only, everything = [], []
    for _ in range(3):
        last_only.append(train([weights(*solutions[i]) for i in last_only[-1:]]))
        everything.append(train([weights(*solutions[i]) for i in everything]))
    assert last_only == [0, 1, 0]
    assert everything == [0, 1, 2]


def test_first_round_has_no_loss_and_can_still_be_added():
    model = row([1.0, 2.0])
    loss = model(torch.ones(1, 2).double()).sum() + repellent_loss(model, [], 2.0)
    loss.backward()
    assert loss_of(model, [], 2.0) == 0
    assert model.weight.grad.tolist() == [[1, 1]]


def test_no_overlap_or_no_weights_mean_no_loss_and_no_gradient():
    for model in (row([1.0, 0.0], [1, 0]), row([0.0, 0.0])):
        loss = repellent_loss(model, [weights(0.0, 5.0)], 2.0)
        loss.backward()
        assert loss.item() == 0 and model.weight.grad.tolist() == [[0, 0]]


def test_earlier_solutions_get_no_gradient_and_are_not_changed():
    model = row([1.0, 2.0])
    old = weights(2.0, 1.0)
    old[""].requires_grad_(True)
    repellent_loss(model, [old], 2.0).backward()
    assert old[""].grad is None and old[""].tolist() == [[2, 1]]


def test_loss_of_a_channels_last_network_pairs_the_right_weights():
    model = sparsify(convnet(), 0.5)
    old = masked_weights(model)
    model.to(memory_format=torch.channels_last)
    assert loss_of(model, [old], 2.0) == pytest.approx(2, rel=1e-5)


def test_a_training_step_with_the_loss_keeps_weights_off_the_mask_at_0():
    model, earlier = case(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    for index in range(3):
        inputs, targets = batch(model, index)
        optimizer.zero_grad()
        task = nn.functional.cross_entropy(model(inputs), targets)
        (task + repellent_loss(model, earlier, 2.0)).backward()
        optimizer.step()
    for layer in masked_layers(model).values():
        assert not layer.weight[layer.mask == 0].any()


# --- the angle ----------------------------------------------------------------------------------

ON = {"": torch.ones(1, 2)}


def test_angle_is_exact_for_one_direction_and_for_opposite_ones():
    model = sparsify(mlp(5, 7, CLASSES), 0.4)
    masks = {name: layer.mask for name, layer in masked_layers(model).items()}
    first = masked_weights(model)
    opposite = {name: -w for name, w in first.items()}
    double = {name: 2 * w for name, w in first.items()}
    assert angular_distance(first, first, masks) == 0
    assert angular_distance(first, double, masks) == 0
    assert angular_distance(first, opposite, masks) == 2
    assert angular_distance(weights(1.0, 0.0), weights(0.0, 3.0), ON) == 1


@settings(max_examples=60)
@given(
    angle=st.one_of(st.floats(0, pi), st.sampled_from([1e-12, 1e-8, pi - 1e-8])),
    start=st.floats(-pi, pi),
    scale=st.floats(1e-3, 1e3),
)
def test_angle_between_two_vectors_of_the_plane(angle, start, scale):
    first = weights(cos(start), sin(start))
    second = weights(scale * cos(start + angle), scale * sin(start + angle))
    found = angular_distance(first, second, ON)
    assert found == pytest.approx(2 / pi * angle, abs=1e-15 * 4)
    assert angular_distance(second, first, ON) == found


def test_angle_looks_at_shared_positions_of_all_layers():
    shapes = {"a": (1, 2), "b": (2, 1)}
    first = {"a": torch.tensor([[1.0, 7.0]]), "b": torch.tensor([[1.0], [-9.0]])}
    second = {"a": torch.tensor([[1.0, 0.0]]), "b": torch.tensor([[0.0], [4.0]])}
    masks = {"a": torch.tensor([[1.0, 0.0]]), "b": torch.tensor([[1.0], [0.0]])}
    assert {name: tuple(m.shape) for name, m in masks.items()} == shapes
    assert angular_distance(first, second, masks) == pytest.approx(0.5)  # (1, 1) and (1, 0)
    booleans = {name: mask.bool() for name, mask in masks.items()}
    assert angular_distance(first, second, booleans) == pytest.approx(0.5)


def test_unrelated_solutions_are_near_a_right_angle_and_float32_weights_give_it_in_float64():
    model = sparsify(mlp(50, 60, 10, seed=1), 0.5)
    first = masked_weights(model)
    second = masked_weights(sparsify(mlp(50, 60, 10, seed=2), 1.0))
    masks = {name: layer.mask for name, layer in masked_layers(model).items()}
    a, b = flat(model, first), flat(model, second)
    expected = 2 / pi * acos(dot(a, b) / sqrt(dot(a, a) * dot(b, b)))  # far from 0, acos will do
    found = angular_distance(first, second, masks)
    assert found == pytest.approx(expected, abs=1e-13) and found == pytest.approx(1, abs=0.05)


def test_as_vector_lists_layers_in_the_masks_order_row_by_row():
    masks = {"b": torch.ones(2, 2), "a": torch.tensor([[1.0, 0.0]])}
    values = {"a": torch.tensor([[1.0, 2.0]]), "b": torch.tensor([[3.0, 4.0], [5.0, 6.0]])}
    assert as_vector(values, masks).tolist() == [3, 4, 5, 6, 1, 0]


def test_masked_weights_is_a_copy_of_masked_layers_weights():
    model = sparsify(mlp(3, 4, CLASSES), 0.5, dense=["2"])
    found = masked_weights(model)
    assert list(found) == ["0"] and not found["0"].requires_grad
    before = copy.deepcopy(found)
    with torch.no_grad():
        model[0].weight.add_(1)
    assert same(found, before)


# --- bad input ----------------------------------------------------------------------------------

MODEL = row([1.0, 2.0])


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: repellent_loss(MODEL, [weights(1.0, 2.0)], inf), "strength is inf"),
        (lambda: repellent_loss(MODEL, [weights(1.0, 2.0)], nan), "strength is nan"),
        (lambda: repellent_loss(nn.Linear(2, 1), [], 2.0), "no masked layer"),
        (lambda: repellent_loss(MODEL, [{"a": torch.ones(1, 2)}], 2.0), r"missing for \[''\]"),
        (lambda: repellent_loss(MODEL, [weights(1.0)], 2.0), r"\(1, 1\).*\(1, 2\)"),
        (lambda: angular_distance(weights(1.0, 0.0), weights(1.0), ON), r"\(1, 1\).*\(1, 2\)"),
        (lambda: angular_distance({}, weights(1.0, 0.0), ON), r"missing for \[''\]"),
        (lambda: angular_distance(weights(1.0, 0.0), weights(1.0, 0.0), {}), r"layers \[\]"),
        (lambda: angular_distance(weights(1.0, 0.0), weights(0.0, 0.0), ON), "is 0 at every"),
        (lambda: angular_distance(weights(0.0, 0.0), weights(1.0, 0.0), ON), "is 0 at every"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(call, match):
    before = snapshot(MODEL)
    with pytest.raises(ValueError, match=match):
        call()
    assert same(before, snapshot(MODEL)) and MODEL.weight.grad is None
