"""Pruning once and pruning gradually, against sorting and against a slow second implementation."""

import copy
import io
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from rigl_edu.sparse.gradual import GradualPruning, cubic_density
from rigl_edu.sparse.layers import masked_layers
from rigl_edu.sparse.pruning import keep_globally, keep_per_layer, magnitudes, prune, saliencies
from rigl_edu.sparse.sparsify import sparsify
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

NETWORKS = {
    "mlp": lambda: mlp(7, 11, 6, CLASSES, seed=3),
    "conv with norm": lambda: convnet(width=3, norm=True, seed=4),
    "channels_last": lambda: convnet(width=3, seed=5).to(memory_format=torch.channels_last),
}
OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4),
    "adamw": lambda p: torch.optim.AdamW(p, 5e-3, weight_decay=0.1, amsgrad=True),
}


def dense(network: str = "mlp") -> nn.Module:
    return sparsify(NETWORKS[network](), density=1)


# --- the slow second implementation -----------------------------------------------------------


def keep_reference(
    scores: list[list[float]], masks: list[list[bool]], wanted: int
) -> list[list[bool]]:
    """The `wanted` highest-scored active positions of all lists; ties go to the earlier one."""
    places = [(a, i) for a, mask in enumerate(masks) for i, on in enumerate(mask) if on]
    best = sorted(places, key=lambda p: (-scores[p[0]][p[1]], p))[:wanted]
    return [[(a, i) in set(best) for i in range(len(mask))] for a, mask in enumerate(masks)]


def counts_reference(sizes: list[int], density: Fraction) -> list[int]:
    """The nearest whole number in each layer; exact fractions."""
    return [round(density * size) for size in sizes]


def flat(tensors: dict[str, Tensor]) -> list[list]:
    """Row by row, whatever the memory format."""
    return [tensor.contiguous().view(-1).tolist() for tensor in tensors.values()]


# --- keeping the best -------------------------------------------------------------------------


@st.composite
def scored_layers(draw):
    """Scores with many ties, masks with holes, linear and convolutional shapes, both layouts."""
    scores, masks = {}, {}
    seed = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    for name in draw(st.permutations(["a", "b", "c"]))[: draw(st.integers(1, 3))]:
        dims = draw(st.sampled_from([2, 4]))
        shape = [draw(st.integers(1, 5)) for _ in range(dims)]
        levels = draw(st.sampled_from([1, 3, 1000]))
        score = torch.randint(levels, shape, generator=seed).to(
            draw(st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
        )
        mask = torch.rand(shape, generator=seed) < draw(st.sampled_from([0.3, 0.8, 1.0]))
        if dims == 4 and draw(st.booleans()):
            score, mask = (x.to(memory_format=torch.channels_last) for x in (score, mask))
        scores[name], masks[name] = score, mask.float() if draw(st.booleans()) else mask
    return scores, masks


@settings(max_examples=150, deadline=None)
@given(scored_layers(), st.floats(0, 1))
def test_keep_globally_equals_sorting(layers, share):
    scores, masks = layers
    total = sum(mask.numel() for mask in masks.values())
    active = sum(int(mask.count_nonzero()) for mask in masks.values())
    wanted = round(share * active)
    if wanted == 0:
        return
    kept = keep_globally(scores, masks, wanted / total)
    reference = keep_reference(flat(scores), [[bool(x) for x in m] for m in flat(masks)], wanted)
    assert list(kept) == list(masks)
    assert all(kept[n].shape == masks[n].shape and kept[n].dtype == torch.bool for n in masks)
    assert flat(kept) == reference
    assert sum(int(k.sum()) for k in kept.values()) == wanted


@settings(max_examples=150, deadline=None)
@given(scored_layers(), st.integers(1, 64))
def test_keep_per_layer_equals_sorting(layers, numerator):
    scores, masks = layers
    density = Fraction(numerator, 64)  # a float holds it exactly
    wanted = counts_reference([mask.numel() for mask in masks.values()], density)
    actives = [int(mask.count_nonzero()) for mask in masks.values()]
    if 0 in wanted or any(w > a for w, a in zip(wanted, actives, strict=True)):
        with pytest.raises(ValueError, match="leaves none of them|pruning cannot leave"):
            keep_per_layer(scores, masks, float(density))
        return
    kept = keep_per_layer(scores, masks, float(density))
    assert list(kept) == list(masks)
    for name, n, values, mask in zip(masks, wanted, flat(scores), flat(masks), strict=True):
        (reference,) = keep_reference([values], [[bool(x) for x in mask]], n)
        assert kept[name].dtype == torch.bool and kept[name].shape == masks[name].shape
        assert flat({name: kept[name]}) == [reference]


def test_trap_13_exactly_as_many_as_asked_are_pruned():
    """A quantile with `>` would take 201 of 1000 where 200 are asked, and ties all at once."""
    torch.manual_seed(0)
    for scores in (torch.rand(20, 50), torch.ones(20, 50), torch.rand(20, 50).round()):
        for keep in (keep_globally, keep_per_layer):
            kept = keep({"a": scores}, {"a": torch.ones(20, 50)}, 0.8)["a"]
            assert int(kept.sum()) == 800


def test_global_and_per_layer_worked_by_hand():
    scores = {"a": torch.tensor([[1.0, 9.0, 8.0, 2.0]]), "b": torch.tensor([[3.0, 7.0, 4.0, 5.0]])}
    masks = {name: torch.ones(1, 4) for name in scores}
    assert flat(keep_globally(scores, masks, 0.5)) == [
        [False, True, True, False],  # 9, 8
        [False, True, False, True],  # 7, 5
    ]
    assert flat(keep_globally(scores, masks, 0.25)) == [
        [False, True, True, False],
        [False, False, False, False],  # the best of this layer is only third
    ]
    assert flat(keep_per_layer(scores, masks, 0.25)) == [
        [False, True, False, False],
        [False, True, False, False],
    ]


def test_a_score_off_the_mask_does_not_count():
    scores = {"a": torch.tensor([[9.0, 1.0, 0.0, 0.0]])}
    masks = {"a": torch.tensor([[0.0, 1.0, 1.0, 0.0]])}
    for keep in (keep_globally, keep_per_layer):
        assert flat(keep(scores, masks, 0.25)) == [[False, True, False, False]]
        assert flat(keep(scores, masks, 0.5)) == [[False, True, True, False]]


# --- pruning a model --------------------------------------------------------------------------


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("keep", [keep_globally, keep_per_layer])
def test_prune_keeps_the_largest_weights_of_the_model(network, keep):
    model = dense(network)
    weights = {name: layer.weight.detach().clone() for name, layer in masked_layers(model).items()}
    others = {n: p for n, p in snapshot(model).items() if not n.endswith((".mask", ".weight"))}
    total = sum(w.numel() for w in weights.values())
    masks = [[True] * w.numel() for w in weights.values()]
    for percent in (70, 70, 31, 12):
        assert prune(model, percent / 100, keep) is model
        scores = flat({name: w.abs() for name, w in weights.items()})
        if keep is keep_globally:
            masks = keep_reference(scores, masks, round(Fraction(percent, 100) * total))
        else:
            counts = counts_reference([len(m) for m in masks], Fraction(percent, 100))
            masks = [
                keep_reference([s], [m], n)[0]
                for s, m, n in zip(scores, masks, counts, strict=True)
            ]
        assert flat(masks_of(model)) == masks
        for name, layer in masked_layers(model).items():
            assert torch.equal(layer.weight, weights[name] * layer.mask)
    after = snapshot(model)
    assert all(torch.equal(after[name], value) for name, value in others.items())


def test_pruned_stay_pruned():
    model = dense("conv with norm")
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    before = masks_of(model)
    for t, d in enumerate((0.9, 0.5, 0.5, 0.2, 0.03)):
        prune(model, d, optimizer=optimizer)
        after = masks_of(model)
        assert not any((after[name] & ~before[name]).any() for name in after)
        assert sum(counts_of(model).values()) == round(d * sum(m.numel() for m in after.values()))
        for step in range(3):
            backward(model, 3 * t + step)
            optimizer.step()
        before = after
    assert not state_off_mask(model, optimizer)


@pytest.mark.parametrize("optimizer_name", OPTIMIZERS)
def test_pruning_clears_optimizer_state_where_weights_go_and_nowhere_else(optimizer_name):
    model = dense("conv with norm")
    optimizer = OPTIMIZERS[optimizer_name](model.parameters())
    for t in range(3):
        backward(model, t)
        optimizer.step()
    before = copy.deepcopy(optimizer.state_dict()["state"])
    prune(model, 0.3, optimizer=optimizer)
    assert not state_off_mask(model, optimizer)
    masks = {id(m.weight): m.mask.bool() for m in masked_layers(model).values()}
    compared = 0
    for i, p in enumerate(model.parameters()):
        for key, value in optimizer.state[p].items():
            old = before[i][key]
            if id(p) in masks and value.shape == p.shape:
                on = masks[id(p)]
                assert old[~on].any() and torch.equal(value[on], old[on])
                compared += 1
            else:
                assert torch.equal(value, old)
    assert compared == 4 * {"sgd": 1, "adamw": 3}[optimizer_name]


@pytest.mark.parametrize("optimizer_name", OPTIMIZERS)
def test_a_step_right_after_pruning_moves_nothing_that_is_pruned(optimizer_name):
    """The gradients of the backward pass before are dense no longer."""
    model = dense("conv with norm")
    optimizer = OPTIMIZERS[optimizer_name](model.parameters())
    backward(model, 0)
    optimizer.step()
    backward(model, 1)
    gradients = {name: layer.weight.grad.clone() for name, layer in masked_layers(model).items()}
    prune(model, 0.3, optimizer=optimizer)
    for name, layer in masked_layers(model).items():
        assert torch.equal(layer.weight.grad, gradients[name] * layer.mask)
        assert gradients[name][layer.mask == 0].any()
    optimizer.step()
    assert not state_off_mask(model, optimizer)


def test_global_pruning_may_empty_a_layer_and_training_goes_on():
    model = mlp(6, 8, CLASSES)
    with torch.no_grad():
        model[0].weight.mul_(1e-3)
    sparsify(model, density=1)
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    prune(model, 24 / 72, optimizer=optimizer)
    assert counts_of(model) == {"0": 0, "2": 24}
    for t in range(3):
        backward(model, t)
        optimizer.step()
    assert not state_off_mask(model, optimizer)
    prune(model, 12 / 72, optimizer=optimizer)
    assert counts_of(model) == {"0": 0, "2": 12}
    with pytest.raises(ValueError, match="layer '0' has 0 of 48 weights; pruning cannot leave"):
        prune(model, 10 / 72, keep_per_layer)


# --- scores -----------------------------------------------------------------------------------


def test_magnitudes_are_of_masked_layers_and_detached():
    model = sparsify(mlp(6, 8, CLASSES), 0.5, dense=["0"])
    scores = magnitudes(model)
    assert set(scores) == {"2"} and not scores["2"].requires_grad
    assert torch.equal(scores["2"], model[2].weight.detach().abs())


def test_saliency_is_how_the_loss_reacts_to_scaling_a_weight():
    """|dL(c w)/dc| at c = 1, by central differences, one weight at a time."""
    model = mlp(4, 5, CLASSES).double()
    model[1] = nn.Tanh()  # no kinks
    sparsify(model, 0.6, seed=1)
    backward(model, 0)
    scores = saliencies(model)
    inputs, targets = batch(model, 0)
    h, seen = 1e-4, 0
    for name, layer in masked_layers(model).items():
        for i in range(layer.weight.shape[0]):
            for j in range(layer.weight.shape[1]):
                w = layer.weight[i, j].item()
                losses = []
                for c in (1 + h, 1 - h):
                    with torch.no_grad():
                        layer.weight[i, j] = c * w
                        losses.append(F.cross_entropy(model(inputs), targets).item())
                        layer.weight[i, j] = w
                expected = abs(losses[0] - losses[1]) / (2 * h)
                assert scores[name][i, j].item() == pytest.approx(expected, rel=1e-5, abs=1e-10)
                seen += expected > 1e-4
    assert seen > 15


def test_snip_prunes_by_saliency_and_not_by_magnitude():
    model = dense()
    backward(model, 0)
    scores = {n: (m.weight * m.weight.grad).abs() for n, m in masked_layers(model).items()}
    full = [[True] * m.mask.numel() for m in masked_layers(model).values()]
    expected = keep_reference(flat(scores), full, 50)
    total = sum(map(len, full))
    by_magnitude = flat(masks_of(prune(copy.deepcopy(model), 50 / total)))
    prune(model, 50 / total, scores=saliencies(model))
    assert flat(masks_of(model)) == expected != by_magnitude


# --- the cubic schedule -----------------------------------------------------------------------


def test_cubic_density_worked_by_hand():
    """d_final + (1 - d_final) (3/4)^3 a quarter of the way, with (1/2)^3 halfway."""
    assert cubic_density(100, 100, 500, 0.2) == 1
    assert cubic_density(200, 100, 500, 0.2) == pytest.approx(0.2 + 0.8 * 27 / 64)  # 0.5375
    assert cubic_density(300, 100, 500, 0.2) == pytest.approx(0.2 + 0.8 / 8)  # 0.3
    assert cubic_density(400, 100, 500, 0.2) == pytest.approx(0.2 + 0.8 / 64)  # 0.2125
    assert cubic_density(500, 100, 500, 0.2) == 0.2
    assert cubic_density(0, 100, 500, 0.2) == cubic_density(99, 100, 500, 0.2) == 1
    assert cubic_density(501, 100, 500, 0.2) == cubic_density(10**6, 100, 500, 0.2) == 0.2


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 50), st.integers(1, 200), st.floats(1e-3, 1))
def test_trap_12_the_cubic_schedule_falls_from_1_to_its_target(start, length, final):
    densities = [cubic_density(t, start, start + length, final) for t in range(start + length + 9)]
    assert densities[: start + 1] == [1] * (start + 1)
    assert densities[start + length :] == [final] * 9
    assert all(a >= b for a, b in zip(densities[:-1], densities[1:], strict=True))


@pytest.mark.parametrize(
    ("every", "start", "until"), [(5, 0, 20), (5, 3, 23), (4, 6, 7), (50, 1, 9)]
)
@pytest.mark.parametrize("keep", [keep_globally, keep_per_layer])
def test_trap_12_training_ends_at_the_target_exactly(keep, every, start, until):
    model = dense()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    rule = GradualPruning(model, optimizer, 0.1, keep=keep, every=every, start=start, until=until)
    sizes = [mask.numel() for mask in masks_of(model).values()]
    target = round(0.1 * sum(sizes))
    if keep is keep_per_layer:
        target = sum(round(0.1 * size) for size in sizes)
    for t in range(1, until + 4):
        backward(model, t)
        rule.step()
        if t < until:  # layers this small may round to their last number a little early
            slack = int(keep is keep_per_layer)
            assert sum(counts_of(model).values()) > target - slack
        else:
            assert sum(counts_of(model).values()) == target
    if keep is keep_per_layer:
        sizes = [m.numel() for m in masks_of(model).values()]
        assert list(counts_of(model).values()) == counts_reference(sizes, Fraction(1, 10))


def test_the_reproductions_schedule():
    """Start 700, every 100 steps, last at 65918: 653 multiples of 100, and the end."""
    model = dense()
    rule = GradualPruning(
        model, OPTIMIZERS["sgd"](model.parameters()), 0.1, every=100, start=700, until=65918
    )
    steps = [t for t in range(1, 88_001) if rule.rewires(t)]
    assert steps[:3] == [700, 800, 900]
    assert steps[-3:] == [65_800, 65_900, 65_918]
    assert len(steps) == 654 and not any(t % 100 for t in steps[:-1])


# --- gradual pruning beside a slow one --------------------------------------------------------


class SlowGradualPruning:
    """Zhu & Gupta's schedule on an ordinary dense model, masks enforced by force."""

    def __init__(self, model, names, optimizer, density, *, per_layer, every, start, until):
        self.model, self.optimizer, self.density = model, optimizer, density
        self.per_layer, self.every, self.start, self.until = per_layer, every, start, until
        self.weights = [model.get_submodule(name).weight for name in names]
        self.masks = [[True] * w.numel() for w in self.weights]
        self.t = 0

    def step(self) -> bool:
        """One step, the dense gradients being in `.grad`; whether it pruned."""
        self.t += 1
        prunes = self.start <= self.t <= self.until and (
            self.t % self.every == 0 or self.t == self.until
        )
        if prunes:
            self.prune()
        else:
            self.zero([w.grad for w in self.weights])
            self.optimizer.step()
        self.zero([w.data for w in self.weights])
        for weight, mask in zip(self.weights, self.masks, strict=True):
            for value in self.optimizer.state.get(weight, {}).values():
                if isinstance(value, Tensor) and value.shape == weight.shape:
                    value[~torch.tensor(mask).reshape(weight.shape)] = 0
        return prunes

    def zero(self, values: list[Tensor]) -> None:
        for value, mask in zip(values, self.masks, strict=True):
            value[~torch.tensor(mask).reshape(value.shape)] = 0

    def prune(self) -> None:
        """s(t) = s_final - s_final (1 - progress)^3, in exact fractions."""
        progress = Fraction(self.t - self.start, self.until - self.start)
        sparsity = (1 - self.density) * (1 - (1 - progress) ** 3)
        sizes = [w.numel() for w in self.weights]
        scores = [w.detach().abs().reshape(-1).tolist() for w in self.weights]
        if self.per_layer:
            counts = counts_reference(sizes, 1 - sparsity)
            self.masks = [
                keep_reference([s], [m], n)[0]
                for s, m, n in zip(scores, self.masks, counts, strict=True)
            ]
        else:
            wanted = round((1 - sparsity) * sum(sizes))
            self.masks = keep_reference(scores, self.masks, wanted)


@pytest.mark.parametrize("optimizer_name", OPTIMIZERS)
@pytest.mark.parametrize("keep", [keep_globally, keep_per_layer])
@pytest.mark.parametrize("network", NETWORKS)
def test_gradual_pruning_equals_the_slow_implementation(network, keep, optimizer_name):
    plain = NETWORKS[network]()
    model = sparsify(copy.deepcopy(plain), density=1)
    names = list(masked_layers(model))
    make = OPTIMIZERS[optimizer_name]
    optimizer, slow_optimizer = make(model.parameters()), make(plain.parameters())
    schedule = {"every": 3, "start": 5, "until": 22}
    slow = SlowGradualPruning(
        plain,
        names,
        slow_optimizer,
        Fraction(1, 8),
        per_layer=keep is keep_per_layer,
        **schedule,
    )
    rule = GradualPruning(model, optimizer, 0.125, keep=keep, **schedule)
    pruned_at = []
    for t in range(1, 28):
        before, counts = snapshot(model), counts_of(model)
        for net in (model, plain):
            backward(net, t)
        rule.step()
        if slow.step():
            pruned_at.append(t)
            if t < 22:  # the last two densities, 0.125 and a little more, may be one number
                assert sum(counts_of(model).values()) < sum(counts.values())
            for name, value in model.named_parameters():  # an optimizer step did not happen too
                on = masks_of(model).get(name.removesuffix(".weight"))
                expected = before[name]
                if on is not None and not name.endswith(".bias"):
                    expected = expected * on
                assert torch.equal(value, expected), f"step {t}: {name}"
        where = f"{network}, step {t}"
        for name, mask in zip(names, slow.masks, strict=True):
            assert flat({name: masks_of(model)[name]}) == [mask], f"{where}: mask of {name}"
        ours = model.state_dict()
        for name, value in plain.state_dict().items():
            assert torch.equal(ours[name], value), f"{where}: {name}"
        for a, b in zip(model.parameters(), plain.parameters(), strict=True):
            for key, value in optimizer.state.get(a, {}).items():
                other = slow_optimizer.state[b][key]
                assert value is other is None or torch.equal(value, other), f"{where}: {key}"
        assert not state_off_mask(model, optimizer), where
    assert pruned_at == [6, 9, 12, 15, 18, 21, 22]


def test_last_update_says_what_was_pruned():
    model = dense()
    rule = GradualPruning(model, OPTIMIZERS["sgd"](model.parameters()), 0.3, every=2, until=6)
    for t in range(1, 7):
        before = counts_of(model)
        backward(model, t)
        rule.step()
        if rule.rewires(t):
            for update in rule.last_update:
                lost = before[update.name] - counts_of(model)[update.name]
                assert (update.dropped, update.grown, update.regrown) == (lost, 0, 0)
            assert any(update.dropped for update in rule.last_update)


def test_a_model_sparser_than_the_schedule_waits_for_it():
    """From density 0.5: the schedule is below it at step 7 of 20, at 0.492."""
    model = sparsify(mlp(10, 20, CLASSES), 0.5, seed=1)
    rule = GradualPruning(model, OPTIMIZERS["sgd"](model.parameters()), 0.3, every=1, until=20)
    total = sum(m.numel() for m in masks_of(model).values())
    for t in range(1, 21):
        before = masks_of(model)
        backward(model, t)
        rule.step()
        d = 0.3 + 0.7 * (1 - t / 20) ** 3
        if d > 0.5:
            assert same(before, masks_of(model)), t
        else:
            assert sum(counts_of(model).values()) == round(d * total), t


@pytest.mark.parametrize("optimizer_name", OPTIMIZERS)
def test_gradual_pruning_resumed_equals_uninterrupted(optimizer_name):
    """At every step, also right before and after a pruning."""

    def begin(seed):
        model = sparsify(convnet(width=3, norm=True, seed=seed), density=1)
        optimizer = OPTIMIZERS[optimizer_name](model.parameters())
        schedule = {"every": 3, "start": 4, "until": 14}
        return model, optimizer, GradualPruning(model, optimizer, 0.2, **schedule)

    def train(model, rule, steps):
        for t in steps:
            backward(model, t)
            rule.step()

    model, optimizer, rule = begin(0)
    saved = []
    for t in range(18):
        file = io.BytesIO()
        torch.save([x.state_dict() for x in (model, optimizer, rule)], file)
        saved.append(file)
        train(model, rule, [t])
    expected = snapshot(model)
    for stop, file in enumerate(saved):
        model, optimizer, rule = begin(9)
        file.seek(0)
        for x, state in zip(
            (model, optimizer, rule), torch.load(file, weights_only=True), strict=True
        ):
            x.load_state_dict(state)
        assert rule.t == stop
        train(model, rule, range(stop, 18))
        assert same(snapshot(model), expected), f"stopped after {stop} steps"


def test_per_layer_counts_never_rise_along_the_reproductions_schedule():
    """WRN-22-2's 1x1 shortcut beside its large layers; a rise ends the training with an error."""
    shapes = {"shortcut": (32, 16, 1, 1), "conv": (32, 16, 3, 3), "large": (128, 128, 3, 3)}
    scores = {name: torch.rand(shape) for name, shape in shapes.items()}
    masks = {name: torch.ones(shape) for name, shape in shapes.items()}
    for t in [*range(700, 65_918, 100), 65_918]:
        masks = keep_per_layer(scores, masks, cubic_density(t, 700, 65_918, 0.1))
    counts = {name: int(mask.sum()) for name, mask in masks.items()}
    assert counts == {name: round(0.1 * scores[name].numel()) for name in shapes}


# --- errors -----------------------------------------------------------------------------------


def with_nan(model):
    scores = magnitudes(model)
    scores["2"][model[2].mask == 1] = float("nan")  # where there is no weight it would not matter
    return scores


BAD_PRUNING = {
    "density 0": (lambda m, o: prune(m, 0), "density is 0; it must be above 0 and at most 1"),
    "density above 1": (lambda m, o: prune(m, 1.5), "density is 1.5;"),
    "density nan": (
        lambda m, o: prune(m, float("nan"), keep_per_layer),
        "density is nan; it must be above 0",
    ),
    "more than there is": (
        lambda m, o: prune(m, 0.9, optimizer=o),
        "the network has 80 of 161 weights; pruning cannot leave 145",
    ),
    "a layer is left with nothing": (
        lambda m, o: prune(m, 0.01, keep_per_layer),
        r"layer '\d' has \d+ positions; the density leaves none of them",
    ),
    "a score is nan": (
        lambda m, o: prune(m, 0.2, scores=with_nan(m), optimizer=o),
        "the scores are not all finite",
    ),
    "no gradient": (
        lambda m, o: prune(m, 0.2, scores=saliencies(m)),
        r"layers \['0', '2', '4'\] have no gradient; call backward\(\) first",
    ),
}


@pytest.mark.parametrize("bad", BAD_PRUNING)
def test_bad_pruning_changes_nothing(bad):
    call, message = BAD_PRUNING[bad]
    model = sparsify(mlp(7, 11, 6, CLASSES, seed=3), 0.5, seed=1)
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    backward(model, 0)
    optimizer.step()
    model.zero_grad()
    if "gradient" not in bad:
        backward(model, 1)
    before, state = snapshot(model), copy.deepcopy(optimizer.state_dict()["state"])
    gradients = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    with pytest.raises(ValueError, match=message):
        call(model, optimizer)
    assert same(snapshot(model), before)
    assert all(
        a is b is None or torch.equal(a, b)
        for a, b in zip(gradients, [p.grad for p in model.parameters()], strict=True)
    )
    for i, entry in optimizer.state_dict()["state"].items():
        assert torch.equal(entry["momentum_buffer"], state[i]["momentum_buffer"])


def test_pruning_a_model_without_masks_is_refused():
    model = mlp(7, 11, CLASSES)
    before = snapshot(model)
    with pytest.raises(ValueError, match=r"call sparsify\(model, density=1\) first"):
        prune(model, 0.5)
    assert same(snapshot(model), before)


BAD_SCHEDULES = {
    "density 0": ({"density": 0.0, "until": 9}, "density is 0.0;"),
    "start after until": (
        {"density": 0.1, "start": 9, "until": 9},
        "start=9 must be at least 0 and",
    ),
    "start below 0": ({"density": 0.1, "start": -1, "until": 9}, "start=-1 must be at least 0"),
    "until 0": ({"density": 0.1, "until": 0}, "before until=0"),
    "every 0": ({"density": 0.1, "every": 0, "until": 9}, "every=0 must be at least 1"),
}


@pytest.mark.parametrize("bad", BAD_SCHEDULES)
def test_an_impossible_schedule_is_refused(bad):
    arguments, message = BAD_SCHEDULES[bad]
    model = dense()
    before = snapshot(model)
    with pytest.raises(ValueError, match=message):
        GradualPruning(model, OPTIMIZERS["sgd"](model.parameters()), **arguments)
    assert same(snapshot(model), before)


@pytest.mark.parametrize("broken", ["missing", "nan"])
def test_a_pruning_looks_at_no_gradient(broken):
    """So a bad one does no harm: a step that prunes is no optimizer step."""
    pruned = []
    for harm in (None, broken):
        model = dense()
        optimizer = OPTIMIZERS["sgd"](model.parameters())
        rule = GradualPruning(model, optimizer, 0.3, every=2, until=6)
        for t in (1, 2):
            backward(model, t)
            assert not model[2].keep_dense_gradient
            if t == 2 and harm == "missing":
                model[2].weight.grad = None
            elif t == 2 and harm == "nan":
                model[2].weight.grad[0, 0] = float("nan")
            rule.step()
        pruned.append(snapshot(model))
    assert same(*pruned)
    assert sum(counts_of(model).values()) < sum(m.numel() for m in masks_of(model).values())
