"""Bad input: a message that names the value and what is allowed, and nothing is changed."""

import copy

import pytest
import torch
import torch.nn.utils.prune
from torch import nn

from rigl_edu.sparse import (
    SET,
    SNFS,
    MaskedLinear,
    RigL,
    Static,
    UpdateRule,
    active_counts,
    density,
    er,
    erk,
    forward_flops,
    gradient,
    magnitude,
    masked_layers,
    sparsify,
    uniform,
)
from tests.sparse.models import (
    CLASSES,
    backward,
    convnet,
    masks_of,
    mlp,
    same,
    snapshot,
    state_off_mask,
)


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)


def refuses(call, model: nn.Module, match: str, kind=ValueError) -> None:
    """The call raises, and the model's classes, weights, masks and modes are as before."""
    classes = [type(module) for module in model.modules()]
    flags = [p.requires_grad for p in model.parameters()]
    before = snapshot(model)
    with pytest.raises(kind, match=match):
        call()
    assert [type(module) for module in model.modules()] == classes
    assert [p.requires_grad for p in model.parameters()] == flags
    assert same(before, snapshot(model))


# --- sparsify --------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [0, -0.1, 1.0001, float("nan"), float("inf")])
@pytest.mark.parametrize("distribution", ["erk", "er", "uniform"])
def test_impossible_density(d, distribution):
    model = convnet()
    refuses(
        lambda: sparsify(model, d, distribution),
        model,
        rf"density is {d}; it must be above 0 and at most 1",
    )
    for distribute in (uniform, er, erk):
        with pytest.raises(ValueError, match=rf"density is {d};"):
            distribute({"a": (3, 4)}, d)


@pytest.mark.parametrize("distribution", ["erk", "er", "uniform"])
def test_a_density_too_small_for_one_weight_in_a_layer(distribution):
    model = mlp(30, 40, CLASSES)
    refuses(
        lambda: sparsify(model, 1e-4, distribution),
        model,
        r"leaves layer '\d' with none of its \d+ weights; it needs at least 0\.0",
    )


def test_unknown_distribution():
    model = mlp(4, 5, CLASSES)
    refuses(lambda: sparsify(model, 0.5, "erdos"), model, "'erdos'.*'uniform', 'er', 'erk'")


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"0": 0.5}, r"\['2'\]"),
        ({"0": 0.5, "2": 0.5, "4": 0.5}, r"\['4'\]"),
        ({"0": 0.5, "2": 1.5}, "density of layer '2' is 1.5; .*above 0 and at most 1"),
        ({"0": 0.0, "2": 0.5}, "density of layer '0' is 0.0;"),
    ],
)
@pytest.mark.parametrize("as_function", [False, True])
def test_densities_by_layer(given, match, as_function):
    """Given as a mapping, or by a function of one's own."""
    model = mlp(4, 6, CLASSES)
    distribution = (lambda shapes, d: given) if as_function else given
    refuses(lambda: sparsify(model, 0.5, distribution), model, match)


def test_unknown_names_in_dense():
    model = mlp(4, 6, CLASSES)
    refuses(lambda: sparsify(model, 0.5, dense=["0", "head"]), model, r"\['head'\].*\['0', '2'\]")
    refuses(lambda: sparsify(model, 0.5, dense="0"), model, "'0'.*list of layer names")


def test_a_second_sparsify():
    model = sparsify(mlp(4, 6, CLASSES), 0.5)
    refuses(lambda: sparsify(model, 0.2), model, "'0' has a mask already")


@pytest.mark.parametrize("distribution", ["erk", "uniform"])
def test_nothing_to_mask(distribution):
    empty = nn.Sequential(nn.BatchNorm1d(3), nn.ReLU())
    refuses(lambda: sparsify(empty, 0.5, distribution), empty, "no Linear or Conv2d")
    with pytest.raises(ValueError, match="no Linear or Conv2d"):
        density(empty)
    model = mlp(4, 6, CLASSES)
    refuses(lambda: sparsify(model, 0.5, distribution, dense=["0", "2"]), model, "no Linear or")


def test_uniform_on_a_single_layer_leaves_nothing_to_mask():
    """Its first layer is its only one; to return it dense at density 0.1 would be a lie."""
    model = nn.Sequential(nn.Linear(8, 8))
    refuses(lambda: sparsify(model, 0.1, "uniform"), model, "first layer")


def test_a_layer_with_a_forward_of_its_own():
    class Doubled(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    model = nn.Sequential(nn.Linear(4, 4), Doubled(4, 4))
    refuses(lambda: sparsify(model, 0.5), model, "'1' is a Doubled.*dense=", TypeError)
    assert list(masked_layers(sparsify(model, 0.5, dense=["1"]))) == ["0"]


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(9, 6)
        self.hidden = nn.Linear(6, 6)
        self.out = nn.Linear(6, 9)
        self.out.weight = self.embed.weight


def test_a_shared_weight():
    model = Tied()
    refuses(lambda: sparsify(model, 0.5), model, r"embed\.weight.*out\.weight.*dense=")
    assert list(masked_layers(sparsify(model, 0.5, dense=["out"]))) == ["hidden"]


def test_a_layer_under_two_names_is_one_layer():
    shared = nn.Linear(6, 6)
    model = sparsify(nn.Sequential(shared, nn.ReLU(), shared), 0.5)
    assert list(masked_layers(model)) == ["0"] and density(model) == 0.5


@pytest.mark.parametrize("how", ["parametrized", "pruned"])
def test_a_weight_that_is_not_a_parameter(how):
    """Parametrized and torch-pruned layers compute their weight: a mask on it would be lost."""
    model = mlp(4, 6, CLASSES)
    if how == "parametrized":
        torch.nn.utils.parametrizations.weight_norm(model[2])
    else:
        torch.nn.utils.prune.random_unstructured(model[2], "weight", 0.5)
    refuses(lambda: sparsify(model, 0.5), model, "'2'.*dense=", (TypeError, ValueError))


@pytest.mark.parametrize("when", ["before sparsify", "after sparsify"])
@pytest.mark.parametrize("rule_class", [None, Static])
def test_frozen_layers_can_be_masked_copied_and_thawed(when, rule_class):
    """Fine-tuning freezes layers: they are masked like all others, and again trainable later."""
    model = mlp(4, 6, 5, CLASSES)
    if when == "before sparsify":
        model[2].requires_grad_(False)
    sparsify(model, 0.5)
    model[2].requires_grad_(False)
    model = copy.deepcopy(model)
    optimizer = sgd(model)
    stepper = optimizer if rule_class is None else rule_class(model, optimizer)
    frozen = model[2].weight.clone()
    assert not frozen[model[2].mask == 0].any()
    backward(model, 0)
    stepper.step()
    assert torch.equal(model[2].weight, frozen) and not model[2].weight.requires_grad
    model[2].requires_grad_(True)
    for t in range(3):
        backward(model, t)
        stepper.step()
    assert not torch.equal(model[2].weight, frozen)
    assert state_off_mask(model, optimizer) == []


def test_active_counts_names_the_layer():
    with pytest.raises(ValueError, match="density of layer 'a' is 2;"):
        active_counts({"a": (2, 2)}, {"a": 2})
    with pytest.raises(ValueError, match=r"density 0\.1 leaves layer 'a' .* 4 weights.* 0\.25"):
        active_counts({"a": (2, 2)}, {"a": 0.1})


def test_a_mask_of_another_shape():
    layer = MaskedLinear(3, 2)
    refuses(lambda: layer.set_mask(torch.ones(3, 2)), layer, r"\(3, 2\).*\(2, 3\)")


# --- rules -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"every": 0, "until": 10}, "every=0"),
        ({"every": -5, "until": 10}, "every=-5"),
        ({"every": 10, "until": 0}, "until=0"),
        ({"every": 10}, "until=0"),
        ({"every": 10, "until": 99, "fraction": 0.0}, "fraction is 0.0; .*above 0 and below 1"),
        ({"every": 10, "until": 99, "fraction": 1.0}, "fraction is 1.0; .*above 0 and below 1"),
        ({"every": 10, "until": 99, "fraction": -0.3}, "fraction is -0.3"),
        ({"every": 10, "until": 99, "fraction": float("nan")}, "fraction is nan"),
        ({"every": 10, "until": 99, "regrown": "zero"}, "'zero'; it must be 'keep' or 'reset'"),
    ],
)
@pytest.mark.parametrize("rule_class", [SET, SNFS, RigL])
def test_impossible_schedules(rule_class, options, match):
    model = sparsify(mlp(4, 6, CLASSES), 0.5)
    refuses(lambda: rule_class(model, sgd(model), **options), model, match)


@pytest.mark.parametrize("decay", [-0.1, 1.0, 2.0])
def test_impossible_dense_momentum(decay):
    model = sparsify(mlp(4, 6, CLASSES), 0.5)
    refuses(
        lambda: UpdateRule(
            model,
            sgd(model),
            drop=magnitude,
            grow=gradient,
            every=2,
            until=9,
            dense_momentum=decay,
        ),
        model,
        f"dense_momentum is {decay}; it must be at least 0 and below 1",
    )


def test_drop_without_grow():
    model = sparsify(mlp(4, 6, CLASSES), 0.5)
    for drop, grow in ((magnitude, None), (None, gradient)):
        with pytest.raises(ValueError, match="both drop and grow, or neither"):
            UpdateRule(model, sgd(model), drop=drop, grow=grow, every=2, until=9)


def test_a_model_that_is_not_sparse():
    model = mlp(4, 6, CLASSES)
    refuses(lambda: Static(model, sgd(model)), model, r"no masked layer; call sparsify")


def test_an_optimizer_of_another_model():
    model = sparsify(mlp(4, 6, CLASSES), 0.5)
    other = torch.optim.SGD(model[0].parameters(), 0.1)
    refuses(lambda: Static(model, other), model, r"does not own.*\['2'\]")


@pytest.mark.parametrize("rule_class", [SNFS, RigL])
def test_a_step_without_gradients(rule_class):
    model = sparsify(mlp(4, 6, CLASSES), 0.5)
    rule = rule_class(model, sgd(model), every=2, until=9)
    backward(model, 0)
    rule.step()
    model.zero_grad()
    refuses(rule.step, model, r"'0' has no gradient; call backward\(\)")
    assert rule.t == 1
    backward(model, 1)
    rule.step()
    assert rule.t == 2 and rule.last_update is not None


@pytest.mark.parametrize("bad", ["drop", "grow", "redistribute", "last layer"])
def test_an_error_in_a_criterion_changes_nothing(bad):
    """Also not in the layers before the one that failed, nor in the optimizer."""
    model = sparsify(mlp(4, 6, CLASSES), 0.5)

    def broken(layer):
        if bad == "last layer" and layer.name == "0":
            return layer.weight.abs()
        return layer.weight.abs()[0]

    optimizer = sgd(model)
    rule = UpdateRule(
        model,
        optimizer,
        drop=broken if bad == "drop" else magnitude,
        grow=broken if bad in ("grow", "last layer") else gradient,
        redistribute=(lambda layer: -1.0) if bad == "redistribute" else None,
        every=2,
        until=9,
        fraction=0.9,
    )
    backward(model, 0)
    rule.step()
    momentum = [s["momentum_buffer"].clone() for s in optimizer.state.values()]
    backward(model, 1)
    refuses(rule.step, model, "scores")
    after = [s["momentum_buffer"] for s in optimizer.state.values()]
    assert all(torch.equal(a, b) for a, b in zip(momentum, after, strict=True))
    assert rule.t == 1 and rule.last_update is None


def test_momentum_scores_need_a_momentum():
    from rigl_edu.sparse.criteria import momentum

    model = sparsify(mlp(4, 6, CLASSES), 0.5)
    rule = UpdateRule(model, sgd(model), drop=magnitude, grow=momentum, every=1, until=9)
    backward(model, 0)
    refuses(rule.step, model, r"dense momentum: dense_momentum=0\.9")


# --- states ----------------------------------------------------------------------------------


def snfs_state(**changes):
    model = sparsify(mlp(4, 6, CLASSES), 0.5)
    rule = SNFS(model, sgd(model), every=2, until=9)
    backward(model, 0)
    rule.step()
    return rule.state_dict() | changes


@pytest.mark.parametrize(
    ("state", "match"),
    [
        ({"t": 3}, r"\['t'\]; it must have \['generator', 'momentum', 't'\]"),
        (snfs_state() | {"masks": {}}, r"masks.*must have"),
        (snfs_state(momentum={"9": torch.zeros(2)}), r"\['9'\]"),
        (snfs_state(momentum={"0": torch.zeros(2)}), r"\(2,\).*'0'.*\(6, 4\)"),
    ],
)
def test_states_that_do_not_fit(state, match):
    model = sparsify(mlp(4, 6, CLASSES), 0.5)
    rule = SNFS(model, sgd(model), every=2, until=9)
    backward(model, 0)
    rule.step()
    before = rule.state_dict()
    refuses(lambda: rule.load_state_dict(state), model, match)
    assert rule.t == 1 and same(rule.state_dict()["momentum"], before["momentum"])


def test_a_state_of_another_kind_of_rule():
    model = sparsify(mlp(4, 6, CLASSES), 0.5)
    rule = RigL(model, sgd(model), every=2, until=9)
    refuses(lambda: rule.load_state_dict(snfs_state()), model, "keeps none")
    assert rule.t == 0 and masks_of(model)


# --- FLOPs -----------------------------------------------------------------------------------


def test_layers_that_are_never_called_cannot_be_counted():
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            return self.used(x)

    model = sparsify(Idle(), 0.5)
    refuses(lambda: forward_flops(model, (4,)), model, r"\['idle'\] were not called")
    assert not any(m._forward_hooks for m in model.modules())


def test_a_failing_forward_leaves_no_hooks_and_no_mode_behind():
    model = sparsify(convnet(norm=True), 0.5)
    refuses(lambda: forward_flops(model, (9, 9)), model, "channels", RuntimeError)
    assert not any(m._forward_hooks for m in model.modules()) and model.training


def test_a_model_without_parameters_costs_nothing_or_says_so():
    """Not a bare StopIteration, which would silently end a caller's loop."""
    try:
        assert forward_flops(nn.Sequential(nn.ReLU()), (3,)) == 0
    except ValueError as error:
        assert "no Linear or Conv2d" in str(error)
