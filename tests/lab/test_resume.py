"""A run killed at any moment and resumed ends as one that was never stopped."""

import os
import random
import signal
from dataclasses import replace

import pytest
import torch

from rigl_edu.lab import train
from rigl_edu.lab.data import digits
from rigl_edu.lab.recipes import METHODS, THIN, TICKETS, Recipe
from rigl_edu.lab.records import read_record
from rigl_edu.lab.run import run
from rigl_edu.lab.saved import read_checkpoint
from tests.lab import forked
from tests.lab.killed_run import until_killed

# Dropout, batch norm, crops, held-out images, an odd last batch, checkpoints off the epochs' ends.
RECIPE = Recipe(
    name="resumed",
    chapter=0,
    title="WRN-10-1 on small digits",
    model="wide_resnet",
    model_args={"depth": 10, "width": 1, "dropout": 0.3},
    data="digits",
    method="rigl",
    density=0.2,
    every=3,
    until=18,
    epochs=3,
    batch=16,
    lr=0.05,
    drops=(10,),
    warmup=2,
    held_out=20,
    checkpoint_every=5,
    limit=(140, 40),
)
STEPS = 24
CHANGES = ("finished", "command", "wall_seconds", "train_seconds")


def recipe_for(method, precision):
    density = 1.0 if method == "dense" else 0.2
    return replace(RECIPE, method=method, density=density, precision=precision)


def finish(recipe, out):
    """Run or resume in this process; the record and the last checkpoint."""
    path = run(recipe, 7, digits(), out, out / "c.pt", resume=True)
    return read_record(path), read_checkpoint(out / "c.pt")


def killed(recipe, kill, out):
    child = forked.start(until_killed, recipe, kill, out)
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert not list(out.glob("*.json"))


def assert_same(a, b, path=""):
    assert type(a) is type(b), path
    if isinstance(a, dict):
        assert a.keys() == b.keys(), path
        for key in a:
            assert_same(a[key], b[key], f"{path}.{key}")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), path
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{path}[{i}]")
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b), path
    else:
        assert a == b, path


def assert_same_outcome(first, second):
    for record, state in (first, second):
        for key in CHANGES:
            record.pop(key)
        for key in ("wall_seconds", "train_seconds"):
            state.pop(key)
    assert_same(first[0], second[0], "record")
    assert_same(first[1], second[1], "checkpoint")


# Every method, and three of them in bf16 too, which many processors are slow at. Runs that start
# from another one are stopped in test_tickets and killed in test_queue.
CASES = [(method, "fp32") for method in METHODS if method not in TICKETS + THIN]
CASES += [(method, "bf16") for method in ("dense", "snfs", "rigl")]


@pytest.mark.parametrize(("method", "precision"), CASES)
def test_sigkill_at_a_random_step(method, precision, tmp_path):
    recipe = recipe_for(method, precision)
    kill = random.Random(f"{method} {precision}").randrange(6, STEPS)
    killed(recipe, kill, tmp_path / "killed")
    checkpoint = read_checkpoint(tmp_path / "killed" / "c.pt")
    assert checkpoint["step"] == 5 * (kill // 5)
    assert_same_outcome(finish(recipe, tmp_path / "killed"), finish(recipe, tmp_path / "whole"))


def test_sigkill_before_the_first_checkpoint_and_while_writing_one(tmp_path):
    recipe = recipe_for("rigl", "fp32")
    out = tmp_path / "killed"
    killed(recipe, 3, out)
    assert not (out / "c.pt").exists()
    killed(recipe, -3, out)
    assert read_checkpoint(out / "c.pt")["step"] == 10
    assert_same_outcome(finish(recipe, out), finish(recipe, tmp_path / "whole"))


def test_kill_between_the_last_checkpoint_and_the_record(tmp_path):
    recipe = recipe_for("snfs", "fp32")
    first = finish(recipe, tmp_path)
    next(tmp_path.glob("*.json")).unlink()
    assert_same_outcome(finish(recipe, tmp_path), first)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_finish_the_step_and_save_it(number, tmp_path, monkeypatch):
    before = signal.getsignal(number)
    recipe = recipe_for("set", "fp32")
    step = train.training_step

    def interrupted(job, *args):
        if job.step == 12:
            os.kill(os.getpid(), number)
        return step(job, *args)

    with monkeypatch.context() as patch:
        patch.setattr(train, "training_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            finish(recipe, tmp_path / "stopped")
    assert read_checkpoint(tmp_path / "stopped" / "c.pt")["step"] == 13
    assert signal.getsignal(number) is before
    assert_same_outcome(finish(recipe, tmp_path / "stopped"), finish(recipe, tmp_path / "whole"))


def test_another_seed_is_another_run(tmp_path):
    recipe = recipe_for("rigl", "fp32")
    a = run(recipe, 1, digits(), tmp_path, tmp_path / "a.pt")
    b = run(recipe, 2, digits(), tmp_path, tmp_path / "b.pt")
    assert read_record(a)["curve"] != read_record(b)["curve"]
    model_a, model_b = (read_checkpoint(tmp_path / f"{n}.pt")["model"] for n in "ab")
    assert not torch.equal(model_a["group1.0.conv1.mask"], model_b["group1.0.conv1.mask"])


def test_time_adds_up_over_sessions(tmp_path):
    recipe = recipe_for("static", "fp32")
    finish(recipe, tmp_path)
    state = read_checkpoint(tmp_path / "c.pt")
    state["train_seconds"], state["wall_seconds"] = 1000.0, 2000.0
    torch.save(state, tmp_path / "c.pt")
    record, _ = finish(recipe, tmp_path)
    assert record["train_seconds"] == 1000.0 and 2000 < record["wall_seconds"] < 2100
