"""What users do that the invariant does not foresee: it holds all the same, or an error says why.

The invariant: weights, gradients at the optimizer's step, and optimizer state are 0 off the mask.
"""

import copy
import gc

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rigl_edu import DSR, SET, SNFS, GradualPruning, RigL, RigLSM, Static, density, sparsify
from rigl_edu.sparse import (
    compress,
    decompress,
    distributions,
    initialise_per_neuron,
    keep_per_layer,
    masked_layers,
    prune,
    rewind,
    snapshot,
    sparse_layers,
)
from rigl_edu.sparse.interpolation import copy_state, interpolate, path
from rigl_edu.sparse.shrink import shrink

CLASSES = 5


def net(*, width=16, seed=0):
    torch.manual_seed(seed)
    first, second, last = nn.Linear(8, width), nn.Linear(width, width), nn.Linear(width, CLASSES)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), last)


def sgd(model, lr=0.1):
    return torch.optim.SGD(model.parameters(), lr, momentum=0.9, weight_decay=1e-2)


def backward(model, t, scale=1.0):
    g = torch.Generator().manual_seed(t)
    x, y = torch.randn(32, 8, generator=g), torch.randint(0, CLASSES, (32,), generator=g)
    model.zero_grad()
    (scale * F.cross_entropy(model(x.to(next(model.parameters()).dtype)), y)).backward()


def leaks(model):
    return [name for name, layer in masked_layers(model).items() if layer.leak()]


# --- letting go of a rule ----------------------------------------------------------------------


@pytest.mark.parametrize("rule_class", [RigL, SNFS])
@pytest.mark.parametrize("how", ["close", "del"])
def test_an_optimizer_alone_goes_on_where_a_rule_stopped(rule_class, how):
    model = sparsify(net(), 0.3)
    optimizer = sgd(model)
    rule = rule_class(model, optimizer, every=3, until=100)
    for t in range(5):  # the sixth step would rewire
        backward(model, t)
        rule.step()
    assert model[0].keep_dense_gradient
    if how == "close":
        rule.close()
    else:
        del rule
        gc.collect()
    fresh = sgd(model)
    for t in range(5, 8):
        backward(model, t)
        fresh.step()
        assert leaks(model) == []


def test_a_closed_rule_asks_for_nothing_and_says_so():
    model = sparsify(net(), 0.3)
    rule = RigL(model, sgd(model), every=2, until=100)
    rule.close()
    backward(model, 0)
    rule.step()
    backward(model, 1)
    with pytest.raises(ValueError, match="'0' is known on its mask only"):
        rule.step()


def test_a_copy_asks_its_own_layers_and_outlives_the_original():
    model = sparsify(net(), 0.3)
    optimizer = sgd(model)
    rule = RigL(model, optimizer, every=2, until=100)
    backward(model, 0)
    rule.step()
    twin_model, _, twin = copy.deepcopy((model, optimizer, rule))
    del rule
    gc.collect()
    assert not model[0].keep_dense_gradient and twin_model[0].keep_dense_gradient
    backward(twin_model, 1)
    twin.step()
    assert twin.last_update and leaks(twin_model) == []


# --- gradients and weights from elsewhere --------------------------------------------------------


def test_a_second_step_after_a_rewiring_sees_no_dense_gradient():
    model = sparsify(net(), 0.3)
    rule = RigL(model, sgd(model), every=2, until=100)
    for t in (0, 1):
        backward(model, t)
        rule.step()
    rule.step()  # no new backward pass: the gradient is still the dense one of the rewiring
    assert leaks(model) == []


def test_a_gradient_written_by_hand_is_masked_by_the_rule():
    model = sparsify(net(), 0.3)
    rule = Static(model, sgd(model))
    for _ in range(2):
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        rule.step()
        assert leaks(model) == []


def test_reset_parameters_keeps_the_mask():
    model = sparsify(net(), 0.3)
    before = model[0].weight.detach().clone()
    model[0].reset_parameters()
    assert leaks(model) == [] and not torch.equal(model[0].weight, before)


@pytest.mark.parametrize("damage", ["drawn", "replaced"])
def test_weights_off_the_mask_are_refused_before_a_step(damage):
    model = sparsify(net(), 0.3)
    optimizer = sgd(model)
    rule = Static(model, optimizer)
    if damage == "drawn":
        nn.init.kaiming_normal_(model[2].weight)
    else:
        model[2].weight.data = torch.ones_like(model[2].weight)
    backward(model, 0)
    before = snapshot(model)
    with pytest.raises(ValueError, match=r"\['2'\] have weights off their masks.*set_mask"):
        rule.step()
    assert all(torch.equal(v, before[n]) for n, v in snapshot(model).items())
    model[2].set_mask(model[2].mask)
    backward(model, 0)
    rule.step()
    assert leaks(model) == []


def test_a_nan_in_the_first_batch_is_called_one():
    model = sparsify(net(), 0.3)
    rule = Static(model, sgd(model))
    backward(model, 0, scale=float("nan"))
    with pytest.raises(ValueError, match="not finite after a step"):
        rule.step()


class LateMover(torch.optim.SGD):
    """Moves everything, but only once its rate has warmed up."""

    def step(self, closure=None):
        super().step(closure)
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.add_(group["lr"])


def test_an_optimizer_that_begins_to_move_after_a_warm_up_is_found_after_the_rewiring():
    model = sparsify(net(), 0.3)
    optimizer = LateMover(model.parameters(), 0.0)
    rule = RigL(model, optimizer, every=3, until=100)
    backward(model, 0)
    rule.step()  # at rate 0 it moves nothing
    optimizer.param_groups[0]["lr"] = 0.1
    with pytest.raises(ValueError, match="LateMover moved weights"):
        for t in range(1, 6):
            backward(model, t)
            rule.step()
    assert leaks(model) == []


def test_a_mask_set_by_hand_takes_the_optimizers_state_along():
    model = sparsify(net(), 1.0)
    optimizer = sgd(model)
    for t in range(3):
        backward(model, t)
        optimizer.step()
    for layer in masked_layers(model).values():
        layer.set_mask(torch.rand_like(layer.mask) < 0.3, optimizer)
    for t in range(3):
        backward(model, t)
        optimizer.step()
        assert leaks(model) == []
    with pytest.raises(ValueError, match="other than 0 and 1"):
        model[0].set_mask(torch.full_like(model[0].mask, 0.5))


# --- what a rule needs, said at once -------------------------------------------------------------


@pytest.mark.parametrize("make", [SET, lambda m, o, **s: DSR(m, o, **s)])
def test_rules_without_gradients_rewire_frozen_and_unused_layers(make):
    model = sparsify(net(), 0.3)
    model[0].weight.requires_grad_(False)
    rule = make(model, sgd(model), every=2, until=100)
    for t in range(5):
        backward(model, t)
        assert not model[2].keep_dense_gradient
        rule.step()
    assert rule.last_update and density(model) == pytest.approx(0.3, abs=0.01)


def test_rules_with_gradients_refuse_frozen_layers_at_once():
    model = sparsify(net(), 0.3)
    model[0].weight.requires_grad_(False)
    with pytest.raises(ValueError, match=r"\['0'\] are frozen"):
        RigL(model, sgd(model), every=2, until=100)
    Static(model, sgd(model))


def test_steps_are_whole_numbers():
    model = sparsify(net(), 0.3)
    with pytest.raises(ValueError, match=r"every=33\.3.*whole numbers"):
        RigL(model, sgd(model), every=33.3, until=100)


def test_rigl_sm_refuses_an_optimizer_without_momentum_at_once():
    model = sparsify(net(), 0.3)
    with pytest.raises(ValueError, match="SGD keeps no momentum"):
        RigLSM(model, torch.optim.SGD(model.parameters(), 0.1), every=50, until=100)


def test_gradual_pruning_refuses_a_density_that_leaves_a_layer_nothing():
    model = sparsify(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 200)), 1.0)
    with pytest.raises(ValueError, match="layer '0'.*leaves none"):
        GradualPruning(model, sgd(model), 0.05, keep=keep_per_layer, until=200)


def test_dsr_refuses_to_move_more_weights_than_there_are():
    model = sparsify(net(), 0.3)
    with pytest.raises(ValueError, match="target is 20000; it must be below"):
        DSR(model, sgd(model), target=20000, until=100)


def test_a_lazy_layer_is_named():
    with pytest.raises(TypeError, match="'0' is a LazyLinear.*run one batch"):
        sparsify(nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.Linear(4, 4)), 0.5)


def test_a_convolution_with_its_own_product_is_refused():
    class Standardised(nn.Conv2d):
        def _conv_forward(self, x, weight, bias):
            return super()._conv_forward(x, weight - weight.mean(), bias)

    with pytest.raises(TypeError, match="'0' is a Standardised"):
        sparsify(nn.Sequential(Standardised(3, 4, 3), nn.Conv2d(4, 4, 3)), 0.5)


def test_uniform_as_a_function_is_uniform_by_name():
    one, two = sparsify(net(), 0.3, "uniform"), sparsify(net(), 0.3, distributions.uniform)
    assert list(masked_layers(one)) == list(masked_layers(two)) == ["2", "4"]
    for name, layer in masked_layers(one).items():
        assert torch.equal(layer.mask, masked_layers(two)[name].mask)


# --- compressed layers --------------------------------------------------------------------------


def wide():
    return sparsify(net(width=600), 0.05)


def test_attention_is_left_alone():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(512, 8, 1024, dropout=0.0, batch_first=True)
    model = nn.Sequential(sparsify(layer, 0.05), nn.Linear(512, 3))
    x = torch.randn(2, 4, 512)
    with torch.no_grad():
        expected = model(x), model.eval()(x)
    compress(model.train())
    with torch.no_grad():
        assert torch.equal(model(x), expected[0])
        assert torch.equal(model.eval()(x), expected[1])
    for name in ("0.self_attn.out_proj", "0.linear1"):
        with pytest.raises(ValueError, match="reads its weight without calling it"):
            compress(model, [name])


@pytest.mark.parametrize("turn", [compress, decompress])
def test_compressing_before_a_rewiring_changes_nothing(turn):
    masks = []
    for turned in (False, True):
        model = wide()
        optimizer = sgd(model)
        if turn is decompress:
            compress(model, optimizer=optimizer)
        rule = RigL(model, optimizer, every=5, until=100)
        for t in range(5):
            if turned and t == 4:
                turn(model, optimizer=optimizer)
            backward(model, t)
            rule.step()
        masks.append([layer.mask.bool() for layer in sparse_layers(model).values()])
        assert rule.last_update and sum(u.grown for u in rule.last_update) > 100
    # Rounding may decide a close call; growing by index would share next to nothing.
    for one, two in zip(*masks, strict=True):
        assert (one & two).sum() > 0.99 * one.sum()


def test_a_dense_gradient_follows_what_was_done_to_the_listed_one():
    """A GradScaler divides `.grad`; claims of masked and compressed layers must stay comparable."""
    counts = []
    for compressed in (False, True):
        model = wide().double()
        if compressed:
            compress(model, ["2"])
        optimizer = sgd(model)
        rule = SNFS(model, optimizer, every=5, until=100)
        for t in range(11):
            backward(model, t, scale=1024)
            for parameter in model.parameters():
                parameter.grad /= 1024
            rule.step()
        counts.append([layer.active for layer in sparse_layers(model).values()])
    assert counts[0] == pytest.approx(counts[1], abs=3)


@pytest.mark.parametrize(
    "use",
    [
        lambda m: rewind(m, snapshot(decompress(copy.deepcopy(m)))),
        lambda m: snapshot(m),
        lambda m: prune(m, 0.01),
        lambda m: initialise_per_neuron(m),
        lambda m: masked_layers(m),
        lambda m: path(m, copy_state(m), copy_state(m), lambda net: 0.0, [0, 1]),
    ],
)
def test_functions_of_masks_refuse_compressed_layers(use):
    model = compress(wide())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=r"layers \[.*'2'.*\] are compressed"):
        use(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


# --- smaller things -----------------------------------------------------------------------------


def test_infinite_buffers_survive_a_walk():
    state = {"mask_of_attention": torch.tensor([0.0, -torch.inf]), "w": torch.tensor([1.0, 3.0])}
    other = {"mask_of_attention": torch.tensor([0.0, -torch.inf]), "w": torch.tensor([2.0, 3.0])}
    point = interpolate(state, other, 0.5)
    assert torch.equal(point["mask_of_attention"], state["mask_of_attention"])
    assert torch.equal(point["w"], torch.tensor([1.5, 3.0]))


def test_shrinking_keeps_the_arguments_of_flatten():
    torch.manual_seed(0)
    layers = nn.Flatten(2), nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 4)
    model = sparsify(nn.Sequential(*layers), 0.05)
    x = torch.randn(2, 3, 4, 5)
    small = shrink(model)
    assert torch.allclose(small(x), model(x), atol=1e-6) and small[1].out_features < 30
