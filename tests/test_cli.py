"""The command line as a user meets it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rigl_edu.lab import cli, cost, data, train
from rigl_edu.lab.recipes import RECIPES, recipe_fields, recipe_fingerprint, smoke
from rigl_edu.lab.records import is_current, read_record
from rigl_edu.lab.saved import read_checkpoint

SMOKE = ["run", "mini-rigl-0.1", "--smoke"]
RECORD = Path("data/smoke/mini-rigl-0.1-smoke__digits-3x32x32__seed0.json")
CHECKPOINT = Path("data/smoke/checkpoints/mini-rigl-0.1-smoke__digits-3x32x32__seed0.pt")


pytestmark = pytest.mark.usefixtures("elsewhere")


def refused(capsys, *argv):
    """Exit status 2 with one line on stderr; returns the line."""
    with pytest.raises(SystemExit) as raised:
        cli.main(argv)
    assert raised.value.code == 2
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("rigl_edu: ")
    assert not list(Path().iterdir()), "nothing may be made before the input is known to be good"
    return lines[0]


def test_module_from_any_directory():
    repository = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "rigl_edu", *SMOKE, "--threads", "1", "--seed", "3"],
        env=os.environ | {"PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "8 steps a seed" in done.stdout and "test accuracy" in done.stdout
    assert done.stderr == ""  # no progress bar where there is no terminal
    record = read_record(str(RECORD).replace("seed0", "seed3"))
    assert record["command"] == f"python -m rigl_edu {' '.join(SMOKE)} --threads 1 --seed 3"
    assert record["threads"] == 1


def test_list(capsys):
    assert cli.main(["list", "ch11"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()[:-1]]
    assert names == [name for name, recipe in RECIPES.items() if recipe.chapter == 11]
    assert cli.main(["list"]) == 0
    *lines, legend = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(RECIPES)
    chapters = [f"ch{recipe.chapter}" for recipe in RECIPES.values()]
    assert [line.split()[1] for line in lines] == chapters
    assert all(line.split()[2:4] == ["?", "min"] for line in lines)
    assert lines[list(RECIPES).index("wrn22-dense")].split()[4:6] == ["13.0", "MB"]
    assert "minutes a seed on cpu: " in legend or "on cuda: " in legend
    assert "? is unknown" in legend


def test_a_reader_that_stops_reading(monkeypatch):
    """`list | head`: no traceback."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as broken:
        monkeypatch.setattr(sys, "stdout", broken)
        assert cli.main(["list", "ch1"]) == 141


def test_list_tells_minutes_from_records_on_this_device(capsys, monkeypatch):
    cli.main(SMOKE)
    record = json.loads(RECORD.read_text())
    record["recipe"] = recipe_fields(RECIPES["mini-rigl-0.1"])
    record["recipe_fingerprint"] = recipe_fingerprint(RECIPES["mini-rigl-0.1"])
    record["wall_seconds"], record["steps"] = 6.0, 100
    Path("data/results").mkdir()
    name = "mini-rigl-0.1__digits-3x32x32__seed0.json"
    Path("data/results", name).write_text(json.dumps(record))
    capsys.readouterr()
    cli.main(["list", "mini-rigl-*", "wrn22-dense"])
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["mini-rigl-0.1"].split()[2:4] == ["4", "min"]  # 3520 steps of 0.06 s
    assert lines["mini-rigl-0.1"].endswith("[1 recorded]")
    assert lines["mini-rigl-0.1-2x"].split()[2:4] == ["7", "min"]
    flops = [cost.size_and_flops(RECIPES[n])[1] for n in ("wrn22-dense", "mini-rigl-0.1")]
    minutes = 88_000 * 0.06 / 60 * flops[0] * 128 / (flops[1] * 64)
    record_flops = record["dense_forward_flops"]
    assert record_flops == flops[1]
    assert lines["wrn22-dense"].split()[2:4] == [f"~{minutes:.0f}", "min"]
    record["threads"] += 1
    Path("data/results", name).write_text(json.dumps(record))
    cli.main(["list", "mini-rigl-0.1"])
    assert " ~4 min " in capsys.readouterr().out
    monkeypatch.setattr(cli, "do_runs", lambda *args: 0)
    cli.main(["run", "mini-rigl-0.1", "--seed", "1"])
    assert "a guess from 1 record of this network on this device with 2 threads" in (
        capsys.readouterr().out
    )


def test_run_says_the_cost_first_skips_what_is_done_and_force_repeats(capsys):
    assert cli.main(SMOKE) == 0
    out = capsys.readouterr().out
    assert "minutes unknown" in out and "disk: data none" in out and "checkpoint 0.9 MB" in out
    first = read_record(RECORD)
    assert cli.main(SMOKE) == 0
    assert f"skipped, {RECORD} is a record; --force" in capsys.readouterr().out
    assert read_record(RECORD) == first
    assert cli.main([*SMOKE, "--force"]) == 0
    again = read_record(RECORD)
    assert again["curve"] == first["curve"] and again["wall_seconds"] != first["wall_seconds"]


@pytest.mark.parametrize("pending", [[], ["--pending"]], ids=["named", "queue"])
def test_a_record_of_another_version_is_replaced_and_said_to_be(capsys, monkeypatch, pending):
    recipe = RECIPES["mini-rigl-0.1"]
    with monkeypatch.context() as patch:
        patch.setitem(RECIPES, "mini-rigl-0.1", replace(recipe, lr=0.3))
        cli.main(SMOKE)
        old = read_record(RECORD)
        assert cli.main([*SMOKE, *pending]) == 0
        assert read_record(RECORD) == old, "no other version yet"
    capsys.readouterr()
    assert cli.main([*SMOKE, *pending]) == 0
    out = capsys.readouterr().out
    said = "0 of 1 runs are on record; 1 records of other versions are replaced"
    assert (said if pending else f"replaces {RECORD}, a record of another version of it") in out
    new = read_record(RECORD)
    assert is_current(new, smoke(recipe)) and not is_current(old, smoke(recipe))
    assert new["curve"] != old["curve"] and read_checkpoint(CHECKPOINT)["step"] == 8
    assert cli.main([*SMOKE, *pending]) == 0
    assert read_record(RECORD) == new


def test_a_stopped_replacement_goes_on_from_its_own_checkpoint(capsys, monkeypatch):
    recipe = RECIPES["mini-rigl-0.1"]
    with monkeypatch.context() as patch:
        patch.setitem(RECIPES, "mini-rigl-0.1", replace(recipe, lr=0.3))
        cli.main(SMOKE)
    clock = iter(range(1000))
    with monkeypatch.context() as patch:
        patch.setattr(cli.time, "monotonic", lambda: next(clock))
        assert cli.main([*SMOKE, "--pending", "--budget", "6s"]) == 0
    begun = read_checkpoint(CHECKPOINT)["step"]
    assert 0 < begun < 8
    trained = []
    step = train.training_step
    monkeypatch.setattr(train, "training_step", lambda job, *a: trained.append(1) or step(job, *a))
    assert cli.main([*SMOKE, "--pending"]) == 0
    assert len(trained) == 8 - begun and is_current(read_record(RECORD), smoke(recipe))


def test_a_queue_says_once_how_much_is_on_record(capsys):
    cli.main([*SMOKE, "--seed", "0", "1"])
    capsys.readouterr()
    queue = ["run", "--pending", "mini-rigl-0.1", "mini-set-0.1", "--smoke", "--seed", "0", "1"]
    assert cli.main(queue) == 0
    out = capsys.readouterr().out
    assert "2 of 4 runs are on record\n" in out and "skipped" not in out
    cli.main([*SMOKE, "--seed", "0", "1"])
    assert capsys.readouterr().out.count("skipped, data/smoke/mini-rigl-0.1-smoke") == 2


def test_patterns_seeds_and_out(capsys):
    names = ["mini-set-*", "mini-[sr]*[tl]-0.05", "mini-set-0.05"]
    argv = ["run", *names, "--smoke", "--seed", "4", "5", "--out", "here"]
    assert cli.main(argv) == 0
    names = sorted(path.name for path in Path("here").glob("*.json"))
    assert names == [
        f"mini-{run}-smoke__digits-3x32x32__seed{seed}.json"
        for run in ("rigl-0.05", "set-0.05", "set-0.1")
        for seed in (4, 5)
    ]
    assert cli.main(["table", "mini-*", "--out", "here"]) == 0
    lines = capsys.readouterr().out.splitlines()[-3:]
    assert [line.split()[0] for line in lines] == [
        "mini-set-0.1-smoke",
        "mini-set-0.05-smoke",
        "mini-rigl-0.05-smoke",
    ]
    assert all(line.split()[4] == "2" and "±" in line for line in lines)


def test_a_directory_of_images_gives_the_record_its_name(capsys):
    rng = np.random.default_rng(0)
    for part, count in (("train", 20), ("test", 6)):
        for name in ("ant", "bee"):
            (Path("pictures") / part / name).mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(Path("pictures") / part / name / f"{i}.png")
    assert cli.main([*SMOKE, "--data", "pictures/"]) == 0
    assert "8 steps a seed" in capsys.readouterr().out
    record = read_record("data/smoke/mini-rigl-0.1-smoke__pictures__seed0.json")
    sizes = {key: record["data"][key] for key in ("name", "train", "held_out", "test")}
    assert sizes == {"name": "pictures", "train": 32, "held_out": 8, "test": 12}
    assert record["layers"][-1]["shape"] == [2, 64]  # as many classes as the data has


def test_table_formats(capsys):
    cli.main(SMOKE)
    capsys.readouterr()
    for form, start in (("markdown", "| recipe |"), ("html", "<table>"), ("text", "recipe ")):
        assert cli.main(["table", "ch11", "--out", "data/smoke", "--format", form]) == 0
        assert capsys.readouterr().out.startswith(start)


def test_doctor(capsys, monkeypatch):
    monkeypatch.setattr("rigl_edu.lab.doctor.BATCH", 2)
    assert cli.main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert f"torch {torch.__version__.split('+')[0]}" in out
    assert "data cifar10: absent" in out and "masked at density 0.1" in out


def test_checkpoints_that_do_not_fit_are_refused_before_work_starts(capsys, monkeypatch):
    free = shutil.disk_usage(".")._replace(free=2_000_000)
    monkeypatch.setattr(cost.shutil, "disk_usage", lambda path: free)
    argv = [*SMOKE, "--seed", "0", "1", "2"]
    line = refused(capsys, *argv)
    assert "the checkpoints of 3 runs take up to 2.8 MB, and 2.0 MB are free" in line
    assert "data/smoke/checkpoints/" in line and "--out" in line
    assert cli.main([*SMOKE, "--seed", "0", "1"]) == 0
    assert "new checkpoints: up to 1.9 MB; 2.0 MB free for" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["run", "mini-rigl-0.*", "--smoke", "--force"])
    assert CHECKPOINT.exists(), "a refused run deletes nothing"
    assert cli.main(argv) == 0, "two of the three are there"
    assert cli.main([*argv[:3], "--seed", "7", "8", "9", "--budget", "0.001s"]) == 0


# --- bad input: exit status 2, one line, nothing done ------------------------------------------


@pytest.mark.parametrize(
    "argv, words",
    [
        (["run", "mini-rigle-0.1"], ["'mini-rigle-0.1'", "mini-rigl-0.1"]),
        (["run", "zzz"], ["'zzz'", "list shows them all"]),
        (["list", "zzz"], ["'zzz'", "list shows them all"]),
        (["list", "99"], ["99", "11"]),
        (["run", "mini-dense", "--device", "cuda:99"], ["'cuda:99'", "cpu"]),
        (["run", "mini-dense", "--device", "tpu"], ["'tpu'", "cpu"]),
        (["run", "mini-dense", "--data", "cifar11"], ["'cifar11'", "cifar10", "cifar100"]),
        (["run", "mini-dense", "--data", "no/dir"], ["'no/dir'", "digits", "cifar10", "cifar100"]),
        (["run", "mini-dense", "--data", "/"], ["'/'", "train/<class>/", "cifar-10-batches-py"]),
        (["run", "mini-dense", "--threads", "0"], ["--threads 0", "at least 1"]),
        (["run", "mini-dense", "--seed", "-1"], ["--seed -1", "at least 0"]),
        (["run"], ["name a recipe", "--pending"]),
        (["run", "mini-dense", "--jobs", "2"], ["--jobs 2", "--pending"]),
        (["run", "--pending", "--jobs", "0"], ["--jobs 0", "at least 1"]),
        (["run", "--pending", "--force"], ["--pending", "--force"]),
        (["run", "mini-dense", "--budget", "25"], ["--budget 25", "25m"]),
        (["run", "mini-dense", "--budget=-3m"], ["--budget -3m", "25m"]),
        (["table", "99"], ["99", "11"]),
        (["table", "mini-dens"], ["'mini-dens'", "mini-dense"]),
        (["table", "mini-dense"], ["'mini-dense'", "data/results"]),
    ],
)
def test_bad_input(capsys, monkeypatch, argv, words):
    monkeypatch.setattr(data, "fetch", lambda *args: pytest.fail("began to download"))
    line = refused(capsys, *argv)
    assert all(word in line for word in words)


def test_data_that_cannot_be_had(capsys, monkeypatch):
    monkeypatch.setattr(data, "CIFAR10_MIRRORS", ())
    monkeypatch.setattr(data.cifar10, "__defaults__", ("data", (), None))
    with pytest.raises(SystemExit) as raised:
        cli.main(["run", "mini-dense", "--seed", "0"])
    assert raised.value.code == 2
    captured = capsys.readouterr()
    assert "170 MB to download" in captured.out
    assert "Three ways to provide it" in captured.err


def test_a_record_of_another_schema(capsys):
    cli.main(SMOKE)
    record = json.loads(RECORD.read_text())
    record["schema"] = 99
    RECORD.write_text(json.dumps(record))
    capsys.readouterr()
    with pytest.raises(SystemExit) as raised:
        cli.main(["table", "mini-rigl-0.1", "--out", "data/smoke"])
    assert raised.value.code == 2
    assert f"{RECORD} has schema 99; this version reads 1" in capsys.readouterr().err


# --- stopping and going on ---------------------------------------------------------------------


def test_ctrl_c_then_the_command_it_names(capsys, monkeypatch):
    step = train.training_step

    def interrupted(job, *args):
        if job.step == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return step(job, *args)

    with monkeypatch.context() as patch:
        patch.setattr(train, "training_step", interrupted)
        assert cli.main(SMOKE) == 130
    out = capsys.readouterr().out
    assert f"{CHECKPOINT} is saved" in out
    assert read_checkpoint(CHECKPOINT)["step"] == 6
    resume = f"python -m rigl_edu {' '.join(SMOKE)} --resume"
    assert out.splitlines()[-1].strip() == resume

    with pytest.raises(SystemExit) as raised:
        cli.main(SMOKE)
    assert raised.value.code == 2
    err = capsys.readouterr().err
    assert "holds step 6" in err and "--resume" in err and "--force" in err

    assert cli.main(resume.split()[3:]) == 0
    resumed = read_record(RECORD)
    cli.main([*SMOKE, "--force"])
    assert read_record(RECORD)["curve"] == resumed["curve"]


def test_checkpoint_of_another_version_of_the_recipe(capsys, monkeypatch):
    cli.main(SMOKE)
    RECORD.unlink()
    monkeypatch.setitem(
        cli.RECIPES,
        "mini-rigl-0.1",
        RECIPES["mini-rigl-0.1"].__class__(**{**vars(RECIPES["mini-rigl-0.1"]), "lr": 0.3}),
    )
    capsys.readouterr()
    with pytest.raises(SystemExit) as raised:
        cli.main([*SMOKE, "--resume"])
    assert raised.value.code == 2
    assert "is a checkpoint of recipe 'mini-rigl-0.1-smoke' (" in capsys.readouterr().err


def test_a_diverging_run(capsys, monkeypatch):
    step = train.training_step

    def poisoned(job, *args):
        if job.step == 6:
            job.model.fc.bias.data.fill_(float("nan"))
        return step(job, *args)

    monkeypatch.setattr(train, "training_step", poisoned)
    assert cli.main(SMOKE) == 1
    err = capsys.readouterr().err
    assert "loss is nan at step 6" in err and str(CHECKPOINT) in err
    assert read_checkpoint(CHECKPOINT)["step"] == 4
    assert not RECORD.exists()
