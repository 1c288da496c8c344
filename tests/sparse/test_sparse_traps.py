"""The mistakes other sparse-training libraries made, one test each; README.md has the list."""

import ast
import copy
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import rigl_edu.sparse
from rigl_edu.sparse import (
    SET,
    SNFS,
    MaskedConv2d,
    MaskedLinear,
    RigL,
    Static,
    UpdateRule,
    cosine_fraction,
    density,
    drop_count,
    erk,
    forward_flops,
    gradient,
    layer_table,
    magnitude,
    masked_layers,
    momentum,
    rewires_at,
    sparsify,
    uniform,
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


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), 5e-3, amsgrad=True)


def row_of_weights(values: list[float], mask: list[int]) -> MaskedLinear:
    """One linear layer with one output, given weights and a given mask."""
    layer = MaskedLinear(len(values), 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([values]))
    layer.set_mask(torch.tensor([mask]))
    return layer


def rewire_row(rule_class, values, mask, gradients, *, make=sgd, fraction=0.99, **options):
    """The layer and rule after one optimizer step with gradient 0 and one rewiring.

    `until` is far away, so that the share rewired is `fraction` to five digits.
    """
    layer = row_of_weights(values, mask)
    optimizer = make(layer)
    for group in optimizer.param_groups:
        group["weight_decay"] = 0.0
    rule = rule_class(layer, optimizer, every=2, until=10**6, fraction=fraction, **options)
    layer(torch.zeros(1, len(values))).sum().backward()
    rule.step()
    layer.zero_grad()
    layer(torch.tensor([gradients])).sum().backward()
    rule.step()
    return layer, optimizer, rule


# --- update semantics: traps 1 to 9 -----------------------------------------------------------


@pytest.mark.parametrize(("regrown", "value"), [("keep", 0.1), ("reset", 0.0)])
def test_trap_1_a_weight_just_dropped_may_come_back(regrown, value):
    """Trap 1: with its value ("keep", the default) or as 0 ("reset")."""
    values, mask = [0.1, 0.5, 0.9, 0.0, 0.0], [1, 1, 1, 0, 0]
    layer, _, rule = rewire_row(
        RigL, values, mask, [9.0, 0.0, 0.0, 1.0, 2.0], fraction=0.4, regrown=regrown
    )
    assert layer.mask.tolist() == [[1, 1, 1, 0, 0]]
    assert layer.weight[0].tolist() == pytest.approx([value, 0.5, 0.9, 0, 0])
    assert rule.last_update[0][1:] == (1, 1, 1)


def test_trap_1_keep_is_the_default_and_keeps_the_optimizer_state_too():
    for regrown, kept in ((None, True), ("reset", False)):
        layer = row_of_weights([0.1, 0.5, 0.9, 0.0], [1, 1, 1, 0])
        optimizer = adam(layer)
        options = {} if regrown is None else {"regrown": regrown}
        rule = RigL(layer, optimizer, every=2, until=10**6, fraction=0.4, **options)
        for gradients in ([1.0, 1.0, 1.0, 1.0], [9.0, 0.0, 0.0, 1.0]):
            layer.zero_grad()
            layer(torch.tensor([gradients])).sum().backward()
            rule.step()
        assert rule.last_update[0].regrown == 1
        state = optimizer.state[layer.weight]
        for key in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"):
            assert (state[key][0, 0] != 0) == kept, key
            assert state[key][0, 1] != 0  # those that stayed keep theirs


@pytest.mark.parametrize(
    ("fraction", "active", "k"),
    [(0.3, 10, 3), (0.3, 5, 1), (0.3, 3, 0), (0.29, 100, 29), (0.999, 10, 9), (0.0, 10, 0)],
)
def test_trap_2_the_number_dropped_is_rounded_down(fraction, active, k):
    """Trap 2: floor, so that updates die out, with no weight lost to 0.29 * 100 = 28.999..."""
    assert drop_count(fraction, active) == k


def test_trap_2_updates_die_out():
    layer, _, rule = rewire_row(RigL, [0.1, 0.2, 0.3, 0.0], [1, 1, 1, 0], [0, 0, 0, 5.0])
    assert rule.last_update[0].dropped == 2  # floor(0.99 * 3)
    layer, _, rule = rewire_row(
        RigL, [0.1, 0.2, 0.3, 0.0], [1, 1, 1, 0], [0, 0, 0, 5.0], fraction=0.3
    )
    assert rule.last_update[0].dropped == 0
    assert layer.mask.tolist() == [[1, 1, 1, 0]]


def test_the_last_weight_of_a_layer_is_never_dropped():
    layer, _, rule = rewire_row(RigL, [0.1, 0.0], [1, 0], [0.0, 5.0])
    assert rule.last_update[0].dropped == 0 and layer.active == 1


@pytest.mark.parametrize("rule_class", [SET, SNFS, RigL])
def test_trap_3_growing_does_not_move_the_output(rule_class):
    """Trap 3: grown weights are 0; the output moves only by what was dropped."""
    model = sparsify(mlp(6, 12, CLASSES), 0.4)
    # Half of the weights are 0 already, so dropping as many moves nothing either.
    for layer in masked_layers(model).values():
        with torch.no_grad():
            on = layer.mask.flatten().nonzero().squeeze(1)
            layer.weight.view(-1)[on[::2]] = 0
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    rule = rule_class(model, optimizer, every=2, until=10**6, fraction=0.45)
    inputs, _ = batch(model, 0)
    before = model(inputs)
    for t in range(2):
        backward(model, t)
        rule.step()
    assert sum(update.grown - update.regrown for update in rule.last_update) > 5
    assert torch.equal(model(inputs), before)


@pytest.mark.parametrize("make", [sgd, adam])
@pytest.mark.parametrize("rule_class", [SET, SNFS, RigL])
def test_trap_4_every_optimizer_state_of_dropped_and_grown_weights_is_0(rule_class, make):
    """Trap 4: momentum_buffer, exp_avg, exp_avg_sq, max_exp_avg_sq; no one else's changes."""
    model = sparsify(convnet(), 0.4)
    optimizer = make(model)
    rule = rule_class(model, optimizer, every=4, until=100, fraction=0.5)
    for t in range(3):
        backward(model, t)
        rule.step()
    before = masks_of(model)
    states = {
        name: {k: v.clone() for k, v in optimizer.state[layer.weight].items() if v is not None}
        for name, layer in masked_layers(model).items()
    }
    backward(model, 3)
    rule.step()
    assert state_off_mask(model, optimizer) == []
    checked = 0
    for name, layer in masked_layers(model).items():
        after = layer.mask.bool()
        for key, old in states[name].items():
            new = optimizer.state[layer.weight][key]
            if old.shape != layer.weight.shape:
                assert torch.equal(new, old)  # Adam's step count
                continue
            assert not new[after & ~before[name]].any(), f"{name}.{key} of a grown weight"
            stayed = after & before[name]
            assert torch.equal(new[stayed], old[stayed]), f"{name}.{key} of another weight"
            checked += 1
    assert checked >= 4


def test_trap_5_snfs_grows_by_a_momentum_that_is_not_masked():
    """Trap 5: with a masked momentum only weights dropped a moment ago have a score."""
    model = sparsify(mlp(8, 24, CLASSES), 0.3)
    rule = SNFS(model, sgd(model), every=5, until=100, fraction=0.5)
    before = masks_of(model)
    expected = {name: torch.zeros_like(m, dtype=torch.float) for name, m in before.items()}
    for t in range(5):
        backward(model, t)
        for name, layer in masked_layers(model).items():
            assert layer.weight.grad[~before[name]].any(), "the gradient came masked"
            expected[name] = 0.9 * expected[name] + 0.1 * layer.weight.grad
        rule.step()
    for name, value in expected.items():
        torch.testing.assert_close(rule.momentum.of[name], value)
    brand_new = sum(int((after & ~before[name]).sum()) for name, after in masks_of(model).items())
    grown = sum(update.grown for update in rule.last_update)
    assert brand_new > grown / 2


@pytest.mark.parametrize("rule_class", [SNFS, RigL])
def test_trap_6_dead_layers_cost_no_live_weight(rule_class):
    """Trap 6: with gradients of 0 everywhere growth must not choose active positions."""
    model = sparsify(mlp(6, 20, CLASSES), 0.4)
    with torch.no_grad():
        model[0].bias.fill_(-1e4)  # every hidden unit is dead
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    rule = rule_class(model, optimizer, every=2, until=10**6, fraction=0.5)
    target = counts_of(model)
    for t in range(2):
        backward(model, t)
        assert not model[0].weight.grad.any()
        weights = snapshot(model)
        rule.step()
    assert sum(counts_of(model).values()) == sum(target.values())
    for name, layer in masked_layers(model).items():
        before = weights[f"{name}.weight"]
        update = next(u for u in rule.last_update if u.name == name)
        changed = (layer.weight.detach() != before).sum()
        assert changed <= update.dropped - update.regrown


def test_trap_6_a_tiny_weight_that_is_alive_stays():
    """Trap 6's last: |w| < 1e-5 is still more than 0, whatever is off the mask."""
    layer, _, _ = rewire_row(
        RigL, [1e-9, 1e-12, 0.5, 0.0], [1, 1, 1, 0], [0.0, 0.0, 0.0, 1.0], fraction=0.4
    )
    assert layer.mask.tolist() == [[1, 0, 1, 1]]


def test_trap_7_counts_are_exact_for_any_seed():
    """Trap 7: a coin flip for each weight gives 0.0995 to 0.1006 for 0.1."""
    for seed in range(20):
        model = sparsify(mlp(20, 50, 10), 0.1, "er", seed=seed)
        assert sum(counts_of(model).values()) == 150
    first = masks_of(sparsify(mlp(20, 50, 10), 0.1, seed=1))
    assert same(first, masks_of(sparsify(mlp(20, 50, 10), 0.1, seed=1)))
    assert not same(first, masks_of(sparsify(mlp(20, 50, 10), 0.1, seed=2)))


def test_masks_are_random_over_the_whole_layer():
    """Not the first weights, nor the same place in every layer; each with about the same chance."""
    model = sparsify(mlp(40, 40, 40, 40), 0.5, "er", seed=0)
    masks = list(masks_of(model).values())
    for mask in masks:
        rows = mask.float().mean(1)
        assert 0.1 < rows.min() and rows.max() < 0.9
    assert (masks[0] ^ masks[1]).float().mean() > 0.4


def test_trap_9_the_mask_is_counted_not_the_weights():
    """Trap 9: a weight that was just grown is 0 and exists."""
    model = sparsify(mlp(6, 12, CLASSES), 0.5)
    active = sum(counts_of(model).values())
    flops = forward_flops(model, (6,))
    with torch.no_grad():
        for layer in masked_layers(model).values():
            layer.weight.zero_()
    assert sum(row.active for row in layer_table(model)) == active
    assert density(model) == active / 108
    assert forward_flops(model, (6,)) == flops


# --- steps and schedules: traps 10 to 14 -------------------------------------------------------


@pytest.mark.parametrize("rule_class", [SET, SNFS, RigL])
def test_trap_10_and_11_which_steps_rewire(rule_class):
    """Traps 10 and 11: steps 3, 6, 9 rewire instead of an optimizer step; 12 = until does not."""
    model = sparsify(mlp(6, 12, CLASSES), 0.4)
    optimizer = sgd(model)
    taken = []
    optimizer.register_step_pre_hook(lambda *_: taken.append(rule.t + 1))
    rule = rule_class(model, optimizer, every=3, until=12, fraction=0.5)
    changed = []
    for t in range(1, 16):
        masks, bias = masks_of(model), model[0].bias.detach().clone()
        backward(model, t)
        rule.step()
        if not same(masks, masks_of(model)):
            changed.append(t)
        assert torch.equal(bias, model[0].bias) == (t in (3, 6, 9))
    assert changed == [3, 6, 9]
    assert taken == [1, 2, 4, 5, 7, 8, 10, 11, 12, 13, 14, 15]
    assert rule.t == 15


def test_trap_10_the_reproductions_schedule_has_659_rewirings():
    """Every 100 of 88 000 steps before 65 918, counted from 1: 100, 200, ..., 65 900."""
    steps = [t for t in range(1, 88_001) if rewires_at(t, 100, 65_918)]
    assert (len(steps), steps[0], steps[-1]) == (659, 100, 65_900)
    assert not rewires_at(65_900, 100, 65_900) and rewires_at(65_900, 100, 65_901)


def test_trap_11_dense_gradients_are_asked_for_only_when_needed():
    """Trap 11: after `until` no rule keeps dense gradients; RigL only to rewire, SET never."""
    wanted = {RigL: {3, 6, 9}, SET: set(), SNFS: set(range(1, 12)), Static: set()}
    for rule_class, expected in wanted.items():
        model = sparsify(mlp(6, 12, CLASSES), 0.4)
        schedule = {} if rule_class is Static else {"every": 3, "until": 12}
        rule = rule_class(model, sgd(model), **schedule)
        dense = set()
        for t in range(1, 16):
            backward(model, t)
            off = model[0].mask == 0
            if model[0].weight.grad[off].any():
                dense.add(t)
            rule.step()
        assert dense == expected, rule_class


@pytest.mark.parametrize(
    ("t", "expected"), [(0, 0.3), (25, 0.3 / 2 * (1 + 2**-0.5)), (50, 0.15), (100, 0), (120, 0)]
)
def test_trap_14_the_share_rewired_is_a_function_of_the_step(t, expected):
    """Trap 14: nothing to save. Also the cosine's values, and nothing from `until` on."""
    assert cosine_fraction(t, 100, 0.3) == pytest.approx(expected)


# --- autograd and optimizers: traps 15 to 23 ---------------------------------------------------


@pytest.mark.parametrize("make", [sgd, adam])
def test_trap_15_weight_decay_and_momentum_move_nothing_off_the_mask(make):
    """Trap 15: stored weights off the mask do not drift, not even by weight decay or momentum."""
    model = sparsify(convnet(), 0.3)
    rule = RigL(model, make(model), every=3, until=50, fraction=0.5)
    for t in range(30):
        backward(model, t)
        rule.step()
        for name, layer in masked_layers(model).items():
            assert not layer.weight.detach()[layer.mask == 0].any(), (name, t)


@pytest.mark.parametrize("rule_class", [SET, SNFS, RigL, Static])
def test_trap_16_clipping_measures_masked_gradients(rule_class):
    """Trap 16: the norm must be that of the gradients the optimizer will see."""
    model = sparsify(mlp(8, 30, CLASSES), 0.1)
    schedule = {} if rule_class is Static else {"every": 100, "until": 1000}
    rule = rule_class(model, sgd(model), **schedule)
    backward(model, 0)
    layers = masked_layers(model).values()
    expected = [p.grad for p in model.parameters() if p.ndim == 1]
    expected += [layer.weight.grad * layer.mask for layer in layers]
    norm = torch.stack([g.norm() for g in expected]).norm()
    rule.mask_gradients()
    measured = nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
    torch.testing.assert_close(measured, norm)
    dense = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
    torch.testing.assert_close(dense, torch.tensor(1e-3), rtol=1e-2, atol=0)


@pytest.mark.parametrize("times", [0, 1, 3])
def test_trap_16_masking_before_the_step_changes_nothing(times):
    """mask_gradients() any number of times: the same training, SNFS's momentum included."""
    runs = []
    for calls in (0, times):
        model = sparsify(mlp(8, 20, CLASSES), 0.3)
        rule = SNFS(model, sgd(model), every=3, until=20, fraction=0.5)
        for t in range(12):
            backward(model, t)
            for _ in range(calls):
                rule.mask_gradients()
            rule.step()
        runs.append((snapshot(model), rule.momentum.of))
    assert same(runs[0][0], runs[1][0])
    assert same(runs[0][1], runs[1][1])


@pytest.mark.parametrize("when", ["before", "after"])
def test_trap_17_learning_rate_schedulers_work_on_either_side(when):
    """Trap 17: a rule patches nothing, so a scheduler may be built before or after it."""
    model = sparsify(mlp(6, 12, CLASSES), 0.4)
    optimizer = sgd(model)
    scheduler = None
    if when == "before":
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    rule = RigL(model, optimizer, every=3, until=12)
    if scheduler is None:
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    rates = []
    for t in range(6):
        backward(model, t)
        rule.step()
        scheduler.step()
        rates.append(scheduler.get_last_lr()[0])
    assert rates == pytest.approx([0.1, 0.01, 0.01, 0.001, 0.001, 0.0001])


def test_trap_17_hooks_of_the_optimizer_are_the_users_own():
    model = sparsify(mlp(6, 12, CLASSES), 0.4)
    optimizer = sgd(model)
    step = type(optimizer).step
    RigL(model, optimizer, every=3, until=12)
    assert not optimizer._optimizer_step_pre_hooks and not optimizer._optimizer_step_post_hooks
    assert type(optimizer).step is step and "step" not in vars(optimizer)


@pytest.mark.parametrize("rule_class", [SET, SNFS, RigL])
@pytest.mark.parametrize("parts", [2, 4])
def test_trap_18_accumulated_gradients_rank_like_one_batch(rule_class, parts):
    """Trap 18: four micro-batches of two are one batch of eight, for growth as for the weights."""
    runs = []
    for split in (1, parts):
        model = sparsify(mlp(6, 16, CLASSES).double(), 0.4)
        rule = rule_class(model, sgd(model), every=3, until=20, fraction=0.5)
        for t in range(12):
            inputs, targets = batch(model, t)
            model.zero_grad()
            for x, y in zip(inputs.chunk(split), targets.chunk(split), strict=True):
                (F.cross_entropy(model(x), y) / split).backward()
            rule.step()
        runs.append(model)
    assert same(masks_of(runs[0]), masks_of(runs[1]))
    for ours, theirs in zip(runs[0].parameters(), runs[1].parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule_class", [SET, SNFS, RigL])
def test_trap_20_channels_last_trains_the_same_masks(rule_class):
    """Trap 20: `.view(-1)` fails on a channels_last tensor, and its order is another one."""
    runs = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        # Either side of sparsify, since masks and weights may differ in layout.
        for late in (False, True):
            model = convnet(width=3, norm=True).double()
            if not late:
                model.to(memory_format=memory_format)
            sparsify(model, 0.4)
            if late:
                model.to(memory_format=memory_format)
            rule = rule_class(model, sgd(model), every=3, until=30, fraction=0.5)
            for t in range(9):
                inputs, targets = batch(model, t)
                model.zero_grad()
                images = inputs.contiguous(memory_format=memory_format)
                F.cross_entropy(model(images), targets).backward()
                rule.step()
            assert rule.last_update is not None
            runs.append(masks_of(model))
    assert all(same(runs[0], other) for other in runs[1:])


def test_trap_21_nothing_is_reallocated():
    """Trap 21: weights, masks and optimizer state stay the same objects in the same storage."""
    model = sparsify(convnet(), 0.4)
    optimizer = sgd(model)
    rule = RigL(model, optimizer, every=2, until=100, fraction=0.5)
    backward(model, 0)
    rule.step()

    def places():
        tensors = [t for x in masked_layers(model).values() for t in (x.weight, x.mask)]
        tensors += [s["momentum_buffer"] for s in optimizer.state.values()]
        return [(id(t), t.data_ptr()) for t in tensors]

    before = places()
    model.load_state_dict(model.state_dict())
    for t in range(6):
        backward(model, t)
        rule.step()
    assert places() == before


def train_bare(model, steps=3):
    optimizer = sgd(model)
    for t in range(steps):
        backward(model, t)
        optimizer.step()
    return state_off_mask(model, optimizer)


@pytest.mark.parametrize("how", ["deepcopy", "pickle", "deepcopy twice"])
def test_trap_22_copies_are_whole(how):
    """Trap 22: after a backward pass a model can be copied, and the copy keeps the invariant."""
    model = sparsify(convnet(norm=True), 0.3)
    rule = SNFS(model, sgd(model), every=3, until=20)  # asks for dense gradients at every step
    for t in range(2):
        backward(model, t)
        rule.step()
    if how == "pickle":
        twin = pickle.loads(pickle.dumps(model))
    else:
        twin = copy.deepcopy(model)
        if how == "deepcopy twice":
            twin = copy.deepcopy(twin)
    assert same(snapshot(model), snapshot(twin))
    before = snapshot(model)
    assert train_bare(twin) == []
    assert same(before, snapshot(model))
    # The original's rule still gets what it asked for.
    backward(model, 2)
    assert model[0].weight.grad[model[0].mask == 0].any()
    masks = masks_of(model)
    rule.step()
    assert not same(masks, masks_of(model))


def test_trap_22_a_rule_can_be_copied_with_its_model():
    """Both copies train on alike, and apart from each other."""
    model = sparsify(mlp(6, 14, CLASSES), 0.4)
    optimizer = sgd(model)
    rule = RigL(model, optimizer, every=3, until=30, fraction=0.5)
    for t in range(2):  # the next step rewires, so dense gradients are asked for
        backward(model, t)
        rule.step()
    twin, twin_rule = copy.deepcopy((model, rule))
    for t in range(2, 10):
        for net, its_rule in ((model, rule), (twin, twin_rule)):
            backward(net, t)
            its_rule.step()
        assert same(snapshot(model), snapshot(twin))
        assert state_off_mask(twin, twin_rule.optimizer) == []


def test_trap_23_a_state_dict_has_the_masks_and_nothing_else():
    """Trap 23: masks are persistent buffers; no dense-gradient scratch travels along."""
    model = convnet()
    names = set(model.state_dict())
    sparsify(model, 0.4)
    rule = SNFS(model, sgd(model), every=3, until=20)
    backward(model, 0)
    rule.step()
    expected = names | {f"{name}.mask" for name in masked_layers(model)}
    assert set(model.state_dict()) == expected


@pytest.mark.parametrize("assign", [False, True])
def test_trap_23_loaded_masks_are_applied_after_they_are_loaded(assign):
    """Trap 23: the old masks must not touch the loaded weights."""
    source = sparsify(convnet(), 0.4, seed=1)
    target = sparsify(convnet(seed=5), 0.4, seed=2)
    expected = snapshot(source)
    target.load_state_dict(copy.deepcopy(source.state_dict()), assign=assign)
    assert same(snapshot(target), expected)
    assert train_bare(target) == []


@pytest.mark.parametrize("assign", [False, True])
def test_trap_23_a_dense_checkpoint_is_masked_on_loading(assign):
    dense = convnet(seed=5)
    model = sparsify(convnet(), 0.4)
    masks = masks_of(model)
    state = copy.deepcopy(dense.state_dict())
    missing, unexpected = model.load_state_dict(state, strict=False, assign=assign)
    assert set(missing) == {f"{name}.mask" for name in masks} and not unexpected
    assert same(masks, masks_of(model))
    for name, layer in masked_layers(model).items():
        weight = dense.get_submodule(name).weight
        assert torch.equal(layer.weight, weight * masks[name])
    assert train_bare(model) == []


# --- allocation: traps 24 to 28 -----------------------------------------------------------------


def test_trap_24_erk_solves_again_instead_of_cutting_off():
    """Trap 24: total exact, cut-off layers dense, the rest in proportion to their ratios."""
    shapes = {"a": (4, 4), "b": (100, 100), "c": (200, 100), "d": (8, 8, 3, 3)}
    for d in (0.05, 0.3, 0.6, 0.95):
        densities = erk(shapes, d)
        sizes = {n: torch.Size(s).numel() for n, s in shapes.items()}
        total = sum(densities[n] * sizes[n] for n in shapes)
        assert total == pytest.approx(d * sum(sizes.values()), rel=1e-9)
        assert all(0 < x <= 1 for x in densities.values())
        free = [n for n in shapes if densities[n] < 1]
        eps = [densities[n] * sizes[n] / sum(shapes[n]) for n in free]
        assert eps == pytest.approx([eps[0]] * len(eps))
        # Whoever was made dense would have wanted more than all of itself.
        assert all(eps[0] * sum(shapes[n]) >= sizes[n] for n in set(shapes) - set(free))


def test_trap_24_equal_layers_saturate_together_and_density_1_is_dense():
    shapes = {"a": (3, 3), "b": (3, 3), "c": (300, 300)}
    densities = erk(shapes, 0.1)
    assert densities["a"] == densities["b"] == 1
    assert erk(shapes, 1.0) == dict.fromkeys(shapes, 1.0)
    assert erk({"only": (5, 5)}, 1.0) == {"only": 1.0}
    model = sparsify(convnet(), 1.0)
    assert density(model) == 1 and all(layer.mask.all() for layer in masked_layers(model).values())


class Mixed(nn.Module):
    """One of everything that other libraries masked by mistake."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 12)
        self.linear = nn.Linear(12, 12)
        self.layer_norm = nn.LayerNorm(12)
        self.batch_norm = nn.BatchNorm1d(12)
        self.sync_norm = nn.SyncBatchNorm(12)
        self.group_norm = nn.GroupNorm(3, 12)
        self.rnn = nn.GRU(12, 12)
        self.conv = nn.Conv2d(2, 4, 3)
        self.upward = nn.ConvTranspose2d(2, 4, 3)
        self.conv1d = nn.Conv1d(2, 4, 3)
        self.scale = nn.Parameter(torch.ones(12, 12))


def test_trap_25_only_weights_of_linear_and_convolutional_layers_are_masked():
    """Trap 25: a whitelist; norms, embeddings, biases and free parameters stay as they are."""
    model = Mixed()
    before = snapshot(model)
    sparsify(model, 0.3)
    assert set(masked_layers(model)) == {"linear", "conv"}
    for name, value in before.items():
        if name not in ("linear.weight", "conv.weight"):
            assert torch.equal(model.state_dict()[name], value), name


@pytest.mark.parametrize("distribution", ["er", "erk"])
def test_trap_25_the_first_layer_is_dense_for_uniform_only(distribution):
    """Trap 25: and it is the first layer that is defined, not the first parameter."""
    model = nn.Sequential(nn.BatchNorm1d(40), nn.Linear(40, 50), nn.Linear(50, 60))
    sparsify(model, 0.2, "uniform")
    assert list(masked_layers(model)) == ["2"] and type(model[1]) is nn.Linear
    assert uniform({"a": (4, 4), "b": (4, 4)}, 0.5) == {"a": 1.0, "b": 0.5}
    model = sparsify(nn.Sequential(nn.Linear(40, 50), nn.Linear(50, 60)), 0.2, distribution)
    assert layer_table(model)[0].density < 1


@pytest.mark.parametrize("dense", [[], ["0"]])
def test_trap_25_naming_the_first_layer_in_dense_does_not_make_uniform_spare_the_second(dense):
    model = nn.Sequential(nn.Linear(40, 50), nn.Linear(50, 60), nn.Linear(60, 30))
    sparsify(model, 0.2, "uniform", dense=dense)
    assert [row.density for row in layer_table(model)] == [1.0, 0.2, 0.2]


def test_layers_left_dense_are_left_alone():
    for names in (["0", "8"], ("0", "8"), {"0", "8"}, (name for name in ["0", "8"])):
        model = convnet()
        weights = snapshot(model)
        sparsify(model, 0.3, dense=names)
        assert list(masked_layers(model)) == ["2", "4"]
        assert type(model[0]) is nn.Conv2d and type(model[8]) is nn.Linear
        assert torch.equal(model[0].weight, weights["0.weight"])
        rows = {row.name: row for row in layer_table(model)}
        masked_total = rows["2"].total + rows["4"].total
        assert rows["2"].active + rows["4"].active == round(0.3 * masked_total)


def test_trap_26_layers_stay_the_same_objects_and_keep_their_options():
    """Trap 26: groups, dilation, stride, padding and biases stay, and the optimizer's tensors."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(4, 8, (3, 1), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2),
        nn.Conv2d(8, 8, 3, groups=8, bias=False, padding_mode="circular", padding=1),
        nn.Flatten(),
        nn.LazyLinear(3),
    )
    images = torch.randn(2, 4, 6, 6)
    model(images)
    objects = [id(m) for m in model.modules()] + [id(p) for p in model.parameters()]
    twin = copy.deepcopy(model)
    sparsify(model, 0.5)
    assert objects == [id(m) for m in model.modules()] + [id(p) for p in model.parameters()]
    assert isinstance(model[0], MaskedConv2d) and isinstance(model[0], nn.Conv2d)
    assert model[0].groups == 2 and model[0].stride == (2, 1) and model[1].groups == 8
    with torch.no_grad():
        for name, layer in masked_layers(model).items():
            twin.get_submodule(name).weight.mul_(layer.mask)
    assert torch.equal(model(images), twin(images))


def test_trap_27_weights_on_the_mask_keep_their_initial_values():
    """Trap 27: no rescaling for the smaller fan-in; an initialisation is a choice of its own."""
    model = convnet()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    sparsify(model, 0.2)
    for name, layer in masked_layers(model).items():
        on = layer.mask.bool()
        assert torch.equal(layer.weight[on], before[f"{name}.weight"][on])


@pytest.mark.parametrize("rule_class", [SET, SNFS, RigL])
def test_trap_28_a_rewiring_runs_no_pass_of_its_own(rule_class):
    """Trap 28: scores come from the training pass; mode and batch-norm buffers stay as they are."""
    model = sparsify(convnet(norm=True), 0.4)
    rule = rule_class(model, sgd(model), every=2, until=10)
    for t in range(2):
        backward(model, t)
        norm = {name: buffer.clone() for name, buffer in model[1].named_buffers()}
        calls = []
        handle = model.register_forward_hook(lambda *_: calls.append(1))  # noqa: B023
        rule.step()
        handle.remove()
        assert not calls and model.training
        assert same(norm, dict(model[1].named_buffers()))
    assert int(model[1].num_batches_tracked) == 2


def test_trap_28_counting_flops_leaves_the_model_as_it_was():
    model = sparsify(convnet(norm=True), 0.4)
    model[1].eval()  # a frozen norm in a network that trains
    modes = [m.training for m in model.modules()]
    before, random_state = snapshot(model), torch.get_rng_state()
    forward_flops(model, (2, 6, 6))
    assert modes == [m.training for m in model.modules()]
    assert same(before, snapshot(model))
    assert torch.equal(random_state, torch.get_rng_state())
    assert not any(m._forward_hooks for m in model.modules())


# --- FLOPs: trap 29 ------------------------------------------------------------------------------


def count_products(model: nn.Module, inputs: torch.Tensor) -> int:
    """Multiplications of one convolution, one by one: which weights meet which outputs.

    With every weight and every input 1 and no padding, each output is its number of products.
    """
    with torch.no_grad():
        model.weight.copy_(model.mask)
        return int(model(torch.ones_like(inputs)).sum())


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3},
        {"kernel_size": (1, 3)},
        {"kernel_size": 3, "stride": (2, 1)},
        {"kernel_size": 2, "dilation": 2},
        {"kernel_size": 3, "groups": 2},
        {"kernel_size": 1, "groups": 4},
    ],
)
def test_trap_29_flops_of_any_convolution(options):
    """Trap 29: two FLOPs for each product of an existing weight; any kernel, stride, groups."""
    layer = MaskedConv2d(4, 8, bias=False, **options)
    generator = torch.Generator().manual_seed(0)
    layer.set_mask(rigl_edu.sparse.random_mask(tuple(layer.weight.shape), 7, generator))
    products = count_products(layer, torch.empty(1, 4, 9, 8))
    assert products > 0
    assert forward_flops(layer, (4, 9, 8)) == 2 * products
    layer.set_mask(torch.ones_like(layer.mask))
    assert forward_flops(layer, (4, 9, 8)) == 2 * count_products(layer, torch.empty(1, 4, 9, 8))


def test_trap_29_norms_relus_and_biases_are_free_and_reused_layers_cost_twice():
    linear = nn.Linear(5, 5)
    once = forward_flops(linear, (5,))
    assert once == 2 * 25 + 5  # the reproduction's counter adds the number of inputs
    plain = nn.Sequential(linear, nn.ReLU(), nn.BatchNorm1d(5))
    assert forward_flops(plain, (5,)) == once
    assert forward_flops(nn.Sequential(linear, linear), (5,)) == 2 * once
    assert forward_flops(linear, (7, 5)) == 7 * once  # at each of seven positions


# --- and what the other sections of the survey found ---------------------------------------------


def test_random_growth_and_masks_use_their_own_generator():
    """The global random numbers are neither used nor moved on."""
    histories = []
    for global_seed in (0, 1):
        model = mlp(6, 14, CLASSES)
        torch.manual_seed(global_seed)
        state = torch.get_rng_state()
        sparsify(model, 0.4, seed=3)
        rule = SET(model, sgd(model), every=2, until=20, fraction=0.5, seed=4)
        for t in range(6):
            backward(model, t)
            rule.step()
        assert torch.equal(state, torch.get_rng_state())
        histories.append(masks_of(model))
    assert same(*histories)


def test_the_seed_of_a_rule_decides_its_random_growth():
    masks = []
    for seed in (0, 0, 1):
        model = sparsify(mlp(6, 30, CLASSES), 0.4)
        rule = SET(model, sgd(model), every=2, until=20, fraction=0.5, seed=seed)
        for t in range(4):
            backward(model, t)
            rule.step()
        masks.append(masks_of(model))
    assert same(masks[0], masks[1]) and not same(masks[0], masks[2])


def test_a_default_device_does_not_matter():
    """Masks and random scores are drawn on the CPU, whatever `torch.set_default_device` says."""
    model, expected = mlp(6, 12, CLASSES), masks_of(sparsify(mlp(6, 12, CLASSES), 0.4))
    rule = None
    with torch.device("meta"):
        sparsify(model, 0.4)
        optimizer = sgd(model)
        rule = SET(model, optimizer, every=2, until=20)
    assert same(masks_of(model), expected)
    for t in range(2):
        backward(model, t)
        with torch.device("meta"):
            rule.step()
    assert rule.last_update is not None


def test_an_optimizer_that_moves_weights_without_a_gradient_is_refused():
    """Muon mixes the weights of a matrix, so that gradient 0 does not mean standing still."""

    class Restless(torch.optim.SGD):
        def step(self, closure=None):
            super().step(closure)
            with torch.no_grad():
                for group in self.param_groups:
                    for parameter in group["params"]:
                        parameter.add_(0.01)

    model = sparsify(mlp(6, 12, CLASSES), 0.4)
    rule = RigL(model, Restless(model.parameters(), 0.1), every=3, until=12)
    backward(model, 0)
    with pytest.raises(ValueError, match=r"Restless moved weights of layers \['0', '2'\]"):
        rule.step()
    assert not any(layer.leak() for layer in masked_layers(model).values())


def test_a_method_of_ones_own_is_two_functions():
    """The worst of both: drop the largest, grow where the gradient is smallest."""
    model = sparsify(mlp(6, 12, CLASSES), 0.4)
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    rule = UpdateRule(
        model,
        optimizer,
        drop=lambda layer: -layer.weight.abs(),
        grow=lambda layer: -layer.gradient.abs(),
        redistribute=lambda layer: float(layer.name == "2"),
        every=2,
        until=10**6,
        fraction=0.2,
    )
    backward(model, 0)
    rule.step()
    largest = model[0].weight.abs().max()
    backward(model, 1)
    before = model[2].mask.sum()
    rule.step()
    assert model[0].weight.abs().max() < largest
    assert model[2].mask.sum() > before  # all went to layer "2", as far as it has room


@pytest.mark.parametrize("criterion", [magnitude, gradient, momentum])
def test_criteria_are_absolute_values(criterion):
    """A weight of -5 and one of 5 count the same, and a gradient of -5 as much as one of 5."""
    values = torch.tensor([[-5.0, 5.0, 1.0]])
    view = rigl_edu.sparse.Layer(
        "x", values, values.bool(), values, values, torch.Generator().manual_seed(0)
    )
    assert criterion(view).tolist() == [[5.0, 5.0, 1.0]]


def test_mean_momentum_is_taken_over_the_active_weights():
    values = torch.tensor([[-4.0, 2.0, 100.0]])
    mask = torch.tensor([[True, True, False]])
    view = rigl_edu.sparse.Layer("x", values, mask, values, values, torch.Generator())
    assert rigl_edu.sparse.mean_momentum(view) == 3.0


def test_sparse_imports_torch_and_numpy_only():
    """Read in the source, and seen in a fresh process, where nothing else is loaded."""
    folder = Path(rigl_edu.sparse.__file__).parent
    found = set()
    for file in folder.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add(node.module.partition(".")[0])
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 1, f"{file.name} imports from outside sparse"
    assert found - set(sys.stdlib_module_names) == {"torch"}
    code = (
        "import sys, torch, numpy; before = set(sys.modules); import rigl_edu; "
        "print([m for m in set(sys.modules) - before if not m.startswith(('rigl_edu', 'torch'))])"
        "; print([m for m in sys.modules if m.startswith(('rigl_edu.lab', 'rigl_edu.teach'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder.parents[1],
    )
    foreign, rooms = (ast.literal_eval(line) for line in done.stdout.splitlines())
    assert {m.partition(".")[0] for m in foreign} <= set(sys.stdlib_module_names) | {"numpy"}
    assert rooms == []
