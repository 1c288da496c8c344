import csv
from dataclasses import replace

import pytest
import torch

from rigl_edu.lab import cost, paper
from rigl_edu.lab.checkpoint import save_checkpoint
from rigl_edu.lab.data import load
from rigl_edu.lab.paper import NAMES
from rigl_edu.lab.recipes import RECIPES, find, recipe_fingerprint, smoke, steps_per_epoch
from rigl_edu.lab.records import read_record
from rigl_edu.lab.run import run
from rigl_edu.lab.train import make_job

WRN22 = [name for name in RECIPES if name.startswith("wrn22-")]
WEIGHTS = {22: 1_076_912, 10: 77_360}  # of the wide ResNets, by depth
PAPER = [name for name in WRN22 if not name.endswith(("-one-epoch", "-2x"))]
TWICE = [name for name in WRN22 if name.endswith("-2x")]
# One recipe for each different smoke twin: training longer makes no difference to it.
TWINS = {recipe_fingerprint(smoke(r)): name for name, r in reversed(RECIPES.items())}
MINI = [name for name in RECIPES if name.startswith("mini-")]


def test_the_papers_schedule():
    for name in PAPER:
        recipe = RECIPES[name]
        assert steps_per_epoch(recipe, 50_000 - recipe.held_out) == 352
        assert recipe.epochs * 352 == 88_000
        assert (recipe.until, recipe.every, recipe.fraction) == (65_918, 100, 0.3)
        assert recipe.until == round(0.75 * 250 * 45_000 / 128)
        assert recipe.drops == (30_000, 60_000) and recipe.regrown == "reset"
        assert recipe.model_args == {"depth": 22, "width": 2, "dropout": 0.3}
        assert recipe.seeds == (0, 1, 2) and recipe.precision == "fp32"
        assert recipe.prune_start == (700 if recipe.method == "pruning" else 0)


def test_twice_as_long_stretches_the_schedule_and_nothing_else():
    """Section 2.3 of the fact sheet: T_end 131 836, drops at 60k and 120k, Delta T as it was."""
    assert len(TWICE) == 10
    for name in TWICE:
        once, twice = RECIPES[name.removesuffix("-2x")], RECIPES[name]
        assert (twice.epochs, twice.until, twice.drops) == (500, 131_836, (60_000, 120_000))
        said = ("name", "title", "chapter", "epochs", "until", "drops", "paper")
        assert replace(twice, **{field: getattr(once, field) for field in said}) == once


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


def test_a_lottery_run_takes_the_masks_of_a_pruning_run_of_its_length_and_data():
    tickets = [recipe for recipe in RECIPES.values() if recipe.method == "lottery"]
    assert len(tickets) == 4
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


def paper_init(recipe):
    if recipe.method in ("dense", "small_dense", "pruning", "lottery"):
        return "-"
    return {"uniform": "Random", "erk": "ERK"}.get(recipe.distribution, recipe.distribution)


def test_paper_cells_are_those_of_the_csv_file():
    with paper.TABLES.open(newline="") as file:
        rows = list(csv.DictReader(file))
    tables = {
        (r["source"][:6], r["method"], r["init"], r["train_multiplier"], r["density"]): (
            float(r["acc_mean"]),
            float(r["acc_sd"]),
        )
        for r in rows
        if r["dataset"] == "CIFAR-10"
    }
    table2 = {key[1:3] + key[4:]: v for key, v in tables.items() if key[::3] == ("Table2", "1")}
    table5 = {key[1:3] + key[4:]: v for key, v in tables.items() if key[0] == "Table5"}
    longer = {key[1:3] + key[4:]: v for key, v in tables.items() if key[::3] == ("Table2", "2")}
    found = {}
    for name in [*PAPER, *TWICE]:
        recipe = RECIPES[name]
        if recipe.paper is not None:
            of = "Table 5" if recipe.method in ("rigl_sg", "rigl_sm") else "Table 2"
            assert recipe.paper.data == "CIFAR-10" and recipe.paper.table == of
            found[name] = (recipe.paper.accuracy, recipe.paper.sd)
    assert found.pop("wrn22-dense") == table2["Dense", "-", "1.0"]
    assert found["wrn22-rigl-erk-0.1"] == table2["RigL", "ERK", "0.1"] == (92.4, 0.06)
    assert found["wrn22-static-0.2"] == table2["Static", "Random", "0.2"] == (91.2, 0.16)
    assert found["wrn22-set-erk-0.2"] == table2["SET", "ERK", "0.2"] == (92.9, 0.16)
    assert found["wrn22-small_dense-0.1"] == table2["Small-Dense", "-", "0.1"] == (89.0, 0.35)
    assert found["wrn22-pruning-0.2"] == table2["Pruning", "-", "0.2"] == (93.2, 0.27)
    assert found["wrn22-snfs_reproduced-erk-0.1"] == table2["SNFS", "ERK", "0.1"] == (92.2, 0.2)
    assert found["wrn22-rigl_sg-0.1"] == table5["RigL-SG", "Random", "0.1"] == (92.2, 0.17)
    assert found["wrn22-rigl_sm-erk-0.2"] == table5["RigL-SM", "ERK", "0.2"] == (93.0, 0.13)
    assert found["wrn22-set-0.1-2x"] == longer["SET", "Random", "0.1"] == (83.3, 15.33)
    assert found["wrn22-rigl-erk-0.2-2x"] == longer["RigL", "ERK", "0.2"] == (93.3, 0.09)
    assert found["wrn22-lottery-0.1"] == table2["Lottery", "-", "0.1"] == (90.4, 0.09)
    # No row of the two tables is missing, and no number is invented.
    without = {name for name in [*PAPER, *TWICE] if RECIPES[name].paper is None}
    assert all("static-erk" in name or "struct" in name for name in without)
    assert set(table2) <= {
        (NAMES[r.method], paper_init(r), str(r.density)) for r in map(RECIPES.get, PAPER)
    }
    assert "0.31" in RECIPES["wrn22-rigl-0.2"].paper.note


def test_a_cell_that_the_paper_does_not_have():
    with pytest.raises(ValueError, match="0 cells"):
        paper.cell("Table2 CIFAR-10", "Static", "ERK", 0.1)


def test_names_say_what_a_recipe_is():
    for name, recipe in RECIPES.items():
        assert recipe.name == name
        assert recipe.method in name
        assert (f"-{recipe.density}" in name) == (recipe.method != "dense")
        if recipe.method != "dense" and name in PAPER:
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
    assert not prints & set(TWINS)
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


@pytest.mark.parametrize("name", TWINS.values())
def test_smoke_twin_of_every_recipe(name, small_data, tmp_path):
    """The whole path to a record, with the recipe's own network and two rewirings."""
    recipe, twin = RECIPES[name], smoke(RECIPES[name])
    if twin.ticket_of:
        run(smoke(RECIPES[recipe.ticket_of]), 0, small_data, tmp_path, tmp_path / twin.ticket_of)
    record = read_record(run(twin, 0, small_data, tmp_path, tmp_path / twin.name))
    assert record["recipe"]["name"] == f"{name}-smoke"
    assert record["weights"] == WEIGHTS[recipe.model_args["depth"]]
    assert record["density"] == pytest.approx(recipe.density, abs=1e-3 if "erk" in name else 0.02)
    assert record["precision"] == recipe.precision
    rewirings = [t for t in range(1, record["steps"]) if t % twin.every == 0 and t < twin.until]
    assert len(rewirings) >= 2
    assert len(record["curve"]) == 2 and record["curve"][-1]["step"] == record["steps"]
    assert record["data"] | {"fingerprint": ""} == {
        "name": "digits-3x32x32",
        "fingerprint": "",
        "train": 32 if recipe.held_out else 40,
        "held_out": 8 if recipe.held_out else 0,
        "test": 16,
    }


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


def test_prediction_uses_records_of_the_same_network_and_device_only():
    recipe = RECIPES["mini-rigl-0.1"]
    record = {
        "device": "cpu: X",
        "precision": "fp32",
        "recipe": {"model": "wide_resnet", "model_args": dict(recipe.model_args), "batch": 64},
        "wall_seconds": 60.0,
        "steps": 1000,
    }
    others = [
        record | {"device": "cpu: Y", "wall_seconds": 1.0},
        record | {"precision": "bf16", "wall_seconds": 1.0},
        record | {"recipe": record["recipe"] | {"batch": 128}, "wall_seconds": 1.0},
    ]
    assert cost.predicted_minutes(recipe, 3000, others, "cpu: X") is None
    assert cost.predicted_minutes(recipe, 3000, [record, *others], "cpu: X") == (3.0, 1)


def test_parameters_are_counted_without_building():
    assert cost.parameters(RECIPES["wrn22-dense"]) == 1_079_642
