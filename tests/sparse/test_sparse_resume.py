"""Stop anywhere, go on, end bit-equal; and mixed precision with overflows."""

import contextlib
import io

import pytest
import torch
import torch.nn.functional as F

from tests.sparse.models import CLASSES, batch, convnet, masks_of, mlp, same, snapshot
from tests.sparse.rules import RULES, SGD_ONLY, make_rule, masked, sgd

STEPS = 26


def start(method, *, seed=0, net="conv"):
    """A model, its optimizer and its rule, all made from `seed`."""
    model = convnet(width=3, norm=True, seed=seed) if net == "conv" else mlp(8, 12, CLASSES)
    model = masked(method, model, 0.5 if method == "StructuredRigL" else 0.3, seed=seed)
    if method in SGD_ONLY:
        optimizer = sgd(model)
    else:
        optimizer = torch.optim.AdamW(model.parameters(), 5e-3, amsgrad=True)
    return model, optimizer, make_rule(method, model, optimizer, every=3, until=22, seed=seed)


def train(model, rule, steps, amp=False):
    for t in steps:
        inputs, targets = batch(model, t)
        autocast = torch.autocast("cpu", torch.bfloat16) if amp else contextlib.nullcontext()
        with autocast:
            loss = F.cross_entropy(model(inputs), targets)
        model.zero_grad()
        loss.backward()
        rule.step()


@pytest.mark.parametrize("amp", [False, True], ids=["fp32", "bf16"])
@pytest.mark.parametrize("method", RULES)
def test_trap_14_resumed_equals_uninterrupted(method, amp):
    """Traps 14 and 23: everything needed is in the three state dicts, at any step."""
    model, _, rule = start(method)
    train(model, rule, range(STEPS), amp)
    expected = snapshot(model)
    for stop in (0, 1, 2, 3, 8, 11, 21, 22, 25):  # around rewirings, and around `until`
        model, optimizer, rule = start(method)
        train(model, rule, range(stop), amp)
        file = io.BytesIO()
        torch.save([model.state_dict(), optimizer.state_dict(), rule.state_dict()], file)
        # Another seed everywhere: nothing may come from the new objects.
        model, optimizer, rule = start(method, seed=9)
        file.seek(0)
        states = torch.load(file, weights_only=True)
        model.load_state_dict(states[0])
        optimizer.load_state_dict(states[1])
        rule.load_state_dict(states[2])
        assert rule.t == stop
        train(model, rule, range(stop, STEPS), amp)
        assert same(snapshot(model), expected), f"stopped after {stop} steps"


@pytest.mark.parametrize("order", ["rule first", "rule last"])
def test_states_may_be_loaded_in_any_order(order):
    model, optimizer, rule = start("SNFS")
    train(model, rule, range(8))
    states = [model.state_dict(), optimizer.state_dict(), rule.state_dict()]
    states = [torch.load(_saved(s), weights_only=True) for s in states]
    train(model, rule, range(8, STEPS))
    expected = snapshot(model)
    model, optimizer, rule = start("SNFS", seed=9)
    pairs = list(zip([model, optimizer, rule], states, strict=True))
    for target, state in reversed(pairs) if order == "rule first" else pairs:
        target.load_state_dict(state)
    train(model, rule, range(8, STEPS))
    assert same(snapshot(model), expected)


def _saved(value):
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return file


def test_a_state_is_a_copy_not_a_view():
    model, optimizer, rule = start("SNFS")
    train(model, rule, range(4))
    state = rule.state_dict()
    before = {name: m.clone() for name, m in state["momentum"].items()}
    generator = state["generator"].clone()
    assert before and all(m.any() for m in before.values())
    train(model, rule, range(4, 8))
    assert same(state["momentum"], before)
    assert torch.equal(state["generator"], generator)
    other = start("SNFS", seed=9)
    other[2].load_state_dict(state)
    train(other[0], other[2], range(3))
    assert same(state["momentum"], before)


# --- GradScaler ------------------------------------------------------------------------------


def scaled_step(model, rule, scaler, index, *, overflow=False, clip=False, where="all"):
    """One AMP step. `where`: which gradients an overflow hits: "all", or those of one "bias"."""
    inputs, targets = batch(model, index)
    loss = F.cross_entropy(model(inputs), targets)
    model.zero_grad()
    scaler.scale(loss).backward()
    if overflow:
        last_bias = list(model.parameters())[-1]
        hit = list(model.parameters()) if where == "all" else [last_bias]
        for parameter in hit:
            parameter.grad.view(-1)[0] = float("inf")
    if clip:
        scaler.unscale_(rule)
        rule.mask_gradients()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1e9)
    scaler.step(rule)
    scaler.update()


@pytest.mark.parametrize("where", ["all", "bias"])
@pytest.mark.parametrize("clip", [False, True], ids=["plain", "clipped"])
@pytest.mark.parametrize("method", [m for m in RULES if m != "StructuredRigL"])
def test_an_overflow_postpones_the_step_and_loses_nothing(method, clip, where):
    """Trap 17's last sentence: a GradScaler that skips a step skips the rewiring with it.

    Scales are powers of two, so a run with a skipped batch equals one that never saw it.
    """
    expected, _, plain = start(method, net="mlp")
    for t in range(12):
        inputs, targets = batch(expected, t)
        expected.zero_grad()
        F.cross_entropy(expected(inputs), targets).backward()
        plain.step()
    model, optimizer, rule = start(method, net="mlp")
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    masks = masks_of(model)
    for t in range(12):
        if t in (1, 2, 8):  # 2 and 8 would have been rewirings 3 and 9
            unchanged, seen = snapshot(model), rule.t
            scaled_step(model, rule, scaler, 500 + t, overflow=True, clip=clip, where=where)
            assert same(unchanged, snapshot(model)) and rule.t == seen == t
        scaled_step(model, rule, scaler, t, clip=clip)
        assert rule.t == t + 1
    assert scaler.get_scale() == 2.0**10 / 8
    if rule.momentum is not None:
        assert all(torch.isfinite(m).all() for m in rule.momentum.of.values())
        assert same(rule.momentum.of, plain.momentum.of)
    assert same(snapshot(model), snapshot(expected))
    if method != "Static":
        assert any((masks[name] ^ mask).any() for name, mask in masks_of(model).items())


def test_trap_8_a_nan_gradient_stops_a_rewiring_and_changes_nothing():
    """Trap 8: without AMP nothing skips the step, so the rewiring itself must refuse."""
    for method in ("SNFS", "SNFSReproduced", "RigL", "RigLSG", "RigLSM"):
        model, optimizer, rule = start(method, net="mlp")
        train(model, rule, range(2))
        inputs, targets = batch(model, 2)
        model.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        clean = [p.grad.clone() for p in model.parameters()]
        model[2].weight.grad[0, 0] = float("nan")
        before, state = snapshot(model), rule.state_dict()
        with pytest.raises(ValueError, match=r"'2'.*not finite at step 3"):
            rule.step()
        assert same(before, snapshot(model)) and rule.t == 2
        assert torch.equal(rule.generator.get_state(), state["generator"])
        assert same(rule.state_dict()["momentum"], state["momentum"])
        # With the gradient mended the same rewiring can be taken.
        for parameter, gradient in zip(model.parameters(), clean, strict=True):
            parameter.grad.copy_(gradient)
        rule.step()
        reference, _, untouched = start(method, net="mlp")
        train(reference, untouched, range(3))
        assert same(snapshot(model), snapshot(reference))
