"""Lottery tickets: `imp` beside a slow second implementation, rewinding, and the controls."""

import copy
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rigl_edu.sparse.gradual import GradualPruning, cubic_density
from rigl_edu.sparse.layers import masked_layers
from rigl_edu.sparse.lottery import imp, ticket_sizes
from rigl_edu.sparse.methods import Static
from rigl_edu.sparse.pruning import keep_per_layer, prune
from rigl_edu.sparse.rewinding import rewind, shuffle_masks, snapshot
from rigl_edu.sparse.sparsify import sparsify
from tests.sparse import models
from tests.sparse.models import CLASSES, backward, batch, convnet, counts_of, masks_of, mlp, same

END = 9  # steps of a whole training
NETWORKS = {
    "mlp": lambda: mlp(7, 11, 6, CLASSES, seed=3),
    "conv with norm": lambda: convnet(width=3, norm=True, seed=4),
    "channels_last": lambda: convnet(width=3, seed=5).to(memory_format=torch.channels_last),
}


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)


def train_from(start: int, stop: int = END):
    """A `train` for `imp`: a new optimizer, then the batches `start` to `stop` - 1."""

    def train(model: nn.Module) -> None:
        optimizer = sgd(model)
        for t in range(start, stop):
            backward(model, t)
            optimizer.step()

    return train


def dense(network: str = "conv with norm") -> nn.Module:
    return sparsify(NETWORKS[network](), density=1)


def ticket(network: str = "conv with norm"):
    """A trained and pruned model, and the snapshot of its start."""
    model = dense(network)
    start = snapshot(model)
    train_from(0)(model)
    return prune(model, 0.3), start


# --- the slow second implementation -----------------------------------------------------------


class SlowTicket:
    """IMP on an ordinary dense model, from its definition: lists, and zeros enforced by force.

    Args:
        model: plain layers.
        names: of the layers that are pruned.
    """

    def __init__(self, model: nn.Module, names: list[str]) -> None:
        self.model = model
        self.weights = {name: model.get_submodule(name).weight for name in names}
        self.alive = {name: [True] * w.numel() for name, w in self.weights.items()}

    def mask(self, name: str) -> torch.Tensor:
        return torch.tensor(self.alive[name]).reshape(self.weights[name].shape)

    def enforce(self, values: dict[str, torch.Tensor | None]) -> None:
        for name, value in values.items():
            if value is not None:
                value[~self.mask(name)] = 0

    def train(self, start: int, stop: int) -> None:
        """SGD with Nesterov momentum, written out; only weights that are alive move."""
        velocity = {name: torch.zeros_like(p) for name, p in self.model.named_parameters()}
        for t in range(start, stop):
            inputs, targets = batch(self.model, t)
            self.model.zero_grad()
            F.cross_entropy(self.model(inputs), targets).backward()
            with torch.no_grad():
                for name, p in self.model.named_parameters():
                    gradient = p.grad.add(p, alpha=5e-4)
                    v = velocity[name]
                    v.copy_(gradient if t == start else v.mul(0.9).add(gradient))
                    p.sub_(gradient.add(v, alpha=0.9), alpha=0.1)
                self.enforce({name: w.data for name, w in self.weights.items()})
                self.enforce({name: velocity[f"{name}.weight"] for name in self.weights})

    def prune(self, fraction: Fraction) -> None:
        """Of the weights alive anywhere the smallest |w| die; among equals the last dies first."""
        order = []
        for place, (name, weight) in enumerate(self.weights.items()):
            values = weight.detach().abs().reshape(-1).tolist()
            for i, (value, on) in enumerate(zip(values, self.alive[name], strict=True)):
                if on:
                    order.append((-value, place, i, name))
        left = round((1 - fraction) * len(order))
        for _, _, i, name in sorted(order)[left:]:
            self.alive[name][i] = False

    def rewind(self, start: dict[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                value.copy_(start[name])
            self.enforce({name: w.data for name, w in self.weights.items()})


def assert_same_network(model: nn.Module, slow: SlowTicket, where: str) -> None:
    """Masks, parameters and buffers, bit by bit."""
    for name, mask in masks_of(model).items():
        assert torch.equal(mask, slow.mask(name)), f"{where}: mask of {name}"
    ours, theirs = model.state_dict(), slow.model.state_dict()
    for name, value in theirs.items():
        assert torch.equal(ours[name], value), f"{where}: {name}"


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    ("rewind_to", "rounds", "fraction"),
    [
        (0, 4, Fraction(1, 5)),
        (3, 4, Fraction(1, 5)),
        (0, 1, Fraction(9, 10)),
        (3, 2, Fraction(7, 10)),
    ],
    ids=["to 0", "to step 3", "one-shot", "to step 3, large"],
)
def test_imp_equals_the_slow_implementation(network, rewind_to, rounds, fraction):
    plain, model = NETWORKS[network](), dense(network)
    slow = SlowTicket(plain, list(masked_layers(model)))
    train_from(0, rewind_to)(model)
    slow.train(0, rewind_to)
    start = models.snapshot(plain)

    numbers = []
    for found in imp(model, train_from(rewind_to), rounds, float(fraction)):
        if numbers:
            slow.prune(fraction)
            slow.rewind(start)
        slow.train(rewind_to, END)
        numbers.append(found.number)
        where = f"round {found.number}"
        assert_same_network(model, slow, where)
        assert not same(snapshot(model), start), f"{where}: not in its trained state"
        alive = sum(sum(alive) for alive in slow.alive.values())
        everything = sum(len(alive) for alive in slow.alive.values())
        assert found.active == alive, where
        assert found.density == alive / everything, where
        assert found.masks.keys() == slow.alive.keys(), where
        for name, mask in found.masks.items():
            assert mask.dtype == torch.bool and torch.equal(mask, slow.mask(name)), where
    assert numbers == list(range(rounds + 1))


# --- imp --------------------------------------------------------------------------------------


def test_sizes_worked_by_hand():
    """20 % of what is left, each time: 409.6 becomes 410, and 0.8 * 410 is 328 exactly."""
    assert ticket_sizes(1000, 6, 0.2) == [1000, 800, 640, 512, 410, 328, 262]
    assert ticket_sizes(1000, 0, 0.2) == [1000]
    assert ticket_sizes(1000, 1, 0.9) == [1000, 100]
    # Of what is left, not of the first: 0.5^3 * 11 = 1.4 would end at 1.
    assert ticket_sizes(11, 3, 0.5) == [11, 6, 3, 2]


def test_imp_counts_1000_weights_down():
    model = sparsify(nn.Sequential(nn.Linear(30, 20), nn.ReLU(), nn.Linear(20, 20)), density=1)
    kept = [(r.active, sum(counts_of(model).values())) for r in imp(model, train_from(0, 2), 5)]
    assert kept == [(n, n) for n in (1000, 800, 640, 512, 410, 328)]


def test_pruned_stay_pruned_and_old_rounds_stay_as_they_were():
    model = dense()
    rounds, then = [], []
    for r in imp(model, train_from(0), 4, 0.4):
        rounds.append(r)
        then.append(masks_of(model))
    for i, r in enumerate(rounds):
        assert all(torch.equal(r.masks[name], then[i][name]) for name in then[i])
        for earlier in rounds[:i]:
            assert not any((r.masks[n] & ~earlier.masks[n]).any() for n in r.masks)
            assert any((earlier.masks[n] & ~r.masks[n]).any() for n in r.masks)


def test_each_training_starts_at_the_initial_weights_under_its_mask():
    model = dense()
    start = snapshot(model)
    starts = []

    def train(m: nn.Module) -> None:
        starts.append((models.snapshot(m), masks_of(m)))
        train_from(0)(m)

    list(imp(model, train, 3))
    assert len(starts) == 4
    for values, masks in starts:
        for name, mask in masks.items():
            assert torch.equal(values[f"{name}.weight"][mask], start[f"{name}.weight"][mask])
            assert not values[f"{name}.weight"][~mask].any()
        for name in start.keys() - {f"{name}.weight" for name in masks}:
            assert torch.equal(values[name], start[name]), name  # biases, batch norm


def test_imp_is_deterministic():
    def run():
        model = dense()
        return [(r, snapshot(model)) for r in imp(model, train_from(2), 3)]

    for (a, values), (b, others) in zip(run(), run(), strict=True):
        assert a[:3] == b[:3]
        assert same(a.masks, b.masks) and same(values, others)


def test_imp_rewinds_to_the_call_not_to_the_first_round():
    """A generator would otherwise look at the model only when the first round is asked for."""
    model, other = dense(), dense()
    rounds = imp(model, train_from(0), 2)
    train_from(4)(model)  # between the call and the first round
    for _ in imp(other, train_from(0), 2):
        next(rounds)
        assert same(models.snapshot(model), models.snapshot(other))


def test_an_interrupted_imp_goes_on_bit_equal():
    whole, model = dense(), dense()
    expected = [models.snapshot(whole) for _ in imp(whole, train_from(0), 4)]
    start = snapshot(model)
    for r in imp(model, train_from(0), 4):
        if r.number == 2:
            break
    file = models.snapshot(model)

    model = dense()
    model.load_state_dict(file)
    rewind(model, start)
    again = [models.snapshot(model) for _ in imp(model, train_from(0), 2)]
    assert all(same(a, b) for a, b in zip(again, expected[2:], strict=True))


def test_a_control_on_a_copy_does_not_disturb_the_rounds():
    model, other = dense(), dense()
    start = snapshot(model)
    rounds = imp(other, train_from(0), 3)
    for _ in imp(model, train_from(0), 3):
        control = copy.deepcopy(model)
        shuffle_masks(control, start, seed=1)
        train_from(0)(control)
        next(rounds)
        assert same(models.snapshot(model), models.snapshot(other))


def test_an_optimizer_kept_from_round_to_round_is_noticed():
    """Its momentum would move pruned weights."""
    model = dense()
    optimizer = sgd(model)

    def train(m: nn.Module) -> None:
        for t in range(3):
            backward(m, t)
            optimizer.step()

    rounds = imp(model, train, 3)
    next(rounds)
    with pytest.raises(ValueError, match="moved weights of layer '0' that were pruned"):
        next(rounds)


# --- snapshot and rewind ----------------------------------------------------------------------


def test_trap_28_a_snapshot_is_a_copy_of_everything_but_the_masks():
    model = dense()
    names = set(NETWORKS["conv with norm"]().state_dict())
    start = snapshot(model)
    assert start.keys() == names and {"1.running_mean", "1.num_batches_tracked"} <= names
    kept = {name: value.clone() for name, value in start.items()}
    train_from(0)(model)
    assert same(start, kept)
    assert not any(value.requires_grad for value in start.values())
    assert start["1.num_batches_tracked"] == 0 and model[1].num_batches_tracked == END


def test_a_buffer_called_mask_that_is_no_mask_is_part_of_the_snapshot():
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    model[1].register_buffer("mask", torch.ones(4))
    sparsify(model, density=1)
    assert set(snapshot(model)) == {"0.weight", "0.bias", "1.mask"}


@pytest.mark.parametrize("network", NETWORKS)
def test_rewinding_puts_all_values_back_under_the_present_masks(network):
    model, start = ticket(network)
    masks = masks_of(model)
    rewind(model, start)
    assert same(masks_of(model), masks)
    values = snapshot(model)
    for name, value in values.items():
        layer = name.removesuffix(".weight")
        if layer in masks and layer != name:
            assert torch.equal(value[masks[layer]], start[name][masks[layer]])
            assert not value[~masks[layer]].any()
        else:
            assert torch.equal(value, start[name]), name


def test_trap_21_rewinding_writes_into_the_same_tensors():
    model, start = ticket()
    tensors = [*model.parameters(), *model.buffers()]
    storages = [t.data_ptr() for t in tensors]
    rewind(model, start)
    shuffle_masks(model, start)
    after = [*model.parameters(), *model.buffers()]
    assert all(a is b for a, b in zip(tensors, after, strict=True))
    assert [t.data_ptr() for t in after] == storages
    assert all(p.requires_grad for p in model.parameters())


def test_a_rewound_model_trains_on_as_a_freshly_masked_one():
    """Hooks, flags and batch norm too: nothing of the first training is left."""
    model, start = ticket()
    rewind(model, start)
    fresh = dense()
    for name, layer in masked_layers(fresh).items():
        layer.set_mask(masked_layers(model)[name].mask)
    for m in (model, fresh):
        train_from(0)(m)
    assert same(models.snapshot(model), models.snapshot(fresh))


def test_reinitialised_control_is_a_fresh_network_with_the_tickets_mask():
    model, start = ticket()
    masks = masks_of(model)
    fresh = convnet(width=3, norm=True, seed=99)  # never masked
    rewind(model, snapshot(fresh))
    assert same(masks_of(model), masks)
    for name, value in fresh.state_dict().items():
        layer = name.removesuffix(".weight")
        expected = value * masks[layer] if layer in masks and layer != name else value
        assert torch.equal(model.state_dict()[name], expected), name
    assert not torch.equal(model[0].weight, start["0.weight"] * masks["0"])


def test_a_dense_model_can_be_rewound_too():
    model = NETWORKS["conv with norm"]()
    start = snapshot(model)
    train_from(0)(model)
    assert not same(snapshot(model), start)
    rewind(model, start)
    assert same(snapshot(model), start)


# --- shuffled masks ---------------------------------------------------------------------------


@pytest.mark.parametrize("network", NETWORKS)
def test_shuffled_masks_keep_each_layers_count_and_carry_initial_weights(network):
    model, start = ticket(network)
    before, counts = masks_of(model), counts_of(model)
    shuffle_masks(model, start, seed=5)
    after = masks_of(model)
    assert counts_of(model) == counts
    assert all((before[n] ^ after[n]).any() for n in before)
    for name, mask in after.items():
        assert torch.equal(snapshot(model)[f"{name}.weight"], start[f"{name}.weight"] * mask)
    for name in start.keys() - {f"{name}.weight" for name in after}:
        assert torch.equal(snapshot(model)[name], start[name]), name


def test_shuffling_depends_on_the_seed_alone():
    def shuffled(seed, noise):
        model, start = ticket()
        torch.manual_seed(noise)
        shuffle_masks(model, start, seed)
        return masks_of(model)

    assert same(shuffled(1, 0), shuffled(1, 7))
    assert not same(shuffled(1, 0), shuffled(2, 0))


def test_shuffled_positions_are_uniform():
    """Each of 12 positions is on in about a third of 600 shuffles, the old ones no more often."""
    model = sparsify(nn.Sequential(nn.Linear(4, 3)), density=1)
    start = snapshot(model)
    prune(model, 4 / 12)
    hits = torch.zeros(3, 4)
    for seed in range(600):
        shuffle_masks(model, start, seed)
        hits += model[0].mask
    # sqrt(600 * 1/3 * 2/3) = 11.5: five of them
    assert ((hits - 200).abs() < 58).all(), hits


def test_two_layers_of_one_shape_are_not_shuffled_alike():
    model = sparsify(mlp(6, 6, 6), density=1)
    start = snapshot(model)
    prune(model, 0.5, keep_per_layer)  # 18 ones each
    shuffle_masks(model, start)
    assert not torch.equal(model[0].mask, model[2].mask)


# --- the reproduction's row -------------------------------------------------------------------


def test_the_reproductions_lottery_row():
    """Last mask of a gradual pruning, initial weights of the same seed, mask fixed from then on."""
    steps, density = 25, 0.2
    model = sparsify(convnet(width=3, norm=True, seed=7), density=1)
    start = snapshot(model)
    rule = GradualPruning(model, sgd(model), density, every=4, start=5, until=18)
    for t in range(steps):
        backward(model, t)
        rule.step()
    pruned = masks_of(model)
    rewind(model, start)
    rule = Static(model, sgd(model))
    for t in range(steps):
        backward(model, t)
        rule.step()

    # The same by hand, dense models and masks by force.
    plain = convnet(width=3, norm=True, seed=7)
    slow = SlowTicket(plain, list(pruned))
    total = sum(mask.numel() for mask in pruned.values())
    optimizer = sgd(plain)
    for t in range(1, steps + 1):
        backward(plain, t - 1)
        for name, weight in slow.weights.items():
            weight.grad[~slow.mask(name)] = 0
        if t in (8, 12, 16, 18):
            left = round(cubic_density(t, 5, 18, density) * total)
            alive = sum(sum(alive) for alive in slow.alive.values())
            slow.prune(Fraction(alive - left, alive))
        else:
            optimizer.step()
        slow.enforce({name: w.data for name, w in slow.weights.items()})
        buffers = {
            n: optimizer.state.get(w, {}).get("momentum_buffer") for n, w in slow.weights.items()
        }
        slow.enforce(buffers)
    assert sum(int(m.sum()) for m in pruned.values()) == round(density * total)
    assert all(torch.equal(pruned[name], slow.mask(name)) for name in pruned)
    slow.rewind(convnet(width=3, norm=True, seed=7).state_dict())
    slow.train(0, steps)
    assert_same_network(model, slow, "Lottery")


# --- errors -----------------------------------------------------------------------------------


def without(state, name):
    return {key: value for key, value in state.items() if key != name}


BAD_STATES = {
    "a name is missing": (lambda s: without(s, "0.bias"), r"missing or extra: \['0.bias'\]"),
    "a buffer is missing": (
        lambda s: without(s, "1.running_var"),
        r"missing or extra: \['1.running_var'\]",
    ),
    "a mask is there": (lambda s: s | {"0.mask": s["0.weight"]}, r"missing or extra: \['0.mask'\]"),
    "the last shape differs": (
        lambda s: s | {"9.weight": s["9.weight"].T},
        r"'9.weight' of shape \(12, 3\), the model's has \(3, 12\)",
    ),
    "a shape would broadcast": (
        lambda s: s | {"0.bias": s["0.bias"][:1]},
        r"'0.bias' of shape \(1,\), the model's has \(6,\)",
    ),
}


@pytest.mark.parametrize("put_back", [rewind, shuffle_masks], ids=["rewind", "shuffle_masks"])
@pytest.mark.parametrize("bad", BAD_STATES)
def test_a_state_that_does_not_fit_changes_nothing(bad, put_back):
    spoil, message = BAD_STATES[bad]
    model, start = ticket()
    before = models.snapshot(model)
    with pytest.raises(ValueError, match=message):
        put_back(model, spoil(start))
    assert same(models.snapshot(model), before)


def test_shuffling_to_a_snapshot_of_the_ticket_itself_is_refused():
    """Its zeros would come to lie under the new mask."""
    model, start = ticket()
    rewind(model, start)
    before = models.snapshot(model)
    with pytest.raises(ValueError, match="take the snapshot before pruning"):
        shuffle_masks(model, snapshot(model))
    assert same(models.snapshot(model), before)


def test_a_layer_that_starts_at_zero_may_be_shuffled():
    """As the last layer of a residual block may: its snapshot is 0 off the mask, and on it."""
    model = mlp(7, 11, CLASSES)
    nn.init.zeros_(model[2].weight)
    sparsify(model, density=1)
    start = snapshot(model)
    prune(model, 0.5)
    shuffle_masks(model, start)
    assert not model[2].weight.any()


def test_a_model_that_is_one_layer():
    """Its names have no dot."""
    model = sparsify(nn.Linear(10, CLASSES), density=1)
    start = snapshot(model)
    assert set(start) == {"weight", "bias"}
    assert [r.active for r in imp(model, train_from(0), 2, 0.5)] == [30, 15, 8]
    shuffle_masks(model, start)
    assert torch.equal(model.weight, start["weight"] * model.mask) and model.active == 8


BAD_IMP = {
    "fraction 0": (2, 0.0, "fraction is 0.0; it must be above 0 and below 1"),
    "fraction 1": (2, 1.0, "fraction is 1.0;"),
    "fraction below 0": (2, -0.2, "fraction is -0.2;"),
    "fraction nan": (2, float("nan"), "fraction is nan;"),
    "rounds below 0": (-1, 0.2, "rounds is -1; it must be at least 0"),
    "nothing left": (3, 0.9, "round 3 would leave 0 of 1 weights"),  # 150, 15, 1, 0
    "nothing to prune": (40, 0.2, "round 20 would leave 2 of 2 weights"),
}


@pytest.mark.parametrize("bad", BAD_IMP)
def test_impossible_imp_is_refused_at_the_call(bad):
    rounds, fraction, message = BAD_IMP[bad]
    model = sparsify(nn.Sequential(nn.Linear(15, 10)), density=1)
    before = models.snapshot(model)
    calls = []
    with pytest.raises(ValueError, match=message):
        imp(model, calls.append, rounds, fraction)
    assert not calls and same(models.snapshot(model), before)


@pytest.mark.parametrize("call", ["imp", "shuffle_masks"])
def test_a_model_without_masks_is_refused_at_the_call(call):
    model = NETWORKS["conv with norm"]()
    before = models.snapshot(model)
    with pytest.raises(ValueError, match=r"call sparsify\(model, density=1\) first"):
        imp(model, train_from(0), 2) if call == "imp" else shuffle_masks(model, snapshot(model))
    assert same(models.snapshot(model), before)
