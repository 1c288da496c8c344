"""Compressed layers beside masked ones: the same network, step by step, without its zeros."""

import copy
import io
import warnings

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from rigl_edu.sparse import (
    DSR,
    SET,
    SNFS,
    CompressedLinear,
    GradualPruning,
    MaskedLinear,
    RigL,
    RigLSG,
    RigLSM,
    SNFSReproduced,
    Static,
    compress,
    decompress,
    density,
    forward_flops,
    layer_table,
    sparse_layers,
    sparsify,
)
from rigl_edu.sparse.csr import WIDE, by_columns, by_rows, multiply, pattern_of

ALL = ["0", "2", "4"]
SCHEDULE = {"every": 25, "until": 510}
RULES = {
    "Static": lambda m, o: Static(m, o),
    "SET": lambda m, o: SET(m, o, **SCHEDULE),
    "RigL": lambda m, o: RigL(m, o, **SCHEDULE),
    "RigL, reset": lambda m, o: RigL(m, o, regrown="reset", **SCHEDULE),
    "RigLSG": lambda m, o: RigLSG(m, o, **SCHEDULE),
    "RigLSM": lambda m, o: RigLSM(m, o, **SCHEDULE),
    "SNFS": lambda m, o: SNFS(m, o, **SCHEDULE),
    "SNFSReproduced": lambda m, o: SNFSReproduced(m, o, regrown="reset", **SCHEDULE),
    "DSR": lambda m, o: DSR(m, o, threshold=0.05, **SCHEDULE),
    "GradualPruning": lambda m, o: GradualPruning(m, o, 0.1, **SCHEDULE),
}
CHANGES_COUNTS = {"RigLSG", "RigLSM", "SNFS", "SNFSReproduced", "DSR", "GradualPruning"}
pytestmark = pytest.mark.filterwarnings("ignore:compressed layers .* slower")


def network(d=0.3, seed=0):
    torch.manual_seed(seed)
    layers = nn.Linear(20, 40), nn.ReLU(), nn.Linear(40, 30), nn.ReLU(), nn.Linear(30, 10)
    return sparsify(nn.Sequential(*layers).double(), d, "er", seed=seed)


def pair(**arguments):
    masked = network(**arguments)
    return masked, compress(copy.deepcopy(masked), ALL)


def sgd(model):
    return torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)


def batches(n, seed=1):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 32, 20, generator=g, dtype=torch.float64)
    return zip(x, torch.randint(0, 10, (n, 32), generator=g), strict=True)


def train(model, optimizer, rule, data):
    for x, y in data:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        rule.step()


def assert_same(masked, compressed, optimizers=None):
    a, b = sparse_layers(masked), sparse_layers(compressed)
    assert list(a) == list(b)
    for name, layer in a.items():
        other = b[name]
        assert torch.equal(layer.mask.bool(), other.mask.bool()), name
        torch.testing.assert_close(
            layer.dense_weight(), other.dense_weight(), rtol=1e-9, atol=1e-12
        )
        torch.testing.assert_close(layer.bias, other.bias, rtol=1e-9, atol=1e-12)
        for key in () if optimizers is None else optimizers[0].state[layer.parameter]:
            x, y = (
                o.state[m.parameter][key] for o, m in zip(optimizers, (layer, other), strict=True)
            )
            if isinstance(x, torch.Tensor) and x.ndim:
                torch.testing.assert_close(layer.spread(x), other.spread(y), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", RULES)
def test_500_steps_with_20_rewirings_are_the_masked_layers(name):
    masked, compressed = pair()
    start = [layer.active for layer in sparse_layers(masked).values()]
    optimizers = sgd(masked), sgd(compressed)
    for model, optimizer in zip((masked, compressed), optimizers, strict=True):
        rule = RULES[name](model, optimizer)
        rewired = 0
        for x, y in batches(500):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            rewired += rule.rewires(rule.t + 1)
            rule.step()
        assert rewired == (0 if name == "Static" else 20)
    assert_same(masked, compressed, optimizers)
    after = [layer.active for layer in sparse_layers(compressed).values()]
    assert (after != start) == (name in CHANGES_COUNTS)


def test_adam_s_two_moments_move_with_their_weights():
    masked, compressed = pair()
    optimizers = [torch.optim.AdamW(m.parameters(), 0.01) for m in (masked, compressed)]
    for model, optimizer in zip((masked, compressed), optimizers, strict=True):
        train(model, optimizer, SNFS(model, optimizer, every=10, until=90), batches(100))
    assert_same(masked, compressed, optimizers)


@given(
    rows=st.integers(1, 9),
    columns=st.integers(1, 9),
    d=st.floats(0, 1),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_a_pattern_is_its_mask(rows, columns, d, seed):
    g = torch.Generator().manual_seed(seed)
    mask = torch.rand(rows, columns, generator=g) < d
    dense = torch.randn(rows, columns, generator=g) * mask
    pattern = pattern_of(mask)
    values = dense.flatten()[pattern.flat()]
    assert pattern.active == int(mask.count_nonzero())
    assert torch.equal(pattern.flat(), mask.flatten().nonzero().squeeze(1))
    assert torch.equal(by_rows(pattern, values).to_dense(), dense)
    assert torch.equal(by_columns(pattern, values[pattern.order]).to_dense(), dense.t())


@given(
    rows=st.integers(1, 9),
    columns=st.integers(1, 9),
    samples=st.sampled_from([1, 2, WIDE - 1, WIDE, WIDE + 1, 100]),
    double=st.booleans(),
    d=st.floats(0, 1),
    seed=st.integers(0, 99),
)
@settings(max_examples=100, deadline=None)
def test_a_product_is_a_loop_over_the_active_weights(rows, columns, samples, double, d, seed):
    g = torch.Generator().manual_seed(seed)
    mask = torch.rand(rows, columns, generator=g) < d
    kind = torch.float64 if double else torch.float32
    dense = torch.randn(rows, columns, generator=g).to(kind) * mask
    x = torch.randn(columns, samples, generator=g).to(kind)
    pattern = pattern_of(mask)
    assume(pattern.active > 0)  # a layer without any weight makes no product
    expected = torch.zeros(rows, samples, dtype=kind)
    for row, column in mask.nonzero().tolist():  # rows without any weight among them: they stay 0
        expected[row] += dense[row, column] * x[column]
    y = multiply(by_rows(pattern, dense.flatten()[pattern.flat()]), x)
    torch.testing.assert_close(y, expected)


@pytest.mark.parametrize("samples", [WIDE - 1, WIDE, 4 * WIDE])
@pytest.mark.parametrize("keep_dense", [False, True])
def test_single_precision_is_the_masked_layers_too(samples, keep_dense):
    """The test over 500 steps is in double precision, where products are made in another way."""
    masked, compressed = (model.float() for model in pair())
    x = torch.randn(samples, 20)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    for model, given_x in zip((masked, compressed), inputs, strict=True):
        for layer in sparse_layers(model).values():
            layer.expect_gradient(keep_dense)
        model(given_x).square().sum().backward()
    torch.testing.assert_close(compressed(x), masked(x))
    torch.testing.assert_close(*(i.grad for i in inputs))
    for one, other in zip(*(sparse_layers(m).values() for m in (masked, compressed)), strict=True):
        expected = one.dense_gradient()
        if not keep_dense:
            expected = expected * one.mask
        torch.testing.assert_close(other.dense_gradient(), expected)


@pytest.mark.parametrize("keep_dense", [False, True])
@pytest.mark.parametrize("d", [0.05, 0.3, 1.0])
def test_gradients_are_right(d, keep_dense):
    torch.manual_seed(0)
    model = compress(sparsify(nn.Sequential(nn.Linear(7, 5)).double(), d, "er"), ["0"])
    layer = model[0]
    layer.keep_dense_gradient = keep_dense
    x = torch.randn(4, 7, dtype=torch.float64, requires_grad=True)

    def output(x, values, bias):
        return torch.func.functional_call(layer, {"values": values, "bias": bias}, (x,))

    assert torch.autograd.gradcheck(output, (x, layer.values, layer.bias))


@pytest.mark.parametrize("shape", [(20,), (0, 20), (1, 20), (6, 20), (2, 3, 20)])
def test_any_number_of_samples(shape):
    masked, compressed = pair()
    x = torch.randn(shape, dtype=torch.float64)
    torch.testing.assert_close(compressed(x), masked(x), rtol=1e-12, atol=1e-12)


def test_a_layer_without_any_weight_hands_on_its_bias():
    model = network()
    model[2].set_mask(torch.zeros_like(model[2].mask))
    compress(model, ALL)
    x = torch.randn(3, 20, dtype=torch.float64)
    model(x).sum().backward()
    assert model[2].values.shape == (0,)
    assert torch.equal(model[2](model[1](model[0](x))), model[2].bias.expand(3, -1))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_1x1_convolutions(stride, layout):
    torch.manual_seed(0)
    conv = nn.Conv2d(12, 16, 1, stride=stride).double().to(memory_format=layout)
    masked = sparsify(nn.Sequential(conv), 0.2)
    compressed = compress(copy.deepcopy(masked), ["0"])
    x = torch.randn(3, 12, 7, 6, dtype=torch.float64).to(memory_format=layout)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    outputs = [model(i) for model, i in zip((masked, compressed), inputs, strict=True)]
    target = torch.randn_like(outputs[0])
    for y in outputs:
        (y * target).sum().backward()
    torch.testing.assert_close(*outputs, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(
        masked[0].weight.grad, compressed[0].dense_gradient(), rtol=1e-10, atol=1e-12
    )


# The dense gradient: what `.grad` of a full weight gives for nothing has to be kept by hand here.


def test_accumulated_gradients_are_summed_and_zero_grad_starts_again():
    masked, compressed = pair()
    for set_to_none in (True, False):
        for model in (masked, compressed):
            for layer in sparse_layers(model).values():
                layer.keep_dense_gradient = True
            (a, b, c) = batches(3)
            F.cross_entropy(model(a[0]), a[1]).backward()  # a step that is never taken
            model.zero_grad(set_to_none=set_to_none)
            for x, y in (b, c):
                F.cross_entropy(model(x), y).backward()
        for name, layer in sparse_layers(masked).items():
            torch.testing.assert_close(
                layer.dense_gradient(),
                sparse_layers(compressed)[name].dense_gradient(),
                rtol=1e-9,
                atol=1e-12,
            )
        masked.zero_grad()
        compressed.zero_grad()


def test_a_layer_called_twice_has_both_gradients():
    torch.manual_seed(0)
    masked = sparsify(nn.Sequential(nn.Linear(8, 8)).double(), 0.3, "er")
    compressed = compress(copy.deepcopy(masked), ["0"])
    x = torch.randn(5, 8, dtype=torch.float64)
    for model in (masked, compressed):
        model[0].keep_dense_gradient = True
        model(model(x).tanh()).square().sum().backward()
    torch.testing.assert_close(
        masked[0].weight.grad, compressed[0].dense_gradient(), rtol=1e-9, atol=1e-12
    )


def test_the_dense_gradient_is_gone_after_the_step():
    _, compressed = pair()
    optimizer = sgd(compressed)
    rule = RigL(compressed, optimizer, every=2, until=100)
    for t, batch in enumerate(batches(4), 1):
        train(compressed, optimizer, rule, [batch])
        assert all(layer._dense is None for layer in sparse_layers(compressed).values()), t


def test_several_processes_may_not_rewire(monkeypatch):
    _, compressed = pair()
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    ((x, y),) = batches(1)
    F.cross_entropy(compressed(x), y).backward()
    compressed[0].keep_dense_gradient = True
    with pytest.raises(RuntimeError, match="cannot be rewired by several processes"):
        F.cross_entropy(compressed(x), y).backward()


# Conversion


@pytest.mark.parametrize("name", ["RigL", "SNFSReproduced", "DSR"])
def test_there_and_back_in_the_middle_of_training(name):
    """Masked throughout, or compressed for the middle third: the same network in the end."""
    straight, visitor = network(), network()
    optimizers = sgd(straight), sgd(visitor)
    for model, optimizer in zip((straight, visitor), optimizers, strict=True):
        data, state = list(batches(240)), None
        for part in range(3):
            if model is visitor and part == 1:
                compress(model, ALL, optimizer)
            if model is visitor and part == 2:
                decompress(model, optimizer)
            rule = RULES[name](model, optimizer)
            if state is not None:
                rule.load_state_dict(state)
            train(model, optimizer, rule, data[80 * part : 80 * (part + 1)])
            state = rule.state_dict()
    assert all(isinstance(layer, MaskedLinear) for layer in sparse_layers(visitor).values())
    assert_same(straight, visitor, optimizers)


def test_layers_stay_the_same_objects_and_frozen_weights_frozen():
    model = network()
    model[2].weight.requires_grad_(False)
    before = list(model)
    compress(model, ALL)
    assert all(a is b for a, b in zip(before, model, strict=True))
    assert [layer.values.requires_grad for layer in sparse_layers(model).values()] == [1, 0, 1]
    decompress(model)
    assert [layer.weight.requires_grad for layer in sparse_layers(model).values()] == [1, 0, 1]


def test_what_counts_weights_counts_the_same():
    masked, compressed = pair(d=0.2)
    assert layer_table(masked) == layer_table(compressed)
    assert density(masked) == density(compressed)
    for dense in (False, True):
        assert forward_flops(masked, (20,), dense=dense) == forward_flops(
            compressed, (20,), dense=dense
        )


def test_only_what_pays_is_compressed_unless_named():
    torch.manual_seed(0)
    layers = nn.Linear(512, 256), nn.Linear(256, 256), nn.Linear(256, 10)
    model = sparsify(nn.Sequential(*layers), distribution={"0": 0.05, "1": 0.5, "2": 0.05})
    compress(model)
    kinds = [type(layer) for layer in model]
    assert kinds == [CompressedLinear, MaskedLinear, MaskedLinear]  # dense, small
    with pytest.warns(UserWarning, match=r"\['1', '2'\] will be slower .* below density 0.15,"):
        compress(model, ["1", "2"])


@pytest.mark.parametrize(
    ("first", "between", "an_input", "pays"),
    [
        (0.05, nn.ReLU(), 16, True),
        (0.05, nn.ReLU(), 16.1, False),  # a few weights too many
        (0.05, nn.LayerNorm(256), 16, False),  # it has weights of its own and wants rows
        (0.5, nn.ReLU(), 16, False),  # the layer before stays masked
    ],
)
def test_behind_a_compressed_layer_a_small_one_pays_too(first, between, an_input, pays):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(512, 256), copy.deepcopy(between), nn.Linear(256, 40))
    sparsify(model, distribution={"0": first, "2": an_input / 40})
    named, x = copy.deepcopy(model), torch.ones(3, 512)
    expected = model(x)
    compress(model)
    assert isinstance(model[2], CompressedLinear) == pays
    assert torch.allclose(model(x), expected, atol=1e-5)
    if pays:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            compress(named, ["0", "2"])  # no warning: asked or not, it pays


def test_columns_for_a_compressed_layer_and_rows_for_any_other():
    masked = network()
    compressed = compress(copy.deepcopy(masked), ["0", "2"])
    ((x, _),) = batches(1)
    between = compressed[0](x)
    assert between.t().is_contiguous() and not between.is_contiguous()
    assert compressed[2](compressed[1](between)).is_contiguous()
    optimizers = sgd(masked), sgd(compressed)
    for model, optimizer in zip((masked, compressed), optimizers, strict=True):
        train(model, optimizer, RigL(model, optimizer, every=10, until=90), batches(100))
    assert_same(masked, compressed, optimizers)
    compress(compressed, ["4"], optimizers[1])
    assert not compressed[2](compressed[1](between)).is_contiguous()
    decompress(compressed, optimizers[1])
    assert_same(masked, compressed, optimizers)


@pytest.mark.parametrize(
    "model, names, message",
    [
        (nn.Sequential(nn.Linear(4, 4)), ["1"], r"\['1'\], but the masked layers are \['0'\]"),
        (nn.Sequential(nn.Conv2d(3, 4, 3)), ["0"], "only 1 x 1, without padding or groups"),
        (nn.Sequential(nn.Conv2d(4, 4, 1, padding=1)), ["0"], "only 1 x 1"),
        (nn.Sequential(nn.Conv2d(4, 4, 1, groups=2)), ["0"], "only 1 x 1"),
    ],
)
def test_what_cannot_be_compressed_is_refused_before_anything_changes(model, names, message):
    sparsify(model, 0.5)
    with pytest.raises(ValueError, match=message):
        compress(model, names)
    assert not isinstance(model[0], CompressedLinear)


# Copies, checkpoints, other precisions


@pytest.mark.parametrize("name", ["RigL", "RigLSM", "SNFS", "DSR"])
def test_a_stopped_run_goes_on_bit_exactly(name):
    data = list(batches(120))
    whole = pair()[1]
    optimizer = sgd(whole)
    train(whole, optimizer, RULES[name](whole, optimizer), data)

    first = pair()[1]
    optimizer = sgd(first)
    rule = RULES[name](first, optimizer)
    train(first, optimizer, rule, data[:70])
    file = io.BytesIO()
    torch.save([first.state_dict(), optimizer.state_dict(), rule.state_dict()], file)

    second = pair(seed=5)[1]
    file.seek(0)
    model_state, optimizer_state, rule_state = torch.load(file)
    optimizer = sgd(second)
    rule = RULES[name](second, optimizer)
    second.load_state_dict(model_state)
    optimizer.load_state_dict(optimizer_state)
    rule.load_state_dict(rule_state)
    train(second, optimizer, rule, data[70:])
    for key, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[key]), key


def test_copies_are_independent():
    _, compressed = pair()
    ((x, y),) = batches(1)
    compressed(x)
    twin = copy.deepcopy(compressed)
    file = io.BytesIO()
    torch.save(compressed, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    before = compressed(x)
    with torch.no_grad():
        for layer in sparse_layers(compressed).values():
            layer.values.mul_(2)
    for copied in (twin, loaded):
        assert torch.equal(copied(x), before)
        assert not torch.equal(compressed(x), before)
        optimizer = sgd(copied)
        train(copied, optimizer, RigL(copied, optimizer, every=1, until=9), [(x, y)])


def test_another_precision_and_autocast():
    _, compressed = pair()
    ((x, _),) = batches(1)
    expected = compressed(x)
    compressed.float()
    single = compressed(x.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), expected, rtol=1e-4, atol=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = compressed(x.float())
        y.sum().backward()
    torch.testing.assert_close(y.double(), expected, rtol=1e-4, atol=1e-5)


def test_the_number_of_weights_may_change_while_a_graph_is_alive():
    """Autograd remembers a parameter's shape for as long as a graph uses it."""
    _, compressed = pair()
    (a, b) = batches(2)
    alive = F.cross_entropy(compressed(a[0]), a[1])
    layer = compressed[2]
    mask = layer.mask.clone()
    mask.view(-1)[layer.positions()[:5]] = False
    held = layer.values
    layer.change_mask(mask, mask, None)
    assert layer.values is held and layer.active == int(mask.count_nonzero())
    F.cross_entropy(compressed(b[0]), b[1]).backward()
    assert layer.values.grad.shape == layer.values.shape and alive.grad_fn is not None


def test_a_weight_changed_between_forward_and_backward_is_noticed():
    _, compressed = pair()
    ((x, y),) = batches(1)
    loss = F.cross_entropy(compressed(x), y)
    with torch.no_grad():
        compressed[0].values.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_memory_goes_with_the_active_weights():
    """Weights, gradients, momentum and all indices, in bytes, beside the dense network's 12."""
    torch.manual_seed(0)
    model = sparsify(nn.Sequential(nn.Linear(1024, 1024, bias=False)), 0.02)
    compress(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    x = torch.randn(4, 1024)
    for _ in range(3):
        optimizer.zero_grad()
        model(x).sum().backward()
        optimizer.step()
    layer = model[0]
    held = {id(t.untyped_storage()): t.untyped_storage().nbytes() for t in tensors_of(layer)}
    state = optimizer.state[layer.values]["momentum_buffer"]
    total = sum(held.values()) + state.untyped_storage().nbytes()
    n = layer.active
    assert n == 20972
    assert total <= 28 * n + 2 * 4 * 1025
    assert total < 12 * 1024 * 1024 / 19


def tensors_of(layer):
    found = [layer.values, layer.values.grad, layer.row_start, layer.column]
    for value in layer._cache.values():
        if isinstance(value, torch.Tensor) and value.layout == torch.sparse_csr:
            found += [value.values(), value.crow_indices(), value.col_indices()]
        elif isinstance(value, torch.Tensor):
            found.append(value)
        else:
            found += [t for t in value if isinstance(t, torch.Tensor)]
    return found
