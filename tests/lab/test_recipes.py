import math
import re
from dataclasses import replace

import pytest
import torch

from rigl_edu.lab import cost
from rigl_edu.lab.checkpoint import save_checkpoint
from rigl_edu.lab.data import load
from rigl_edu.lab.models import BUILDERS
from rigl_edu.lab.recipes import (
    RECIPES,
    fast,
    find,
    named,
    recipe_fields,
    recipe_fingerprint,
    smoke,
    steps_per_epoch,
    times_as_long,
)
from rigl_edu.lab.records import read_record
from rigl_edu.lab.run import run
from rigl_edu.lab.tickets import needed
from rigl_edu.lab.train import learning_rate, make_job
from rigl_edu.sparse.distributions import active_counts
from rigl_edu.sparse.maskable import linear_and_conv
from rigl_edu.sparse.sparsify import densities_of

# The paper's runs; a smoke twin or a first epoch is none.
WRN22 = [n for n in RECIPES if n.startswith("wrn22-") and not n.endswith(("-one-epoch", "-50k"))]
RESNET50 = [n for n in RECIPES if n.startswith("resnet50-")]
ALL_IMAGES = [n for n in RECIPES if n.endswith("-50k")]
TUNED = [n for n in WRN22 if "-lr" in n]
MINI = [n for n in RECIPES if n.startswith("mini-")]


LARGE = ("resnet50", "vgg11", "vgg11_bn")


def representatives():
    """The recipes whose smoke twins run all code that any twin runs; others differ in numbers.

    The large networks take many seconds even on few images. Each runs dense, small, thinned at
    random and under RigL; for all other methods and starts the twin of a smaller network must do.
    So it must for global imitation, which takes hundreds of passes through a network a layer.
    """
    chosen, covered = {}, set()
    for recipe in sorted(RECIPES.values(), key=cost.parameters):
        ticket = recipe.rewind > 0, recipe.initialisation, recipe.repellent != 0
        way = recipe.method, recipe.held_out == 0, *ticket, recipe.twin_of != ""
        usual = recipe.method in ("dense", "small_dense", "rigl", "random_units")
        costly = recipe.method == "greedy_global" or (recipe.model in LARGE and not usual)
        if not (costly and way in covered):
            masks = "" if recipe.model in LARGE else recipe.distribution
            network = recipe.model, *recipe.model_args.items()
            chosen.setdefault((network, masks, way), recipe.name)
        covered.add(way)
    return list(chosen.values())


def times(recipe):
    return int(recipe.name[-2]) if recipe.name.endswith(("-2x", "-3x")) else 1


@pytest.mark.parametrize("name", WRN22 + RESNET50)
def test_the_papers_schedule(name):
    """Sections 2.1 to 2.4 of the fact sheet, the same for both data sets."""
    recipe = RECIPES[name]
    assert steps_per_epoch(recipe, 50_000 - recipe.held_out) == 352
    assert recipe.epochs * 352 == 88_000 * times(recipe)
    assert 65_918 == round(0.75 * 250 * 45_000 / 128)
    assert recipe.until == {1: 65_918, 2: 131_836, 3: 197_754}[times(recipe)]
    assert recipe.regrown == "reset" and recipe.precision == "fp32"
    assert (recipe.momentum, recipe.drop_factor) == (0.9, 0.2)
    assert recipe.prune_start == (700 if recipe.method == "pruning" else 0)
    if name not in TUNED:
        assert (recipe.lr, recipe.every, recipe.fraction) == (0.1, 100, 0.3)
        assert recipe.seeds == (0, 1, 2)


def test_cifar10_and_cifar100_differ_as_in_the_paper():
    for recipe in map(RECIPES.get, WRN22):
        assert (recipe.model, recipe.data) == ("wide_resnet", "cifar10")
        assert recipe.model_args == {"depth": 22, "width": 2, "dropout": 0.3}
        drops = {1: (30_000, 60_000), 2: (60_000, 120_000), 3: (90_000, 180_000)}
        assert recipe.drops == drops[times(recipe)]
        assert (recipe.warmup, recipe.weight_decay, recipe.label_smoothing) == (0, 5e-4, 0.0)
    for recipe in map(RECIPES.get, RESNET50):
        assert (recipe.model, recipe.data, recipe.model_args) == ("resnet50", "cifar100", {})
        assert (
            recipe.drops
            == {
                1: (21_760, 41_760, 61_760, 81_760),
                2: (41_760, 81_760, 121_760, 161_760),
                3: (61_760, 121_760, 181_760, 241_760),
            }[times(recipe)]
        )
        assert recipe.warmup == 5 * 352
        assert (recipe.weight_decay, recipe.label_smoothing) == (1e-4, 0.1)
        # The rates of the reproduction's code, section 2.2.
        assert learning_rate(0, recipe) == 0 and learning_rate(1760, recipe) == 0.1
        assert learning_rate(recipe.drops[-1], recipe) == pytest.approx(1.6e-4)


def test_a_name_says_how_long_a_recipe_trains():
    longer = [name for name in RECIPES if times_as_long(name) > 1]
    assert len(longer) == 20 + 12 + 2
    for name in longer:
        once = RECIPES[re.sub(r"-[23]x", "", name)]
        assert RECIPES[name].epochs == times_as_long(name) * once.epochs
        assert times_as_long(fast(RECIPES[name]).name) == times_as_long(name)


def test_training_longer_stretches_the_schedule_and_nothing_else():
    longer = [name for name in WRN22 + RESNET50 if times(RECIPES[name]) > 1]
    assert len(longer) == 20 + 12
    for name in longer:
        once, recipe = RECIPES[name[: -len("-2x")]], RECIPES[name]
        said = ("name", "title", "chapter", "epochs", "until", "drops", "paper")
        assert replace(recipe, **{field: getattr(once, field) for field in said}) == once


def test_tuned_recipes_differ_in_what_their_name_says():
    assert len(TUNED) == 2 * 3 * 4 * 4 - 2 * 3 + 6  # Figure 3 without chapter 11's, and Table 4
    for name in TUNED:
        recipe, usual = RECIPES[name], RECIPES[name[: name.index("-lr")]]
        said = ("name", "title", "chapter", "lr", "fraction", "every", "seeds", "paper")
        assert replace(recipe, **{field: getattr(usual, field) for field in said}) == usual
        assert name == f"{usual.name}-lr{recipe.lr}-a{recipe.fraction}-t{recipe.every}"
        assert recipe.seeds == ((0, 1, 2) if recipe.paper.table == "Table 4" else (0,))


def test_all_images_are_trained_on_for_table_1():
    """Section 2.3: 391 steps an epoch, 97 750 in all, three drops, T_end as it was."""
    assert len(ALL_IMAGES) == 1 + 3 * 3
    for name in ALL_IMAGES:
        recipe, usual = RECIPES[name], RECIPES[name.removesuffix("-50k")]
        assert cost.total_steps(recipe, "cifar10") == 250 * 391 == 97_750
        assert recipe.drops == (30_000, 60_000, 90_000)
        said = ("name", "title", "chapter", "held_out", "drops", "paper")
        assert replace(recipe, **{field: getattr(usual, field) for field in said}) == usual


def test_one_epoch_is_the_beginning_of_the_papers_recipe():
    whole = RECIPES["wrn22-rigl-erk-0.1"]
    start = RECIPES["wrn22-rigl-erk-0.1-one-epoch"]
    said = ("name", "title", "epochs", "checkpoint_every", "seeds", "paper")
    assert replace(start, **{name: getattr(whole, name) for name in said}) == whole
    assert cost.total_steps(start, "cifar10") == 352
    assert start.paper is None


def test_mini_recipes_scale_the_papers_schedule():
    assert len(MINI) == 1 + 2 * 12
    for name in MINI:
        recipe = RECIPES[name]
        steps = cost.total_steps(recipe, "cifar10")
        assert steps == (7040 if name.endswith("-2x") else 3520)
        assert [drop / steps for drop in recipe.drops] == pytest.approx(
            [30 / 88, 60 / 88], abs=1e-3
        )
        assert recipe.until / steps == pytest.approx(0.75, abs=1e-3)
        assert recipe.prune_start == (28 if recipe.method == "pruning" else 0)
        assert recipe.paper is None and recipe.precision == "fp32"


def test_the_ladder_is_the_mini_protocol_on_the_papers_network():
    ladder = [recipe for name, recipe in RECIPES.items() if name.startswith("ladder-")]
    assert [r.method for r in ladder] == ["dense", "static", "set", "rigl", "pruning"]
    for recipe in ladder:
        assert cost.total_steps(recipe, "cifar10") == 15 * 235
        assert recipe.drops == (3525 * 30 // 88, 3525 * 60 // 88) and recipe.until == 2643
        mini = RECIPES[recipe.name.replace("ladder", "mini")]
        same = ("model_args", "epochs", "limit", "drops", "until", "checkpoint_every")
        said = ("name", "title", "chapter", *same)
        assert replace(recipe, **{field: getattr(mini, field) for field in said}) == mini
        paper = RECIPES["wrn22-dense"].model_args | {"dropout": 0.0}
        assert recipe.model_args == paper


def test_a_lottery_run_takes_the_masks_of_a_pruning_run_of_its_length_and_data():
    tickets = [recipe for recipe in RECIPES.values() if recipe.method == "lottery"]
    assert len(tickets) == 6
    for ticket in tickets:
        pruning = RECIPES[ticket.ticket_of]
        said = ("name", "chapter", "title", "method", "ticket_of", "prune_start", "paper")
        assert replace(ticket, **{field: getattr(pruning, field) for field in said}) == pruning
        assert smoke(ticket).ticket_of == smoke(pruning).name


def test_a_lottery_run_trains_the_initial_weights_under_the_final_masks(small_data, tmp_path):
    ticket, pruning = smoke(RECIPES["mini-lottery-0.1"]), smoke(RECIPES["mini-pruning-0.1"])
    data = small_data.head(40, 16)
    theirs, ours = (tmp_path / f"{r.name}__d__seed3.pt" for r in (pruning, ticket))
    with pytest.raises(ValueError, match="needs .*mini-pruning-0.1-smoke.* not there; first run"):
        make_job(ticket, 3, data, ours)
    pruned = read_record(run(pruning, 3, data, tmp_path, theirs))
    job = make_job(ticket, 3, data, ours)
    masks = torch.load(theirs)["model"]
    untrained = make_job(pruning, 3, data, ours).model.state_dict()
    for name, value in job.model.state_dict().items():
        if name.endswith(".mask"):
            assert torch.equal(value, masks[name]) and 0 < value.mean() < 1
        elif name.endswith("weight") and (mask := name.replace("weight", "mask")) in masks:
            assert torch.equal(value, untrained[name] * masks[mask])
        else:
            assert torch.equal(value, untrained[name])
    record = read_record(run(ticket, 3, data, tmp_path, ours))
    assert record["active_weights"] == pruned["active_weights"] == 7736
    f_s = record["forward_flops"] / record["dense_forward_flops"]
    assert f_s == pruned["forward_flops"] / pruned["dense_forward_flops"]
    assert record["train_flops_ratio"] == pytest.approx(pruned["train_flops_ratio"] + f_s)
    ours.rename(tmp_path / "kept")
    theirs.rename(tmp_path / f"{pruning.name}__d__seed4.pt")
    with pytest.raises(ValueError, match="'seed': 3.*needs .*'seed': 4"):
        make_job(ticket, 4, data, tmp_path / f"{ticket.name}__d__seed4.pt")


def test_a_ticket_of_an_unfinished_run_is_refused(small_data, tmp_path):
    ticket, pruning = smoke(RECIPES["mini-lottery-0.1"]), smoke(RECIPES["mini-pruning-0.1"])
    data = small_data.head(40, 16)
    theirs = tmp_path / f"{pruning.name}__d__seed0.pt"
    save_checkpoint(make_job(pruning, 0, data, theirs), data)
    with pytest.raises(ValueError, match="stopped at step 0; first run .* --resume"):
        make_job(ticket, 0, data, tmp_path / f"{ticket.name}__d__seed0.pt")


def test_names_say_what_a_recipe_is():
    for name, recipe in RECIPES.items():
        assert recipe.name == name
        assert recipe.method in name
        assert (f"-{recipe.density}" in name) == (recipe.method != "dense")
        if recipe.method != "dense" and name in WRN22 + RESNET50:
            assert ("-erk-" in name) == (recipe.distribution == "erk")


def test_find():
    assert [r.name for r in find("mini-[s]*t*-0.05")] == ["mini-static-0.05", "mini-set-0.05"]
    assert find("mini-dense") == [RECIPES["mini-dense"]]
    with pytest.raises(ValueError, match="'mini-rigl-0.2'.*mini-rigl-0.1"):
        find("mini-rigl-0.2")


def test_fingerprints_see_what_matters_only():
    recipe = RECIPES["mini-rigl-0.1"]
    same = replace(recipe, title="other words", seeds=(5,), checkpoint_every=7)
    assert recipe_fingerprint(same) == recipe_fingerprint(recipe)
    prints = {recipe_fingerprint(r) for r in RECIPES.values()}
    assert len(prints) == len(RECIPES)
    assert not prints & {recipe_fingerprint(smoke(r)) for r in RECIPES.values()}
    prints.add(recipe_fingerprint(replace(recipe, lr=0.2)))
    prints.add(recipe_fingerprint(replace(recipe, model_args={"depth": 16, "width": 1})))
    assert len(prints) == len(RECIPES) + 2


@pytest.mark.parametrize(
    "change, value",
    [
        ({"method": "rigle"}, "'rigle'"),
        ({"precision": "fp8"}, "'fp8'"),
        ({"method": "dense"}, "density 0.1"),
        ({"density": 1.0}, "density 1.0"),
    ],
)
def test_impossible_recipes(change, value):
    with pytest.raises(ValueError, match=value):
        replace(RECIPES["mini-rigl-0.1"], **change)


@pytest.fixture(scope="module")
def small_data():
    return load("digits-3x32x32")


def weights(recipe):
    """Of the network that a smoke twin trains, at full width."""
    if recipe.model == "resnet50":  # one input channel instead of 3, 10 classes instead of 100
        return 23_652_032 - 2 * 9 * 64 - 90 * 2048
    if recipe.model.startswith("resnet20"):  # one input channel instead of 3
        return 270_896 - 2 * 9 * 16
    if recipe.model.startswith("vgg11"):
        return 9_222_848
    # WRN-22-2 has one input channel here, WRN-10-1 three.
    return {22: 1_076_912 - 2 * 9 * 16, 10: 77_360}[recipe.model_args["depth"]]


def run_what_it_needs(twin, data, folder):
    """The runs that a smoke twin starts from, those that they start from first."""
    for name in needed(twin):
        if not (folder / name).exists():
            run_what_it_needs(named(name), data, folder)
            run(named(name), 0, data, folder, folder / name)


@pytest.mark.parametrize("name", representatives())
def test_smoke_twin_of_every_recipe(name, small_data, tmp_path):
    """The whole path to a record, with the recipe's own network and two rewirings."""
    recipe, twin = RECIPES[name], smoke(RECIPES[name])
    data = load("digits") if twin.data == "digits" else small_data
    run_what_it_needs(twin, data, tmp_path)
    record = read_record(run(twin, 0, data, tmp_path, tmp_path / twin.name))
    for checkpoint in tmp_path.glob("*-smoke*"):  # 0.3 GB each for ResNet-50
        checkpoint.unlink()
    assert record["recipe"]["name"] == f"{name}-smoke"
    assert record["weights"] == weights(recipe)
    assert record["density"] == pytest.approx(recipe.density, abs=1e-3 if "erk" in name else 0.02)
    assert record["precision"] == recipe.precision
    rewirings = [t for t in range(1, record["steps"]) if t % twin.every == 0 and t < twin.until]
    assert len(rewirings) >= 2 or not recipe.until
    assert len(record["curve"]) == 2 and record["curve"][-1]["step"] == record["steps"]
    assert record["data"] | {"fingerprint": ""} == {
        "name": twin.data,
        "fingerprint": "",
        "train": 32 if recipe.held_out else 40,
        "held_out": 8 if recipe.held_out else 0,
        "test": 16,
    }


def layer_densities(recipe):
    """The first masks' density by layer, and the layer's shape and output positions.

    All of it without a weight or a mask: the network is on the meta device.
    """
    with torch.device("meta"):
        model = BUILDERS[recipe.model](**recipe.model_args).eval()
    layers = linear_and_conv(model)
    positions = {}
    for name, layer in layers.items():
        layer.register_forward_hook(
            lambda _layer, _inputs, output, name=name: positions.update(
                {name: output[0, 0].numel()}
            )
        )
    model(torch.zeros(1, 3, 32, 32, device="meta"))
    _, densities = densities_of(model, recipe.density, recipe.distribution)
    return {
        name: (densities.get(name, 1.0), tuple(layer.weight.shape), positions[name])
        for name, layer in layers.items()
    }


def test_masks_of_every_recipe_can_be_drawn():
    drawn = [r for r in RECIPES.values() if r.method not in ("dense", "small_dense")]
    different = {(r.model, str(r.model_args), r.density, r.distribution): r for r in drawn}
    for recipe in different.values():
        layers = layer_densities(recipe)
        shapes = {name: shape for name, (_, shape, _) in layers.items()}
        counts = active_counts(shapes, {name: density for name, (density, _, _) in layers.items()})
        sizes = [math.prod(shape) for shape in shapes.values()]
        surplus = sizes[0] if recipe.distribution == "uniform" else 0  # the first layer, dense
        expected = recipe.density * (sum(sizes) - surplus) + surplus
        assert abs(sum(counts.values()) - expected) <= 0.5


def forward_ratio(recipe):
    """f_S / f_D of the first masks."""
    layers = layer_densities(recipe).values()
    dense = [math.prod(shape) * positions for _, shape, positions in layers]
    sparse = [density * cost for (density, _, _), cost in zip(layers, dense, strict=True)]
    return sum(sparse) / sum(dense)


def test_pairs_of_equal_flops():
    """Figure 4: RigL from uniform masks beside ERK masks of the density that costs as much.

    The second ratio is the fact sheet's, which counted the reproduction's own networks.
    """
    pairs = {
        "wrn22-rigl-0.1": ("wrn22-rigl-erk-0.0587", 0.103),
        "wrn22-rigl-0.2": ("wrn22-rigl-erk-0.1145", 0.198),
        "wrn22-rigl-0.5": ("wrn22-rigl-erk-0.2855", 0.500),
        "resnet50-rigl-0.1": ("resnet50-rigl-erk-0.044", 0.100),
        "resnet50-rigl-0.2": ("resnet50-rigl-erk-0.088", 0.198),
        "resnet50-rigl-0.5": ("resnet50-rigl-erk-0.298", 0.504),
    }
    for uniform, (erk, ratio) in pairs.items():
        assert forward_ratio(RECIPES[erk]) == pytest.approx(ratio, abs=1e-3)
        assert forward_ratio(RECIPES[uniform]) == pytest.approx(ratio, abs=5e-3)


def test_flops_of_the_papers_network(small_data, tmp_path):
    """ERK's and uniform's training cost, as the papers' formulas give them for Delta T = 100."""
    expected = {
        "wrn22-static-erk-0.1": 0.1735,
        "wrn22-static-erk-0.2": 0.3521,
        "wrn22-static-0.1": 0.1025,
        "wrn22-static-0.2": 0.2022,
        "wrn22-rigl-erk-0.1": 0.1763,
        "wrn22-rigl-erk-0.2": 0.3542,
        "wrn22-rigl-0.1": 0.1055,
        "wrn22-rigl-0.2": 0.2049,
    }
    from rigl_edu.lab.run import make_record

    for name, ratio in expected.items():
        job = make_job(RECIPES[name], 0, small_data.head(5008, 8), tmp_path / "none.pt")
        record = make_record(job, small_data.head(5008, 8), "test")
        assert record["dense_forward_flops"] == 315_460_224
        assert record["train_flops_ratio"] == pytest.approx(ratio, abs=5e-4)


def test_snfs_cost_uses_the_mean_over_training():
    from rigl_edu.lab.methods import train_flops

    recipe = replace(RECIPES["mini-rigl-0.1"], method="snfs")
    assert train_flops(recipe, 30.0, 100.0, [10.0, 20.0, 30.0]) == 2 * 20 + 100
    assert train_flops(RECIPES["mini-set-0.1"], 30.0, 100.0, []) == 90
    assert train_flops(RECIPES["mini-dense"], 100.0, 100.0, []) == 300


# --- what a run will cost ----------------------------------------------------------------------


def test_steps_are_known_before_loading(tmp_path):
    assert cost.total_steps(RECIPES["wrn22-dense"], "cifar10") == 88_000
    assert cost.total_steps(smoke(RECIPES["mini-dense"]), "cifar10") == 8
    for name in ("ant", "bee"):
        (tmp_path / "train" / name).mkdir(parents=True)
        (tmp_path / "test" / name).mkdir(parents=True)
        for i in range(3000):
            (tmp_path / "train" / name / f"{i}.jpg").touch()
    assert cost.train_size(RECIPES["mini-dense"], str(tmp_path)) == 1000


def test_prediction_uses_the_nearest_records_and_says_which():
    recipe = RECIPES["mini-rigl-0.1"]
    record = {
        "device": "cpu: X",
        "threads": 2,
        "precision": "fp32",
        "recipe": recipe_fields(recipe),
        "wall_seconds": 60.0,
        "steps": 1000,
        "forward_flops": 1,
        "dense_forward_flops": cost.size_and_flops(recipe)[1],
    }

    def predicted(records, device="cpu: X", recipe=recipe):
        return cost.predicted_minutes(recipe, 3000, records, device, threads=2)

    elsewhere = [
        record | {"device": "cpu: Y", "wall_seconds": 1.0},
        record | {"precision": "bf16", "wall_seconds": 1.0},
        record | {"device": "2 x cpu: X", "wall_seconds": 1.0},
    ]
    larger = record | {"recipe": record["recipe"] | {"batch": 128}, "wall_seconds": 240.0}
    more_threads = [record | {"threads": n, "wall_seconds": 10.0 * n} for n in (4, 99)]
    basis = "1 record of this network on this device with 2 threads"
    assert predicted(elsewhere) is None
    assert predicted([record, larger, *more_threads, *elsewhere]) == (3.0, basis, True)
    guess = predicted([larger, *more_threads, *elsewhere])
    assert guess == (2.0, basis.replace("2 threads", "4 threads"), False)
    assert str(guess).startswith("about 2.0 minutes a seed, a guess from 1 record of this network")
    # Twice the batch took 0.24 s a step, so half of that.
    others = basis.replace("this network", "other networks, by FLOPs,")
    assert predicted([larger, *elsewhere]) == (6.0, others, False)
    gpu = record | {"device": "cuda: Y", "threads": 99}
    assert predicted([gpu], "cuda: Y") == (3.0, "1 record of this network on this device", True)
    assert predicted([record], recipe=RECIPES["mini-dense"]).measured, "a mask saves no time"


def test_a_small_dense_network_saves_flops_and_a_mask_does_not():
    small = {"recipe": {"method": "small_dense", "batch": 10}}
    flops = {"forward_flops": 3, "dense_forward_flops": 7}
    assert cost.step_flops(small | flops) == 30
    assert cost.step_flops({"recipe": {"method": "set", "batch": 10}} | flops) == 70


def test_parameters_are_counted_without_building():
    assert cost.parameters(RECIPES["wrn22-dense"]) == 1_079_642
    assert cost.dense_training_flops(RECIPES["wrn22-dense"], 10) == 3 * 315_460_224 * 128 * 10


def test_a_fingerprint_covers_the_runs_that_a_run_starts_from(monkeypatch):
    lottery, ancestor = RECIPES["wrn22-lottery-0.1"], RECIPES["wrn22-pruning-0.1"]
    before = recipe_fingerprint(lottery), recipe_fingerprint(RECIPES["wrn22-dense"])
    monkeypatch.setitem(RECIPES, ancestor.name, replace(ancestor, lr=5.0))
    assert recipe_fingerprint(lottery) != before[0]
    assert recipe_fingerprint(RECIPES["wrn22-dense"]) == before[1]
