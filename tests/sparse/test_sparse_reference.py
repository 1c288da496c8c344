"""Whole small trainings, step by step beside a slow second implementation: bit-equal throughout."""

import copy

import pytest
import torch

from rigl_edu.sparse import SET, SNFS, RigL, Static, sparsify
from tests.sparse.models import CLASSES, backward, convnet, masks_of, mlp
from tests.sparse.reference import SlowTrainer

RULES = {"Static": Static, "SET": SET, "SNFS": SNFS, "RigL": RigL}
NETWORKS = {
    "mlp": lambda: mlp(7, 11, 6, CLASSES, seed=3),
    "conv": lambda: convnet(width=3, groups=2, seed=4),
    "channels_last": lambda: convnet(width=3, seed=5).to(memory_format=torch.channels_last),
    # Most hidden units are dead: gradients and momenta are 0, and everything is a tie.
    "dead": lambda: dead_mlp(),
}
OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4),
    "adamw": lambda p: torch.optim.AdamW(p, 5e-3, amsgrad=True),
}


def dead_mlp():
    model = mlp(7, 12, CLASSES, seed=6)
    with torch.no_grad():
        model[0].bias[3:] = -100
    return model


@pytest.mark.parametrize("regrown", ["keep", "reset"])
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("method", RULES)
def test_equals_the_slow_implementation(method, network, regrown):
    for optimizer_name, make in OPTIMIZERS.items():
        plain = NETWORKS[network]()
        model = sparsify(copy.deepcopy(plain), 0.4, seed=7)
        optimizer, slow_optimizer = make(model.parameters()), make(plain.parameters())
        schedule = {"every": 3, "until": 40, "fraction": 0.5, "regrown": regrown, "seed": 11}
        slow = SlowTrainer(plain, masks_of(model), slow_optimizer, method, **schedule)
        rule = RULES[method](model, optimizer, **({} if method == "Static" else schedule))
        changes = 0
        for t in range(1, 46):
            before = masks_of(model)
            for net in (model, plain):
                backward(net, t)
            rule.step()
            slow.step()
            where = f"{method}, {network}, {optimizer_name}, step {t}"
            for name, mask in masks_of(model).items():
                assert torch.equal(mask, slow.masks[name]), f"{where}: mask of {name}"
                changes += int((mask ^ before[name]).sum())
            for (name, ours), theirs in zip(
                model.named_parameters(), plain.parameters(), strict=True
            ):
                assert torch.equal(ours, theirs), f"{where}: {name}"
            for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
                for key, value in optimizer.state.get(ours, {}).items():
                    other = slow_optimizer.state[theirs][key]
                    assert value is other is None or torch.equal(value, other), f"{where}: {key}"
        # The comparison must not have been one of two networks that stood still.
        assert changes == 0 if method == "Static" else changes > 20


@pytest.mark.parametrize("method", ["SET", "SNFS", "RigL"])
def test_last_update_counts_what_happened(method):
    model = sparsify(mlp(9, 14, CLASSES), 0.4, seed=7)
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    rule = RULES[method](model, optimizer, every=2, until=50, fraction=0.6)
    assert rule.last_update is None
    for t in range(1, 21):
        before = masks_of(model)
        backward(model, t)
        rule.step()
        if t % 2:
            continue
        after = masks_of(model)
        for update in rule.last_update:
            lost = int((before[update.name] & ~after[update.name]).sum())
            new = int((after[update.name] & ~before[update.name]).sum())
            assert update.dropped - update.regrown == lost
            assert update.grown - update.regrown == new
        assert sum(u.dropped for u in rule.last_update) == sum(u.grown for u in rule.last_update)
        if method != "SNFS":
            assert all(u.dropped == u.grown for u in rule.last_update)
