"""Runs that start from other runs, each against what its definition says, worked out by hand."""

import copy
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from rigl_edu.lab.augment import normalise
from rigl_edu.lab.data import load
from rigl_edu.lab.models import BUILDERS
from rigl_edu.lab.recipes import RECIPES, named, recipe_fields, recipe_fingerprint
from rigl_edu.lab.recipes.ch04 import RATES
from rigl_edu.lab.recipes.studies import one_shot
from rigl_edu.lab.records import read_record
from rigl_edu.lab.run import run
from rigl_edu.lab.sanity import arms, grid_verdicts
from rigl_edu.lab.saved import read_checkpoint
from rigl_edu.lab.thin import units_of, widths
from rigl_edu.lab.tickets import needed
from rigl_edu.lab.train import OutOfTime, make_job, training_step
from rigl_edu.sparse import keep_units, masked_layers, repellent_loss
from rigl_edu.sparse.maskable import linear_and_conv

SEED = 5
WEIGHTS = 270_896 - 2 * 9 * 16  # of ResNet-20 with one input channel


@pytest.fixture(scope="module")
def data():
    return load("digits").head(40, 16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def ran(data, folder):
    """Run a recipe's smoke twin and all it needs, once; returns its record and its final state."""

    def runner(name):
        path = folder / name
        for other in needed(named(name)):
            runner(other)
        if not path.exists():
            run(named(name), SEED, data, folder, path)
        record = folder / f"{name}__digits__seed{SEED}.json"
        return read_record(record), read_checkpoint(path)["model"]

    return runner


@pytest.fixture(scope="module")
def first(data, folder):
    """The job of a smoke twin before its first step."""
    return lambda name: make_job(named(name), SEED, data, folder / name)


def split(state):
    """Weights and masks of the masked layers of a state, by layer."""
    names = [name.removesuffix(".mask") for name in state if name.endswith(".mask")]
    return tuple({n: state[f"{n}.{what}"] for n in names} for what in ("weight", "mask"))


def test_a_round_of_imp_takes_the_largest_weights_back_to_their_start(ran, first):
    names = ["resnet20-imp-0.64-smoke", "resnet20-imp-0.4096-smoke"]
    untrained = first("resnet20-dense-smoke").model.state_dict()
    _, parent = ran("resnet20-dense-smoke")
    for name in names:
        record, end = ran(name)
        start = first(name).model.state_dict()
        weights, masks = split(start)
        everything = torch.cat([parent[f"{n}.weight"].abs().flatten() for n in masks])
        chosen = torch.cat([mask.flatten() for mask in masks.values()]).bool()
        assert len(everything) == WEIGHTS
        assert chosen.sum() == record["active_weights"] == round(named(name).density * WEIGHTS)
        assert everything[chosen].min() >= everything[~chosen].max()
        for n in masks:
            assert torch.equal(weights[n], untrained[f"{n}.weight"] * masks[n])
        # All else starts anew too, and training leaves the masks alone.
        for key in set(untrained) - {f"{n}.weight" for n in masks}:
            assert torch.equal(start[key], untrained[key]), key
        for n, mask in split(end)[1].items():
            assert torch.equal(mask, masks[n])
            assert not end[f"{n}.weight"][mask == 0].any()
        parent = end


def test_imp_costs_all_its_trainings(ran):
    names = ["dense", "imp-0.64", "imp-0.4096"]
    records = [ran(f"resnet20-{name}-smoke")[0] for name in names]
    costs = [record["forward_flops"] for record in records]
    assert costs[0] > costs[1] > costs[2] > 0
    assert [r["train_flops"] for r in records] == [3 * sum(costs[: i + 1]) for i in range(3)]


def test_controls_have_the_tickets_masks_or_its_weights(data, folder, ran, first):
    ticket = named("resnet20-imp-0.64-smoke")
    masks = split(ran(ticket.name)[1])[1]
    untrained = first("resnet20-dense-smoke").model.state_dict()
    fresh, shuffled = (
        make_job(
            replace(ticket, name=method, method=method, ticket_of=ticket.name),
            SEED,
            data,
            folder / method,
        ).model
        for method in ("reinit", "shuffled")
    )
    for n, layer in masked_layers(fresh).items():
        assert torch.equal(layer.mask, masks[n])
        at = masks[n].bool()
        assert layer.weight[at].ne(untrained[f"{n}.weight"][at]).all()
        he = (2 / layer.weight[0].numel()) ** 0.5
        assert layer.weight[at].std().item() == pytest.approx(he, rel=0.2)
    for n, layer in masked_layers(shuffled).items():
        assert layer.mask.sum() == masks[n].sum()
        assert (layer.mask != masks[n]).any()
        assert torch.equal(layer.weight, untrained[f"{n}.weight"] * layer.mask)


def test_rewinding_to_step_k_is_the_dense_run_until_then(ran, first, data):
    name, k = "resnet20-imp-0.64-k2000-smoke", 2
    assert named(name).rewind == k
    ran(name)
    late, dense = first(name), first("resnet20-dense-smoke")
    images, labels = data.train_images[:8], data.train_labels[:8]
    for step in range(k):
        for job in (late, dense):
            job.step = step
            training_step(job, data, images, labels)
    masks = late.rule.masks
    assert sum(int(mask.sum()) for mask in masks.values()) == round(0.64 * WEIGHTS)
    for key, value in dense.model.state_dict().items():
        mask = masks.get(key.removesuffix(".weight"), torch.ones(()))
        expected = value * mask if key.endswith(".weight") else value
        assert torch.equal(late.model.state_dict()[key], expected), key
    assert not late.optimizer.state  # a new optimizer
    training_step(late, data, images, labels)
    for layer in masked_layers(late.model).values():
        assert not layer.weight[layer.mask == 0].any()
        assert not late.optimizer.state[layer.weight]["momentum_buffer"][layer.mask == 0].any()


@pytest.mark.parametrize("name", ["resnet20-imp-0.64-k2000-smoke", "resnet20-greedy-0.5-smoke"])
@pytest.mark.parametrize("stop", [1, 3])
def test_stopped_before_and_after_step_k_it_goes_on_bit_exactly(
    name, stop, ran, folder, data, tmp_path
):
    record, whole = ran(name)
    for other in needed(named(name)):
        (tmp_path / other).symlink_to(folder / other)
    asked = []

    def out_of_time():
        asked.append(None)
        return len(asked) == stop

    with pytest.raises(OutOfTime):
        run(named(name), SEED, data, tmp_path, tmp_path / name, out_of_time=out_of_time)
    assert read_checkpoint(tmp_path / name)["step"] == stop
    again = read_record(run(named(name), SEED, data, tmp_path, tmp_path / name, resume=True))
    state = read_checkpoint(tmp_path / name)["model"]
    assert state.keys() == whole.keys()
    assert all(torch.equal(value, whole[key]) for key, value in state.items())
    assert again["curve"] == record["curve"]


def test_a_one_shot_ticket_is_one_round_from_the_dense_network(ran, first):
    recipe = one_shot(RECIPES["sanity-dense-lr0.1"], 0.1678)
    assert recipe == RECIPES["sanity-imp-0.1678-lr0.1-oneshot"]
    assert recipe.ticket_of == "sanity-dense-lr0.1"


def test_weights_made_up_for_masks(first):
    """Neuron by neuron sqrt(fan_in / inputs left) times the weights as they are without it."""
    plain = first("start-resnet20_no_bn-static-0.05-smoke").model
    made_up = first("start-resnet20_no_bn-static-0.05-per_neuron-smoke").model
    for before, after in zip(*[masked_layers(m).values() for m in (plain, made_up)], strict=True):
        assert torch.equal(before.mask, after.mask)
        for i in range(len(before.weight)):
            left = int(before.mask[i].sum())
            factor = (before.mask[i].numel() / max(1, left)) ** 0.5
            torch.testing.assert_close(after.weight[i], before.weight[i] * factor)


# --- the repellent loss ------------------------------------------------------------------------


def test_a_repelled_round_trains_on_both_losses_and_reports_one(ran, first, data):
    name = "stability-imp-0.4096-b2048-repelled-smoke"
    ran(name)
    job = first(name)
    ends = [ran(n)[1] for n in ("stability-dense-b2048-smoke", named(name).ticket_of)]
    assert len(job.earlier) == 2
    for solution, end in zip(job.earlier, ends, strict=True):
        assert all(torch.equal(solution[n], end[f"{n}.weight"]) for n in masked_layers(job.model))
    plain = make_job(replace(named(name), repellent=0.0), SEED, data, job.checkpoint)
    assert plain.earlier == []
    images, labels = data.train_images[:8], data.train_labels[:8]
    for other in (job, plain):
        other.optimizer.step = lambda: None  # keep gradients and weights as they are
    losses = [training_step(j, data, images, labels) for j in (job, plain)]
    assert torch.equal(*losses)
    expected = copy.deepcopy(plain.model)
    expected.zero_grad()
    repellent_loss(expected, job.earlier, 2.0).backward()
    for n, layer in masked_layers(job.model).items():
        extra = masked_layers(expected)[n].weight.grad * layer.mask
        whole = masked_layers(plain.model)[n].weight.grad * layer.mask + extra
        torch.testing.assert_close(layer.weight.grad * layer.mask, whole)
        assert extra.any()


# --- twins -------------------------------------------------------------------------------------


def test_a_twin_differs_in_order_and_crops_alone(ran, first):
    name = "stability-dense-b128-twin-smoke"
    record, end = ran(name)
    job, other = first(name), first("stability-dense-b128-smoke")
    pairs = zip(job.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    orders = [torch.randperm(40, generator=j.stream("order", 0)) for j in (job, other)]
    assert not torch.equal(*orders)
    assert job.stream("crop", 3).initial_seed() != other.stream("crop", 3).initial_seed()
    other_end = ran("stability-dense-b128-smoke")[1]
    assert any(not torch.equal(value, other_end[key]) for key, value in end.items())
    assert record["barrier"] >= 0
    assert "barrier" not in ran("stability-dense-b128-smoke")[0]


def test_the_barrier_is_the_hill_on_the_line(ran, first, data):
    name = "stability-dense-b128-twin-smoke"
    record, end = ran(name)
    other = ran("stability-dense-b128-smoke")[1]
    model = first(name).model
    images = normalise(data.train_images[:32], data.mean, data.std)  # all but the held-out ones
    errors = []
    for step in range(30):
        a = step / 29
        state = {
            k: torch.lerp(v, other[k], a) if v.is_floating_point() else v for k, v in end.items()
        }
        model.load_state_dict(state)
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.reset_running_stats()
                module.momentum = None
        with torch.no_grad():
            model.train()(images.contiguous(memory_format=torch.channels_last))
            logits = model.eval()(normalise(data.test_images, data.mean, data.std))
        errors.append(100 * float((logits.argmax(1) != data.test_labels).float().mean()))
    assert record["barrier"] == pytest.approx(max(errors) - (errors[0] + errors[-1]) / 2, abs=1e-4)


# --- thin networks -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "density"),
    [("vgg11_bn", 0.25), ("vgg11_bn", 0.1), ("vgg11", 0.1), ("resnet20", 0.5), ("resnet20", 0.25)],
)
def test_widths_are_as_many_units_as_the_density_allows(model, density):

    network = BUILDERS[model]()
    layers = units_of(network)
    assert len(layers) == (8 if "vgg" in model else 9)
    keep = widths(network, layers, density)
    shares = [number / units.n for number, units in zip(keep, layers, strict=True)]
    assert max(shares) - min(shares) < 0.05
    total = sum(layer.weight.numel() for layer in linear_and_conv(network).values())
    for units, number in zip(layers, keep, strict=True):
        keep_units(units, torch.tensor([1 / number] * number + [0.0] * (units.n - number)))
    network.eval()(torch.zeros(1, 3, 32, 32))
    left = sum(layer.weight.numel() for layer in linear_and_conv(network).values()) / total
    assert density * 0.98 < left <= density


def test_too_thin_is_refused():

    network = BUILDERS["resnet20"]()
    with pytest.raises(ValueError, match="density 0.01: .* weights are left"):
        widths(network, units_of(network), 0.01)
    with pytest.raises(ValueError, match="MLP|Sequential|SmallCNN|LeNet"):
        units_of(BUILDERS["lenet5"]())


def test_a_thin_run_starts_from_the_trained_network(ran, first):
    record, _ = ran("resnet20-greedy-0.5-smoke")
    job = first("resnet20-greedy-0.5-smoke")
    parent = ran("resnet20-dense-smoke")[1]
    state = job.model.state_dict()
    for key in ("stem.weight", "norm.running_mean", "fc.weight"):
        assert torch.equal(state[key], parent[key])
    kept, all_of_them = state["group1.0.conv1.weight"], parent["group1.0.conv1.weight"]
    assert len(kept) < len(all_of_them)
    assert all(any(torch.equal(row, old) for old in all_of_them) for row in kept)
    assert record["weights"] == WEIGHTS and 0.49 < record["density"] <= 0.5
    dense = ran("resnet20-dense-smoke")[0]
    expected = 3 * (dense["forward_flops"] + record["forward_flops"])  # smoke twins: equal epochs
    assert record["train_flops"] == pytest.approx(expected)


def test_random_units_are_a_choice_of_the_seed(first, ran, data, folder):
    ran("resnet20-random_units-0.5-smoke")
    jobs = [first("resnet20-random_units-0.5-smoke") for _ in range(2)]
    greedy = first("resnet20-greedy-0.5-smoke")
    key = "group1.0.conv1.weight"
    assert torch.equal(*[job.model.state_dict()[key] for job in jobs])
    assert not torch.equal(jobs[0].model.state_dict()[key], greedy.model.state_dict()[key])


def test_what_a_run_starts_from_is_told_if_it_is_missing(data, tmp_path):
    for name in ("resnet20-imp-0.64-smoke", "resnet20-greedy-0.5-smoke"):
        with pytest.raises(ValueError, match="needs .*dense-smoke.*; first run resnet20-dense-smo"):
            make_job(named(name), SEED, data, tmp_path / name)


# --- chapter 4's grid --------------------------------------------------------------------------


def grid_records(template, accuracies, seeds=(0, 1, 2)):
    """Records of the whole grid: by arm the accuracy at each learning rate, seeds 0.1 apart."""
    for i, lr in enumerate(RATES):
        for arm, name in arms(lr, "iterative").items():
            for seed in seeds:
                yield template | {
                    "recipe": recipe_fields(RECIPES[name]),
                    "recipe_fingerprint": recipe_fingerprint(RECIPES[name]),
                    "seed": seed,
                    "test_accuracy": accuracies[arm][i] + 0.1 * seed,
                }


def test_the_grids_verdict_follows_from_its_records(ran):
    template = ran("stability-dense-b128-smoke")[0]
    accuracies = {
        "ticket": [80, 89, 90, 89, 88, 87],
        "reinit": [70, 82, 84, 85, 86, 85],
        "dense": [80, 88, 90, 91, 92.5, 92],
        "small_dense": [80, 81, 82, 83, 84, 83],
    }
    records = list(grid_records(template, accuracies))
    ((where, verdict),) = grid_verdicts(records, "iterative").items()
    assert where == "digits, fp32"
    assert verdict.name == "secondary prize ticket" and verdict.decided
    assert [c.holds for c in verdict.conditions] == [True, True, True, True, False]
    assert verdict.conditions[2].rates == (0.01, 0.1)
    assert grid_verdicts(records, "one-shot") == {}
    assert grid_verdicts(records[3:], "iterative") == {}  # one arm at one rate is missing
    other = [r | {"precision": "bf16"} for r in records[:3]]
    assert grid_verdicts(records[3:] + other, "iterative") == {}  # and not made up for by another


# --- the recipes -------------------------------------------------------------------------------


def test_rounds_leave_64_percent_each_and_start_from_one_another():
    for stem, ending in (("resnet20", ""), ("resnet20", "-k2000"), ("stability", "-b512")):
        rounds = [
            r for n, r in RECIPES.items() if n.startswith(f"{stem}-imp-") and n.endswith(ending)
        ]
        rounds = [r for r in rounds if not (ending == "" and r.rewind)]
        assert len(rounds) == 8
        for earlier, later in pairwise(rounds):
            assert later.ticket_of == earlier.name
            assert later.density / earlier.density == pytest.approx(0.64, abs=2e-3)
            said = ("name", "title", "ticket_of", "density")
            assert replace(later, **{f: getattr(earlier, f) for f in said}) == earlier


def test_the_papers_protocols():
    """Fact sheet, sections 4.4 and 5.4, and open_lth's ResNet-20."""
    imp, sanity = RECIPES["resnet20-dense"], RECIPES["sanity-dense-lr0.05"]
    assert (imp.epochs, imp.batch, imp.lr, imp.weight_decay) == (160, 128, 0.1, 1e-4)
    assert (sanity.epochs, sanity.batch, sanity.lr, sanity.weight_decay) == (160, 64, 0.05, 5e-4)
    for recipe in (imp, sanity):
        per_epoch = -(-45_000 // recipe.batch)
        assert recipe.drops == (80 * per_epoch, 120 * per_epoch) and recipe.drop_factor == 0.1
    for batch in (128, 512, 2048):
        stable = RECIPES[f"stability-dense-b{batch}"]
        assert (stable.epochs, stable.lr, stable.weight_decay) == (85, 0.1, 1e-5)
        assert stable.drops == tuple(e * -(-45_000 // batch) for e in (56, 71))
    assert {r.repellent for r in RECIPES.values()} == {0.0, 2.0, -1.0}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ticket_of": ""}, "method 'imp' with ticket_of ''"),
        ({"method": "static"}, "method 'static' with ticket_of 'resnet20-dense'"),
        ({"method": "greedy", "rewind": 3}, "method 'greedy' with rewind 3"),
        ({"initialisation": "glorot"}, "'glorot', allowed: dense, per_neuron"),
    ],
)
def test_impossible_tickets(change, said):
    with pytest.raises(ValueError, match=said):
        replace(RECIPES["resnet20-imp-0.64"], **change)
