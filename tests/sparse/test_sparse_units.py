"""Units in networks: gated and shrunk alike, responses that add up, whole passes, errors.

The networks: an MLP, a VGG-like one with norms, pooling and `Flatten`, a residual block.
"""

import copy

import pytest
import torch
from torch import Tensor, nn

import rigl_edu.sparse.unit_responses as responses_module
from rigl_edu.sparse.greedy import centred_gram, greedy_line_search, random_units
from rigl_edu.sparse.greedy_global import greedy_first_order
from rigl_edu.sparse.imitation import (
    choose_better,
    choose_globally,
    choose_locally,
    imitate_layer_by_layer,
)
from rigl_edu.sparse.layers import MaskedLinear
from rigl_edu.sparse.unit_responses import output_discrepancy, responses
from rigl_edu.sparse.units import Units, gated, keep_units
from tests.sparse.models import mlp, same, snapshot


class Block(nn.Module):
    """A residual block: only its inner channels can be removed."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 6, 3, padding=1)
        self.conv1 = nn.Conv2d(6, 9, 3, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(9)
        self.conv2 = nn.Conv2d(9, 6, 3, padding=1, padding_mode="reflect", bias=False)
        self.norm2 = nn.BatchNorm2d(6)
        self.short = nn.Conv2d(6, 6, 1, stride=2)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        inner = self.norm2(self.conv2(self.norm1(self.conv1(x)).relu_()))
        return self.head((inner + self.short(x)).relu().mean((2, 3)))


def vgg() -> nn.Sequential:
    """Two convolutions with norms and pooling, then two linear layers; images (B, 2, 8, 8)."""
    return nn.Sequential(
        *(nn.Conv2d(2, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 7, 3, padding=1, bias=False), nn.BatchNorm2d(7), nn.ReLU()),
        *(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(7 * 4, 11), nn.Dropout(), nn.ReLU()),
        nn.Linear(11, 3),
    )


def network(name: str) -> tuple[nn.Module, list[Units], Tensor]:
    """A network in training mode with norms that have seen data, its layers, inputs."""
    torch.manual_seed(0)
    if name == "mlp":
        model: nn.Module = mlp(5, 12, 10, 3)
        layers = [Units(model[0], None, model[2]), Units(model[2], None, model[4])]
        inputs = torch.randn(20, 5)
    elif name == "vgg":
        model = vgg()
        layers = [
            Units(model[0], model[1], model[4]),
            Units(model[4], model[5], model[9]),  # 4 columns a channel
            Units(model[9], None, model[12]),
        ]
        inputs = torch.randn(20, 2, 8, 8)
    else:
        model = Block()
        layers = [Units(model.conv1, model.norm1, model.conv2)]
        inputs = torch.randn(20, 2, 8, 8)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for tensor in (norm.weight.data, norm.bias.data, norm.running_mean):
                tensor.normal_()
            norm.running_var.uniform_(0.5, 2)
    return model.double(), layers, inputs.double()


NETWORKS = ["mlp", "vgg", "block"]
EVERY_LAYER = [("mlp", 0), ("mlp", 1), ("vgg", 0), ("vgg", 1), ("vgg", 2), ("block", 0)]


def some(n: int, kept: int, seed: int = 0) -> Tensor:
    """Coefficients of n units, `kept` of them above 0, adding up to 1."""
    generator = torch.Generator().manual_seed(seed)
    a = torch.zeros(n, dtype=torch.float64)
    a[torch.randperm(n, generator=generator)[:kept]] = 1 + torch.rand(
        kept, generator=generator, dtype=a.dtype
    )
    return a / a.sum()


def output(model: nn.Module, inputs: Tensor, module: nn.Module | None = None) -> Tensor:
    """What the model, or a module in it, puts out in evaluation mode."""
    seen = []
    handle = (module or model).register_forward_hook(lambda *args: seen.append(args[2]))
    modes = {m: m.training for m in model.modules()}
    with torch.no_grad():
        model.eval()(inputs)
    for m, training in modes.items():
        m.training = training
    handle.remove()
    return seen[0].clone()


def hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


# --- gates and removal ---------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "index"), EVERY_LAYER)
def test_equal_gates_change_nothing(name, index):
    model, layers, inputs = network(name)
    before = output(model, inputs)
    with gated(layers[index], torch.full((layers[index].n,), 1 / layers[index].n)):
        torch.testing.assert_close(output(model, inputs), before)
    assert hooks(model) == 0
    assert torch.equal(output(model, inputs), before)


@pytest.mark.parametrize(("name", "index"), EVERY_LAYER)
def test_a_gate_multiplies_a_units_effect_on_the_consumer(name, index):
    # Scaling the consumer's columns by hand, one unit at a time, is the same thing.
    model, layers, inputs = network(name)
    units = layers[index]
    a = some(units.n, 3)
    with gated(units, a):
        ours = output(model, inputs)
    block = units.consumer.weight.shape[1] // units.n
    with torch.no_grad():
        for i in range(units.n):
            units.consumer.weight[:, i * block : (i + 1) * block] *= units.n * float(a[i])
    torch.testing.assert_close(ours, output(model, inputs))


@pytest.mark.parametrize("kept", [1, 4, None])
@pytest.mark.parametrize(("name", "index"), EVERY_LAYER)
def test_the_shrunk_network_is_the_gated_one_with_smaller_tensors(name, index, kept):
    model, layers, inputs = network(name)
    units = layers[index]
    n, a = units.n, some(units.n, kept or units.n)
    block = units.consumer.weight.shape[1] // n
    with gated(units, a):
        gate_output = output(model, inputs)
    classes = [type(m) for m in model.modules()]
    keep_units(units, a)
    torch.testing.assert_close(output(model, inputs), gate_output, rtol=1e-10, atol=1e-10)
    assert [type(m) for m in model.modules()] == classes
    kept = kept or n
    producer, norm, consumer = units
    assert units.n == kept and producer.weight.shape[0] == kept
    assert consumer.weight.shape[1] == kept * block
    sizes = [producer.out_features if isinstance(producer, nn.Linear) else producer.out_channels]
    sizes.append(
        consumer.in_features // block if isinstance(consumer, nn.Linear) else consumer.in_channels
    )
    if norm is not None:
        sizes += [norm.num_features, len(norm.weight), len(norm.running_var)]
    assert sizes == [kept] * len(sizes)


@pytest.mark.parametrize(("name", "index"), EVERY_LAYER)
def test_all_units_in_equal_parts_leave_the_network_as_it_is(name, index):
    model, layers, inputs = network(name)
    before, out = snapshot(model), output(model, inputs)
    keep_units(layers[index], torch.full((layers[index].n,), 1 / layers[index].n))
    for key, value in snapshot(model).items():
        torch.testing.assert_close(value, before[key])
    torch.testing.assert_close(output(model, inputs), out)


def test_a_shrunk_network_trains_and_keeps_its_frozen_parameters():
    model, layers, inputs = network("vgg")
    model[0].weight.requires_grad_(False)
    keep_units(layers[0], some(8, 3))
    assert isinstance(model[0].weight, nn.Parameter) and not model[0].weight.requires_grad
    assert isinstance(model[4].weight, nn.Parameter) and model[4].weight.requires_grad
    assert isinstance(dict(model.named_buffers())["1.running_mean"], Tensor)
    model(inputs).square().sum().backward()
    assert model[4].weight.grad.shape == model[4].weight.shape
    fresh, _, _ = network("vgg")
    with pytest.raises(RuntimeError, match="size mismatch"):
        fresh.load_state_dict(model.state_dict())


def test_norms_without_parameters_or_statistics_shrink_too():
    model = nn.Sequential(
        nn.Linear(4, 6), nn.BatchNorm1d(6, affine=False, track_running_stats=False), nn.Linear(6, 2)
    ).double()
    inputs = torch.randn(9, 4).double()
    units, a = Units(*model), some(6, 2)
    with gated(units, a):
        expected = output(model, inputs)
    keep_units(units, a)
    torch.testing.assert_close(output(model, inputs), expected)
    assert model[1].num_features == 2


# --- responses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "index"), EVERY_LAYER)
def test_a_response_is_the_consumers_output_with_that_unit_alone(name, index, monkeypatch):
    model, layers, inputs = network(name)
    units = layers[index]
    whole = torch.cat(list(responses(model, units, [inputs])), 1)
    bias = units.consumer.bias
    for i in range(units.n):
        with gated(units, torch.eye(units.n)[i]):
            alone = output(model, inputs, units.consumer)
        if bias is not None:
            alone -= bias.detach().view(-1, *[1] * (alone.ndim - 2))
        torch.testing.assert_close(whole[i], alone.flatten())
    # In blocks, over batches: the same features in another order, hence the same Gram matrix.
    monkeypatch.setattr(responses_module, "CHUNK", 3 * units.n * alone[0].numel())
    blocks = list(responses(model, units, inputs.split(7)))
    assert [len(block[0]) // alone[0].numel() for block in blocks] == [3, 3, 1, 3, 3, 1, 3, 3]
    torch.testing.assert_close(centred_gram(blocks), centred_gram([whole]))


@pytest.mark.parametrize(("name", "index"), EVERY_LAYER)
def test_d_is_the_mean_squared_change_of_what_the_consumer_puts_out(name, index):
    model, layers, inputs = network(name)
    units = layers[index]
    c = centred_gram(responses(model, units, [inputs]))
    a = some(units.n, 3, seed=1)
    before = output(model, inputs, units.consumer)
    with gated(units, a):
        change = output(model, inputs, units.consumer) - before
    assert float(a @ c @ a) == pytest.approx(float(change.square().mean()))


def test_responses_come_in_float64_and_leave_the_model_alone():
    model, layers, inputs = network("vgg")
    model, inputs = model.float(), inputs.float()
    model[5].eval()  # modes may be mixed
    before, modes = snapshot(model), [m.training for m in model.modules()]
    for block in responses(model, layers[1], [inputs]):
        assert block.dtype == torch.float64 and not block.requires_grad
        assert torch.is_grad_enabled()
    choose_better(model, layers[1], [inputs], 3)
    assert all(p.grad is None for p in model.parameters())
    assert same(before, snapshot(model))
    assert modes == [m.training for m in model.modules()] and hooks(model) == 0


def test_channels_last_gives_the_same_responses():
    model, layers, inputs = network("vgg")
    plain = [centred_gram(responses(model, units, [inputs])) for units in layers]
    model = model.to(memory_format=torch.channels_last)
    inputs = inputs.to(memory_format=torch.channels_last)
    for units, expected in zip(layers, plain, strict=True):
        torch.testing.assert_close(centred_gram(responses(model, units, [inputs])), expected)
    keep_units(layers[0], some(8, 3))
    assert output(model, inputs).isfinite().all()


# --- choosing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "index"), EVERY_LAYER)
def test_the_output_discrepancy_is_the_networks_and_its_gradient_right(name, index):
    model, layers, inputs = network(name)
    units = layers[index]
    discrepancy = output_discrepancy(model, units, inputs.split(6))  # 6, 6, 6, 2
    a = some(units.n, 4)
    with gated(units, a):
        change = output(model, inputs)
    change -= output(model, inputs)
    with torch.no_grad():
        assert float(discrepancy(a)) == pytest.approx(float(change.square().mean()))
        assert float(discrepancy(torch.ones_like(a) / units.n)) < 1e-25
    a.requires_grad_()
    (gradient,) = torch.autograd.grad(discrepancy(a), a)
    with torch.no_grad():
        for i in range(units.n):
            tiny = 1e-6 * torch.eye(units.n).double()[i]
            slope = float(discrepancy(a + tiny) - discrepancy(a - tiny)) / 2e-6
            assert float(gradient[i]) == pytest.approx(slope, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(("name", "index"), EVERY_LAYER)
def test_each_choice_lowers_its_own_discrepancy_and_beats_random_units(name, index):
    model, layers, inputs = network(name)
    units = layers[index]
    c = centred_gram(responses(model, units, [inputs]))
    discrepancy = output_discrepancy(model, units, [inputs])
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        draws = [random_units(c, 4, generator) for _ in range(10)]
        local = choose_locally(model, units, [inputs], 4)
        assert local.discrepancy == greedy_line_search(c, 4)[-1].discrepancy
        assert local.discrepancy < min(draw.discrepancy for draw in draws)
        both = choose_globally(model, units, [inputs], 4), local
        values = [float(discrepancy(s.coefficients)) for s in both]
    assert both[0].discrepancy == pytest.approx(values[0])
    assert values[0] < min(float(discrepancy(draw.coefficients).detach()) for draw in draws)


@pytest.mark.parametrize(("name", "index", "winner"), [("vgg", 2, 0), ("mlp", 0, 1)])
def test_better_takes_the_one_that_leaves_the_output_nearer(name, index, winner):
    model, layers, inputs = network(name)
    units = layers[index]
    discrepancy = output_discrepancy(model, units, [inputs])
    both = [choose(model, units, [inputs], 2) for choose in (choose_locally, choose_globally)]
    with torch.no_grad():
        values = [float(discrepancy(s.coefficients)) for s in both]
    assert values[winner] < 0.5 * values[1 - winner]
    better = choose_better(model, units, [inputs], 2)
    assert better.discrepancy == pytest.approx(values[winner])
    assert torch.equal(better.coefficients, both[winner].coefficients)


# --- the whole pass ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_a_pass_is_one_layer_after_the_other_on_the_network_as_it_then_is(name):
    model, layers, inputs = network(name)
    twin = copy.deepcopy(model)
    modules, copies = list(model.modules()), list(twin.modules())
    batches, keep = inputs.split(8), [4, 3, 5][: len(layers)]
    sizes = [units.n for units in layers]
    calls = []

    def fine_tune(network: nn.Module) -> None:
        assert network is model
        calls.append([units.n for units in layers])
        with torch.no_grad():
            for p in network.parameters():
                p.mul_(1.1)

    selections = imitate_layer_by_layer(model, layers, batches, keep, fine_tune=fine_tune)

    assert calls == [keep[: i + 1] + sizes[i + 1 :] for i in range(len(layers))]
    for units, number, ours in zip(layers, keep, selections, strict=True):
        theirs = Units(*(None if m is None else copies[modules.index(m)] for m in units))
        (rows,) = [torch.cat(list(responses(twin, theirs, batches)), 1)]
        expected = greedy_line_search(centred_gram([rows]), number)[-1]
        torch.testing.assert_close(ours.coefficients, expected.coefficients, rtol=0, atol=1e-9)
        keep_units(theirs, expected.coefficients)
        with torch.no_grad():
            for p in twin.parameters():
                p.mul_(1.1)
    torch.testing.assert_close(output(model, inputs), output(twin, inputs))
    assert [units.n for units in layers] == keep == [s.kept for s in selections]
    assert all(m.training for m in model.modules()) and hooks(model) == 0


def test_a_pass_takes_another_choice():
    model, layers, inputs = network("mlp")
    twin = copy.deepcopy(model)
    seen = []

    def first_units(net: nn.Module, units: Units, batches: list[Tensor], keep: int):
        seen.append((net is model, units, [len(b) for b in batches], keep))
        discrepancy = output_discrepancy(net, units, batches)
        return greedy_first_order(discrepancy, units.n, keep)[0]

    selections = imitate_layer_by_layer(model, layers, [inputs], [4, 2], first_units)
    assert seen == [(True, layers[0], [20], 4), (True, layers[1], [20], 2)]
    assert [s.kept for s in selections] == [1, 1]
    assert model[2].weight.shape == (1, 1) and twin[2].weight.shape == (10, 12)


def test_a_pass_over_a_wide_network_stays_near_it_where_a_random_one_does_not():
    torch.manual_seed(1)
    model = mlp(6, 80, 60, 3).double()
    inputs, held_out = torch.randn(300, 6).double(), torch.randn(300, 6).double()
    before = output(model, held_out)

    def random_choice(net, units, batches, keep):
        c = centred_gram(responses(net, units, batches))
        return random_units(c, keep, torch.Generator().manual_seed(keep))

    errors = []
    for choose in (choose_locally, choose_globally, random_choice):
        thin = copy.deepcopy(model)
        layers = [Units(thin[0], None, thin[2]), Units(thin[2], None, thin[4])]
        imitate_layer_by_layer(thin, layers, [inputs], [20, 15], choose)
        assert thin[2].weight.shape == (15, 20)
        errors.append(float((output(thin, held_out) - before).square().mean() / before.var()))
    assert max(errors[:2]) < 0.1 * errors[2] and max(errors[:2]) < 1


# --- errors --------------------------------------------------------------------------------------


def refuses(call, model: nn.Module, match: str) -> None:
    """The call raises a ValueError, and weights, shapes, modes and hooks are as before."""
    before, modes = snapshot(model), [m.training for m in model.modules()]
    with pytest.raises(ValueError, match=match):
        call()
    assert same(before, snapshot(model)) and hooks(model) == 0
    assert modes == [m.training for m in model.modules()]


GOOD = [nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 2)]


@pytest.mark.parametrize(
    ("producer", "norm", "consumer", "match"),
    [
        (nn.ReLU(), None, GOOD[2], "producer is a ReLU"),
        (GOOD[0], None, nn.BatchNorm1d(6), "consumer is a BatchNorm1d"),
        (MaskedLinear(4, 6), None, GOOD[2], "producer is a MaskedLinear"),
        (nn.Conv2d(4, 6, 3, groups=2), None, GOOD[2], "producer is a convolution with 2 groups"),
        (GOOD[0], None, nn.Conv2d(6, 6, 3, groups=6), "consumer is a convolution with 6 groups"),
        (GOOD[0], nn.LayerNorm(6), GOOD[2], "norm is a LayerNorm"),
        (GOOD[0], nn.BatchNorm1d(5), GOOD[2], "norm has 5 channels for 6 units"),
        (GOOD[0], None, nn.Linear(8, 2), "reads 8 inputs.*from 6 units"),
        (nn.Conv2d(4, 3, 1), None, nn.Conv2d(6, 2, 1), "reads 6 inputs.*from 3 units"),
    ],
)
def test_modules_that_do_not_fit_are_named(producer, norm, consumer, match):
    units = Units(producer, norm, consumer)
    model = nn.Sequential(producer, consumer)
    a = torch.full((6,), 1 / 6)
    inputs = [torch.zeros(2, 4)]
    refuses(lambda: keep_units(units, a), model, match)
    refuses(lambda: gated(units, a).__enter__(), model, match)
    refuses(lambda: next(responses(model, units, inputs)), model, match)
    refuses(lambda: output_discrepancy(model, units, inputs), model, match)
    refuses(lambda: imitate_layer_by_layer(model, [units], inputs, [1]), model, match)


@pytest.mark.parametrize(
    ("a", "match"),
    [
        (torch.ones(5), r"\(5,\) for 6 units"),
        (torch.ones(6, 1), r"\(6, 1\) for 6 units"),
        (torch.zeros(6), "not all 0"),
        (torch.tensor([1.0, 0, 0, 0, 0, -0.1]), "-0.1"),
        (torch.tensor([1.0, 0, 0, 0, 0, float("nan")]), "nan"),
        (torch.tensor([1.0, 0, 0, 0, 0, float("inf")]), "inf"),
    ],
)
def test_coefficients_that_mean_nothing_are_refused(a, match):
    model = nn.Sequential(*copy.deepcopy(GOOD))
    refuses(lambda: keep_units(Units(*model), a), model, match)
    if a.shape != (6,):
        refuses(lambda: gated(Units(*model), a).__enter__(), model, match)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda layers, b, k: (layers, b, [4]), "keep has 1 numbers for 2 layers"),
        (lambda layers, b, k: (layers, b, [4, 0]), "keep is 0"),
        (lambda layers, b, k: (layers, b, [4, 11]), "keep is 11.*the 10 units"),
        (lambda layers, b, k: (layers, [], k), "batches is empty"),
        (lambda layers, b, k: ([layers[0], layers[0]], b, k), "same producer twice"),
        (
            lambda layers, b, k: (
                [layers[0], Units(layers[0].consumer, None, nn.Linear(10, 3))],
                b,
                k,
            ),
            "not all modules of the model",
        ),
    ],
)
def test_a_pass_checks_everything_before_it_changes_anything(change, match):
    model, layers, inputs = network("mlp")
    layers, batches, keep = change(layers, [inputs], [4, 3])
    refuses(lambda: imitate_layer_by_layer(model, layers, batches, keep), model, match)


def test_a_consumer_that_is_never_called_is_named_before_anything_changes():
    model, layers, inputs = network("mlp")
    model.spare = nn.Linear(10, 3).double()  # Sequential would call it
    model.forward = lambda x: nn.Sequential(*list(model)[:-1])(x)
    layers[1] = Units(model[2], None, model.spare)
    refuses(lambda: imitate_layer_by_layer(model, layers, [inputs], [4, 3]), model, "does not call")
    refuses(lambda: list(responses(model, layers[1], [inputs])), model, "does not call")


def test_no_batches_and_impossible_numbers_for_one_layer():
    model, layers, inputs = network("mlp")
    refuses(lambda: output_discrepancy(model, layers[0], []), model, "0 batches")
    for choose in (choose_locally, choose_globally, choose_better):
        refuses(lambda c=choose: c(model, layers[0], [inputs], 13), model, "keep is 13")
        refuses(lambda c=choose: c(model, layers[0], [inputs], 0), model, "keep is 0")
        refuses(lambda c=choose: c(model, layers[0], [], 2), model, "batch")


def test_an_error_in_the_network_leaves_no_hook_and_no_mode_behind():
    model, layers, _ = network("vgg")
    wrong = torch.zeros(2, 3, 8, 8).double()
    before = [m.training for m in model.modules()]
    for call in (
        lambda: list(responses(model, layers[0], [wrong])),
        lambda: output_discrepancy(model, layers[0], [wrong]),
    ):
        with pytest.raises(RuntimeError):
            call()
    with pytest.raises(KeyError), gated(layers[0], torch.ones(8)):
        raise KeyError
    assert hooks(model) == 0 and before == [m.training for m in model.modules()]
