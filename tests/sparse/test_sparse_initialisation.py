"""Initialisation: deviations by hand, a slow second implementation, what signal is left."""

import copy
from math import sqrt

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from rigl_edu.sparse.initialisation import (
    fan_in,
    he_dense,
    he_per_layer,
    he_per_neuron,
    he_std,
    initialise_dense,
    initialise_per_layer,
    initialise_per_neuron,
)
from rigl_edu.sparse.layers import masked_layers
from rigl_edu.sparse.sparsify import sparsify
from tests.sparse.models import convnet, masks_of, mlp, same, snapshot

ON_MODELS = [initialise_dense, initialise_per_neuron, initialise_per_layer]
ON_TENSORS = {
    initialise_dense: he_dense,
    initialise_per_neuron: he_per_neuron,
    initialise_per_layer: he_per_layer,
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- the definitions -------------------------------------------------------------------------


def test_fan_in_counts_the_inputs_of_each_row():
    mask = torch.tensor([[1, 0, 1], [0, 0, 0], [1, 1, 1]])
    assert fan_in(mask).tolist() == [2, 0, 3]


def test_fan_in_of_a_grouped_convolution_counts_one_group():
    layer = nn.Conv2d(6, 4, (3, 2), groups=2)  # each neuron: 3 channels, 6 positions of the kernel
    assert fan_in(torch.ones_like(layer.weight)).tolist() == [18] * 4
    mask = torch.zeros(4, 3, 3, 2)
    mask[1, 2], mask[3, 0, 0, 0] = 1, 1
    assert fan_in(mask).tolist() == [0, 6, 0, 1]


def test_he_std_is_the_root_of_the_variance_and_finite_without_inputs():
    std = he_std(torch.tensor([0, 1, 2, 8, 50]))
    assert std.tolist() == pytest.approx([sqrt(2), sqrt(2), 1.0, 0.5, 0.2], rel=1e-15)


@given(
    shape=st.sampled_from([(1, 1), (3, 5), (5, 3), (4, 2, 3, 3), (2, 1, 1, 2)]),
    density=st.floats(0, 1),
    seed=st.integers(0, 9999),
)
def test_equals_the_slow_implementation(shape, density, seed):
    """Every weight by itself, from the same sample."""
    mask = torch.rand(shape, generator=seeded(seed)) < density
    rows = mask.flatten(1).tolist()
    inputs = len(rows[0])
    active = sum(sum(row) for row in rows)
    sample = torch.randn(shape, generator=seeded(seed), dtype=torch.float64).flatten(1).tolist()
    variances = {
        he_dense: [2 / inputs for _ in rows],
        he_per_neuron: [2 / max(1, sum(row)) for row in rows],
        he_per_layer: [2 / inputs / (max(1, active) / (inputs * len(rows))) for _ in rows],
    }
    for method, by_row in variances.items():
        slow = [
            [sqrt(v) * z if on else 0.0 for z, on in zip(numbers, row, strict=True)]
            for v, numbers, row in zip(by_row, sample, rows, strict=True)
        ]
        weight = method(mask, seeded(seed))
        assert weight.shape == shape and weight.dtype == torch.float64
        torch.testing.assert_close(
            weight.flatten(1), torch.tensor(slow, dtype=torch.float64), rtol=1e-12, atol=0
        )


def uneven_mask() -> torch.Tensor:
    """300 neurons; those of the first half keep 4 of 400 inputs, the others 100."""
    mask = torch.zeros(300, 400)
    for i in range(300):
        mask[i, torch.randperm(400, generator=seeded(i))[: 4 if i < 150 else 100]] = 1
    return mask


@pytest.mark.parametrize(
    ("method", "few", "many"),
    [
        (he_dense, 2 / 400, 2 / 400),
        (he_per_neuron, 2 / 4, 2 / 100),
        (he_per_layer, 2 / 52, 2 / 52),  # (4 + 100) / 2 inputs on average
    ],
)
def test_sample_statistics_are_those_of_the_normal_distribution_asked_for(method, few, many):
    """Four standard errors: sd / sqrt(n) of a mean, sd / sqrt(2 n) of a standard deviation."""
    mask = uneven_mask().bool()
    weight = method(mask, seeded(1))
    for half, variance in ((slice(None, 150), few), (slice(150, None), many)):
        values = weight[half][mask[half]]
        n, sd = values.numel(), sqrt(variance)
        assert abs(values.mean()) < 4 * sd / sqrt(n)
        assert abs(values.std() - sd) < 4 * sd / sqrt(2 * n)
    assert weight[~mask].count_nonzero() == 0


@pytest.mark.parametrize("method", [he_dense, he_per_neuron, he_per_layer])
def test_masks_without_ones_give_zeros_and_not_nan(method):
    assert torch.equal(method(torch.zeros(3, 4), seeded()), torch.zeros(3, 4, dtype=torch.float64))


def test_a_neuron_without_inputs_leaves_the_others_alone():
    mask = torch.tensor([[1.0, 1], [0, 0], [1, 0]])
    weight = he_per_neuron(mask, seeded())
    assert weight.isfinite().all()
    assert torch.equal(weight != 0, mask.bool())


def test_a_mask_of_bools_or_floats_is_the_same_mask():
    mask = uneven_mask()
    for method in ON_TENSORS.values():
        assert torch.equal(method(mask, seeded()), method(mask.bool(), seeded()))


# --- on models -------------------------------------------------------------------------------


@pytest.mark.parametrize("initialise", ON_MODELS)
def test_layers_are_drawn_in_order_from_one_generator(initialise):
    model = sparsify(convnet(norm=True), 0.3, seed=2, dense=["0"])
    before = copy.deepcopy(model)
    assert initialise(model, seed=5) is model
    generator = seeded(5)
    for name, layer in model.named_modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            mask = layer.mask if name != "0" else torch.ones_like(layer.weight)
            expected = ON_TENSORS[initialise](mask, generator).float()
            assert torch.equal(layer.weight.detach(), expected), name
            assert layer.bias is None or layer.bias.count_nonzero() == 0
        elif isinstance(layer, nn.BatchNorm2d):
            assert same(snapshot(layer), snapshot(before.get_submodule(name)))
    assert same(masks_of(model), masks_of(before))


def test_all_methods_are_he_where_nothing_is_masked():
    models = [initialise(mlp(30, 20, 3), seed=4) for initialise in ON_MODELS]
    sparse = [initialise(sparsify(mlp(30, 20, 3), 1.0), seed=4) for initialise in ON_MODELS]
    for model in models + sparse:
        for name in ("0", "2"):
            weight = model.get_submodule(name).weight
            assert torch.allclose(weight, models[0].get_submodule(name).weight, rtol=1e-6, atol=0)


def test_dense_on_a_masked_model_is_its_dense_twin_masked():
    sparse = initialise_dense(sparsify(convnet(), 0.4, seed=1), seed=3)
    twin = initialise_dense(convnet(), seed=3)
    for name, layer in masked_layers(sparse).items():
        assert torch.equal(layer.weight, twin.get_submodule(name).weight * layer.mask)


def test_the_seed_decides():
    model = sparsify(mlp(9, 8, 3), 0.5)
    first, again, other = (
        snapshot(initialise_per_neuron(copy.deepcopy(model), seed=s)) for s in (1, 1, 2)
    )
    assert same(first, again)
    assert not torch.equal(first["0.weight"], other["0.weight"])


@pytest.mark.parametrize("initialise", ON_MODELS)
def test_nothing_around_the_model_changes_the_numbers(initialise):
    """Not torch's own seed, not a default device or precision, not the memory format."""
    model = sparsify(convnet(), 0.5, seed=1)
    plain = snapshot(initialise(copy.deepcopy(model)))
    torch.manual_seed(1234)
    state = torch.get_rng_state()
    strange = copy.deepcopy(model).to(memory_format=torch.channels_last)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            initialise(strange)
    finally:
        torch.set_default_dtype(torch.float32)
    assert same(plain, snapshot(strange))
    assert strange[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(state, torch.get_rng_state())


def test_other_precisions_round_the_same_numbers():
    model = sparsify(mlp(40, 30, 3), 0.5)
    full = initialise_per_neuron(copy.deepcopy(model).double())
    for dtype in (torch.float32, torch.bfloat16):
        rounded = initialise_per_neuron(copy.deepcopy(model).to(dtype))
        assert rounded[0].weight.dtype == dtype
        assert torch.equal(rounded[0].weight, full[0].weight.to(dtype))


def test_weights_and_hooks_stay_the_same_objects():
    model = sparsify(mlp(9, 8, 3), 0.5)
    weight, mask = model[0].weight, model[0].mask
    initialise_per_neuron(model)
    assert model[0].weight is weight and model[0].mask is mask and weight.requires_grad
    model(torch.ones(2, 9)).sum().backward()
    assert weight.grad[~mask.bool()].count_nonzero() == 0


# --- what it is for --------------------------------------------------------------------------


def logits(initialise, density: float, seed: int) -> torch.Tensor:
    """784-300-100-50-10, every layer at one density."""
    model = mlp(784, 300, 100, 50, 10)
    sparsify(model, density, dict.fromkeys(["0", "2", "4", "6"], density), seed=10 + seed)
    initialise(model, seed=seed)
    with torch.no_grad():
        return model(torch.randn(500, 784, generator=seeded(seed)))


def median_std(initialise, density: float) -> float:
    return float(torch.stack([logits(initialise, density, s).std() for s in range(5)]).median())


def test_signal_arrives_at_98_per_cent_sparsity_unless_masked_inputs_are_counted():
    """A prototype had 1.1e-4, 0.25 and 0.32 here; without a mask the same network is near 1."""
    assert 0.5 < median_std(initialise_per_neuron, 1.0) < 2.5
    assert 1e-5 < median_std(initialise_dense, 0.02) < 2e-3
    assert 0.1 < median_std(initialise_per_neuron, 0.02) < 5
    assert 0.1 < median_std(initialise_per_layer, 0.02) < 5


def test_four_layers_at_density_d_lose_d_squared_of_the_signal():
    """Weights sqrt(d) times smaller in each of four layers, and ReLU is homogeneous: exactly."""
    for d in (0.05, 0.3):
        lost, kept = logits(initialise_dense, d, 0), logits(initialise_per_layer, d, 0)
        torch.testing.assert_close(lost, kept * d**2, rtol=1e-3, atol=1e-6)


def test_one_layer_hands_on_the_power_it_got_per_neuron():
    """Whatever a neuron's fan-in: E[(w x)^2] is 2 for inputs of power 1, which a ReLU halves."""
    mask = uneven_mask().bool()
    inputs = torch.randn(4000, 400, generator=seeded(8), dtype=torch.float64)
    outputs = inputs @ he_per_neuron(mask, seeded(9)).T  # (4000, 300)
    for half in (slice(None, 150), slice(150, None)):
        # The mean of 150 neurons' power, 2 chi^2_m / m with m = 4 or 100: sd at most 0.12.
        assert abs(outputs[:, half].square().mean() - 2) < 0.4


# --- errors ----------------------------------------------------------------------------------


def parametrized() -> nn.Module:
    model = mlp(5, 4, 3)
    nn.utils.parametrizations.weight_norm(model[2])
    return model


@pytest.mark.parametrize("initialise", ON_MODELS)
@pytest.mark.parametrize(
    ("make", "match"),
    [(lambda: nn.ReLU(), "ReLU has no Linear"), (parametrized, "layer '2' computes its weight")],
)
def test_impossible_models_are_refused_and_left_alone(initialise, make, match):
    model = make()
    before = snapshot(model)
    with pytest.raises(ValueError, match=match):
        initialise(model)
    assert same(before, snapshot(model))


@pytest.mark.parametrize("method", [fan_in, *[lambda m, f=f: f(m, seeded()) for f in (he_dense,)]])
def test_a_mask_without_neurons_is_refused(method):
    with pytest.raises(ValueError, match=r"shape \(5,\)"):
        method(torch.ones(5))
