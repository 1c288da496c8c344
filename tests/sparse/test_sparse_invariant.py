"""The one invariant, over random networks, densities, rules, optimizers and ways to train.

Weights, gradients at the optimizer's step and optimizer state are zero off the mask, masks are
made of zeros and ones, and their number of ones is exact, always.
"""

import contextlib

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from rigl_edu.sparse import (
    SET,
    RigL,
    Static,
    density,
    layer_table,
    masked_layers,
    rewires_at,
    sparsify,
)
from tests.sparse.models import (
    CLASSES,
    backward,
    batch,
    convnet,
    counts_of,
    masks_of,
    mlp,
    same,
    snapshot,
    state_off_mask,
)
from tests.sparse.rules import LAYERS_KEEP, NETWORK_KEEPS, RULES, SGD_ONLY, make_rule, masked

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True, weight_decay=5e-4),
    "adam": lambda p: torch.optim.Adam(p, 1e-3, weight_decay=1e-3),
    "adamw amsgrad": lambda p: torch.optim.AdamW(p, 1e-3, amsgrad=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 1e-3, momentum=0.5, centered=True),
}
UPDATES, EXAMPLES = 14, 26  # times three rules: 1 092 rewirings in test_counts_and_zeros


@st.composite
def networks(draw) -> nn.Module:
    seed = draw(st.integers(0, 99))
    if draw(st.booleans()):
        hidden = draw(st.lists(st.integers(2, 12), min_size=1, max_size=3))
        return mlp(draw(st.integers(2, 9)), *hidden, CLASSES, seed=seed)
    model = convnet(
        width=draw(st.integers(2, 4)),
        groups=draw(st.integers(1, 3)),
        kernel=draw(st.sampled_from([(3, 3), (1, 1), (1, 3), (5, 1)])),
        norm=draw(st.booleans()),
        seed=seed,
    )
    if draw(st.booleans()):
        model.to(memory_format=torch.channels_last)
    return model


def sparse_or_skip(model: nn.Module, d: float, distribution: str, seed: int) -> None:
    """sparsify, and forget examples whose density leaves a layer empty (an error of its own)."""
    with impossible_densities_forgotten():
        sparsify(model, d, distribution, seed)
    assume(masked_layers(model))


@contextlib.contextmanager
def impossible_densities_forgotten():
    try:
        yield
    except ValueError as error:
        assume("with none of its" not in str(error))
        assume("leaves no weight for convolutions" not in str(error))
        raise


@settings(max_examples=150)
@given(networks(), st.floats(0.02, 1), st.sampled_from(["erk", "er", "uniform"]))
def test_sparsify_is_exact(model, d, distribution):
    total = sum(p.numel() for n, p in model.named_parameters() if p.ndim > 1)
    before = {name: p.clone() for name, p in model.named_parameters()}
    sparse_or_skip(model, d, distribution, seed=0)
    rows = layer_table(model)
    assert state_off_mask(model, torch.optim.SGD(model.parameters(), 0.1)) == []
    assert sum(row.total for row in rows) == total
    if distribution == "uniform":
        assert rows[0].density == 1
        assert abs(sum(row.active for row in rows[1:]) - d * (total - rows[0].total)) <= 0.5 + 1e-6
        assert all(abs(row.active - d * row.total) < 1 for row in rows[1:])
    else:
        assert abs(sum(row.active for row in rows) - d * total) <= 0.5 + 1e-6
    assert density(model) == sum(row.active for row in rows) / total
    for name, parameter in model.named_parameters():  # what is on the mask is as it was
        layer = masked_layers(model).get(name.rpartition(".")[0])
        on = torch.ones_like(parameter) if layer is None or "bias" in name else layer.mask
        assert torch.equal(parameter, before[name] * on)


@pytest.mark.parametrize("method", [name for name in RULES if name != "Static"])
@settings(max_examples=EXAMPLES)
@given(
    model=networks(),
    d=st.floats(0.15, 0.95),
    distribution=st.sampled_from(["erk", "er", "uniform"]),
    optimizer_name=st.sampled_from(list(OPTIMIZERS)),
    every=st.integers(2, 3),
    fraction=st.floats(0.05, 0.95),
    regrown=st.sampled_from(["keep", "reset"]),
    accumulate=st.integers(1, 3),
    amp=st.booleans(),
    clip=st.booleans(),
)
def test_counts_and_zeros(
    method,
    model,
    d,
    distribution,
    optimizer_name,
    every,
    fraction,
    regrown,
    accumulate,
    amp,
    clip,
):
    if method in ("StructuredRigL", "GradualPruning"):
        with impossible_densities_forgotten():
            masked(method, model, d, seed=1)
    else:
        sparse_or_skip(model, d, distribution, seed=1)
    optimizer = OPTIMIZERS["sgd" if method in SGD_ONLY else optimizer_name](model.parameters())
    if method == "RigLSM":
        assume(optimizer_name != "rmsprop")  # its momentum is of another kind
    until = every * UPDATES + 1
    chosen = method not in ("DSR", "GradualPruning")
    regrown = regrown if chosen else "keep"
    options = {"fraction": fraction, "regrown": regrown} if chosen else {}
    rule = make_rule(method, model, optimizer, every=every, until=until, **options)
    layers = masked_layers(model)
    target = counts_of(model)

    def check_gradients(*_):
        for name, layer in layers.items():
            assert not layer.weight.grad[layer.mask == 0].any(), name

    optimizer.register_step_pre_hook(check_gradients)
    rewired = 0
    for t in range(1, until + every + 1):
        model.zero_grad()
        for part in range(accumulate):
            inputs, targets = batch(model, accumulate * t + part)
            autocast = torch.autocast("cpu", torch.bfloat16) if amp else contextlib.nullcontext()
            with autocast:
                loss = F.cross_entropy(model(inputs), targets) / accumulate
            loss.backward()
        if clip:
            rule.mask_gradients()
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        before, values = masks_of(model), snapshot(model)
        rule.step()
        after = masks_of(model)
        assert rule.t == t
        assert state_off_mask(model, optimizer) == []
        if method in NETWORK_KEEPS:
            assert sum(counts_of(model).values()) == sum(target.values())
            assert min(counts_of(model).values()) >= 1
        elif method in LAYERS_KEEP:
            assert counts_of(model) == target
        else:
            assert all(not (after[name] & ~before[name]).any() for name in before)
        if not rule.rewires(t):
            assert all(torch.equal(before[name], after[name]) for name in before)
            continue
        rewired += 1
        for name, layer in layers.items():
            weight = layer.weight.detach()
            assert not weight[after[name] & ~before[name]].any()  # born at 0
            old = values[f"{name}.weight"]
            stayed = after[name] & before[name]
            if regrown == "keep":
                assert torch.equal(weight[stayed], old[stayed])
            else:  # grown again at once: back at 0; the others as they were
                assert ((weight[stayed] == old[stayed]) | (weight[stayed] == 0)).all()
        others = {k: v for k, v in values.items() if k.rpartition(".")[0] not in layers}
        others |= {k: v for k, v in values.items() if k.endswith("bias")}
        assert all(torch.equal(model.state_dict()[k], v) for k, v in others.items())
    # Pruning's last step is `until` itself, where it ends with exactly what it should leave.
    assert rewired == UPDATES + (method == "GradualPruning")
    if method == "GradualPruning":
        total = sum(mask.numel() for mask in after.values())
        assert sum(counts_of(model).values()) == round(0.2 * total)


@settings(max_examples=20)
@given(
    networks(),
    st.floats(0.15, 0.95),
    st.sampled_from(list(OPTIMIZERS)),
    st.booleans(),
)
def test_without_a_rule_nothing_leaks_either(model, d, optimizer_name, use_static):
    """A bare optimizer, and Static, train only what is on the mask, which never changes."""
    sparse_or_skip(model, d, "erk", seed=2)
    optimizer = OPTIMIZERS[optimizer_name](model.parameters())
    stepper = Static(model, optimizer) if use_static else optimizer
    masks, start = masks_of(model), snapshot(model)
    for t in range(5):
        backward(model, t)
        stepper.step()
        assert state_off_mask(model, optimizer) == []
    assert all(torch.equal(masks[name], mask) for name, mask in masks_of(model).items())
    assert not same(start, snapshot(model))


def test_an_optimizer_used_before_sparsify_keeps_no_state_off_the_mask():
    model = mlp(6, 8, CLASSES)
    optimizer = OPTIMIZERS["adamw amsgrad"](model.parameters())
    for t in range(3):
        backward(model, t)
        optimizer.step()
    sparsify(model, 0.3)
    Static(model, optimizer)
    assert state_off_mask(model, optimizer) == []


@pytest.mark.parametrize("rule_class", [SET, RigL])
def test_a_saturated_layer_is_rewired_without_harm(rule_class):
    """A layer that ERK left dense drops k and must grow the same k again: nothing else is free."""
    model = sparsify(mlp(4, 30, CLASSES), distribution={"0": 1.0, "2": 0.5})
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    rule = rule_class(model, optimizer, every=2, until=100, regrown="keep")
    backward(model, 0)
    rule.step()
    before = model[0].weight.detach().clone()
    backward(model, 1)
    rule.step()
    assert model[0].mask.all()
    assert torch.equal(model[0].weight, before)
    dense_layer = rule.last_update[0]
    assert dense_layer.dropped == dense_layer.grown == dense_layer.regrown > 0


def test_1000_updates_of_one_network_keep_every_count():
    """One long run, rewired a thousand times: no drift."""
    model = sparsify(mlp(8, 10, CLASSES), 0.3)
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    rule = RigL(model, optimizer, every=2, until=2001)
    target = counts_of(model)
    rewirings = 0
    for t in range(1, 2002):
        backward(model, t % 7)
        rule.step()
        rewirings += rewires_at(t, 2, 2001)
        assert counts_of(model) == target
    assert rewirings == 1000
    assert state_off_mask(model, optimizer) == []
