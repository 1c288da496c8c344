"""The queue: in what order, never twice, and nothing lost."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from rigl_edu.lab import cli, plans, queue, train
from rigl_edu.lab.recipes import RECIPES, place, recipe_fields, recipe_fingerprint
from rigl_edu.lab.records import load_records, published_results, read_record
from rigl_edu.lab.saved import read_checkpoint
from rigl_edu.lab.tickets import is_ready, needed

REPOSITORY = Path(__file__).parents[2]
CHECKPOINTS = Path("data/smoke/checkpoints")


pytestmark = pytest.mark.usefixtures("elsewhere")


def started(*argv, code=None):
    """A `python -m rigl_edu` of its own, or one that runs `code` first."""
    start = ["-c", code] if code else ["-m", "rigl_edu"]
    return subprocess.Popen(
        [sys.executable, *start, *argv],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def plan_of(name, seed=0):
    found = RECIPES[name]
    return plans.make_plans([found], [seed], "digits-3x32x32", Path("out"))[0]


def put_record(plan):
    """Any record, under the plan's name."""
    some = load_records(published_results())[0]
    fingerprint = recipe_fingerprint(plan.recipe)
    changed = {"recipe": recipe_fields(plan.recipe), "recipe_fingerprint": fingerprint}
    plan.record.write_text(json.dumps(some | changed))


# --- order -------------------------------------------------------------------------------------


def test_the_order_of_the_full_runs():
    runs = [(r, s) for n, r in RECIPES.items() if n.startswith("wrn22-") for s in r.seeds]
    names = [f"{r.name} {s}" for r, s in sorted(runs, key=lambda run: place(*run)) if s != 2]
    first = ["dense", "rigl-erk-0.1", "set-erk-0.1", "static-erk-0.1", "pruning-0.1"]
    names = [name for name in names if "one-epoch" not in name and "lr" not in name]
    assert names[:10] == [f"wrn22-{what} {seed}" for seed in (0, 1) for what in first]

    def where(*patterns):
        return [i for i, n in enumerate(names) if all(p in n for p in patterns)]

    after = [
        where("rigl-erk-0.2 "),
        where("wrn22-rigl-0.1 ") + where("wrn22-static-0.2 "),
        where("small_dense-0.1 "),
        where("snfs_reproduced-0.1 ") + where("snfs_reproduced-erk-0.2 "),
        where("rigl_sg") + where("rigl_sm"),
        where("-2x"),
        where("lottery"),
    ]
    assert all(after) and max(after[0]) > 9
    for earlier, later in zip(after, after[1:], strict=False):
        assert max(earlier) < min(later)


def test_a_ticket_is_trained_after_the_run_that_finds_its_masks():
    for recipe in RECIPES.values():
        for name in needed(recipe):
            for seed in recipe.seeds:
                assert place(RECIPES[name], seed) < place(recipe, seed), (name, recipe.name)


def test_without_a_gpu_the_long_recipes_must_be_named(capsys):
    short = [name for name, recipe in RECIPES.items() if cli.fits_a_cpu(recipe)]
    assert {"mini-dense", "mini-rigl-0.05-2x", "wrn22-rigl-erk-0.1-one-epoch"} <= set(short)
    long = [RECIPES[name] for name in short if RECIPES[name].epochs > 100]
    assert {recipe.method for recipe in long} <= {"small_dense"}
    arguments = ["run", "--pending", "--seed", "0", "--data", "digits-3x32x32"]
    assert cli.main([*arguments, "--budget", "0.001s", "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert f"left out: {len(RECIPES) - len(short)} recipes" in out
    assert f"{len(short)} runs: " in out and "wrn22-dense" not in out
    assert not list(Path().rglob("*.json"))


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("25m", 1500), ("1.5h", 5400)])
def test_budgets(text, seconds):
    assert queue.seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "25", "25 min", "-1m", "0s", "infs", "nanh"])
def test_impossible_budgets(text):
    with pytest.raises(ValueError, match="25m or 2h"):
        queue.seconds_of(text)


# --- claiming ----------------------------------------------------------------------------------


def test_work_passes_over_what_others_hold_and_comes_back_to_it():
    mine, theirs = plan_of("mini-set-0.1"), plan_of("mini-dense")
    theirs.checkpoint.parent.mkdir(parents=True)
    lock = FileLock(theirs.checkpoint.with_suffix(".lock"))
    lock.acquire()
    trained = []

    def training(plan):
        trained.append(plan.recipe.name)
        put_record(plan)
        if plan is mine:
            lock.release()

    assert queue.work([theirs, mine], training) == []
    assert trained == ["mini-set-0.1", "mini-dense"]
    trained.clear()
    assert queue.work([theirs, mine], training) == []
    assert trained == [], "what has a record in the meantime is not done again"


def test_what_another_process_keeps_is_left():
    theirs = plan_of("mini-dense")
    theirs.checkpoint.parent.mkdir(parents=True)
    with FileLock(theirs.checkpoint.with_suffix(".lock")):
        assert queue.work([theirs], pytest.fail) == [theirs]
        assert queue.why_left(theirs, None) == "another process is at it"


def test_a_run_that_others_start_from_is_waited_for(monkeypatch, capsys):
    """Pruning is another worker's; the second lottery ticket needs what this one does not hold."""
    theirs, mine = plan_of("mini-pruning-0.1"), plan_of("mini-lottery-0.1")
    theirs.checkpoint.parent.mkdir(parents=True)
    lock = FileLock(theirs.checkpoint.with_suffix(".lock"))
    lock.acquire()
    naps, trained = [], []

    def nap(seconds):
        naps.append(seconds)
        if len(naps) == 2:
            put_record(theirs)
            lock.release()

    ready = lambda recipe, checkpoint: not needed(recipe) or theirs.record.exists()  # noqa: E731
    monkeypatch.setattr(queue, "is_ready", ready)
    monkeypatch.setattr(queue.time, "sleep", nap)
    assert queue.work([theirs, mine], lambda plan: trained.append(plan.recipe.name)) == []
    assert trained == ["mini-lottery-0.1"] and len(naps) == 2
    assert capsys.readouterr().out == "waiting: 1 runs start from another process's\n"


def test_what_a_killed_worker_began_is_taken_over_by_who_waits_for_it(monkeypatch):
    names = ["stability-dense-b128", "stability-imp-0.64-b128", "stability-imp-0.4096-b128"]
    line = [plan_of(name) for name in names]
    line[0].checkpoint.parent.mkdir(parents=True)
    lock = FileLock(line[0].checkpoint.with_suffix(".lock"))
    lock.acquire()
    trained = []
    ready = lambda recipe, checkpoint: set(needed(recipe)) <= set(trained)  # noqa: E731
    monkeypatch.setattr(queue, "is_ready", ready)
    monkeypatch.setattr(queue.time, "sleep", lambda seconds: lock.release())
    assert queue.work(line, lambda plan: trained.append(plan.recipe.name)) == []
    assert trained == names


def test_waiting_ends_with_the_budget(monkeypatch):
    theirs, mine = plan_of("mini-pruning-0.1"), plan_of("mini-lottery-0.1")
    theirs.checkpoint.parent.mkdir(parents=True)
    clock = iter(range(1000))
    monkeypatch.setattr(queue.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(queue.time, "monotonic", lambda: next(clock))
    with FileLock(theirs.checkpoint.with_suffix(".lock")):
        assert queue.work([theirs, mine], pytest.fail, deadline=20) == [theirs, mine]


def test_nothing_is_begun_after_the_deadline():
    todo = [plan_of("mini-dense"), plan_of("mini-set-0.1")]
    assert queue.work(todo, pytest.fail, deadline=time.monotonic() - 1) == todo
    assert queue.why_left(todo[0], time.monotonic() - 1) == "the budget is used up"


def test_a_failed_run_frees_its_claim():
    plan = plan_of("mini-dense")
    with pytest.raises(ZeroDivisionError):
        queue.work([plan], lambda plan: 1 / 0)
    with queue.claimed(plan) as mine:
        assert mine


def test_a_killed_process_frees_its_claim():
    plan = plan_of("mini-dense")
    code = """
import os, signal, sys
from pathlib import Path
from rigl_edu.lab import plans, queue
from rigl_edu.lab.recipes import RECIPES
plan = plans.make_plans([RECIPES["mini-dense"]], [0], "digits-3x32x32", Path("out"))[0]
with queue.claimed(plan) as mine:
    print(mine, flush=True)
    sys.stdin.read()
"""
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout.readline().strip() == "True"
    with queue.claimed(plan) as mine:
        assert not mine
    child.kill()
    child.communicate()
    with queue.claimed(plan) as mine:
        assert mine


def test_jobs_share_a_queue_and_run_each_cell_once():
    names = ["mini-static-*", "mini-set-*", "mini-pruning-0.1", "mini-lottery-0.1"]
    child = started("run", "--pending", *names, "--smoke", "--jobs", "2", "--seed", "0")
    out, _ = child.communicate(timeout=300)
    assert child.returncode == 0, out
    done = [line.split(": ")[0] for line in out.splitlines() if "test accuracy" in line]
    cells = [f"{name}-smoke seed 0" for n in names for name in RECIPES if Path(name).match(n)]
    assert sorted(line.split("] ")[1] for line in done) == sorted(cells)
    assert {line[:3] for line in done} == {"[0]", "[1]"}, "one process did it all"
    assert "6 runs: " in out
    for path in Path("data/smoke").glob("*.json"):
        assert read_record(path)["threads"] == max(1, torch.get_num_threads() // 2)


# --- stopping and going on ---------------------------------------------------------------------

KILLED = """
import os, signal, sys
from rigl_edu.lab import cli, train
step, count = train.training_step, 0
def killing_step(job, *args):
    global count
    count += 1
    if count > int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(job, *args)
train.training_step = killing_step
sys.exit(cli.main(sys.argv[2:]))
"""
QUEUE = ["run", "--pending", "mini-pruning-0.1", "mini-lottery-0.1", "mini-set-0.1", "--smoke"]
QUEUE += ["--threads", "1"]


def outcomes(folder):
    keys = ("curve", "test_accuracy", "active_weights", "train_flops")
    return {p.name: [read_record(p)[key] for key in keys] for p in Path(folder).glob("*.json")}


def test_killing_the_queue_again_and_again_loses_no_more_than_the_last_steps():
    """Three runs of 8 steps with a checkpoint every 4: a life of 5 steps saves at least 4."""
    assert cli.main([*QUEUE, "--out", "whole"]) == 0
    lives, rng = 0, random.Random(0)
    while True:
        child = started(str(rng.randrange(5, 8)), *QUEUE, "--out", "killed", code=KILLED)
        out, _ = child.communicate(timeout=120)
        lives += 1
        if child.returncode == 0:
            break
        assert child.returncode == -signal.SIGKILL, out
        assert lives <= 6, "a life brought nothing"
    assert lives > 2
    assert outcomes("killed") == outcomes("whole") and len(outcomes("whole")) == 3


def test_a_budget_saves_and_stops_and_the_same_command_goes_on(capsys, monkeypatch):
    clock = iter(range(1000))
    with monkeypatch.context() as patch:
        patch.setattr(cli.time, "monotonic", lambda: next(clock))
        assert cli.main([*QUEUE, "--budget", "7s"]) == 0
    out = capsys.readouterr().out
    assert "budget is used up; data/smoke/checkpoints" in out and out.strip().endswith(
        "--threads 1 --budget 7s"
    )
    steps = [read_checkpoint(path)["step"] for path in CHECKPOINTS.glob("*.pt")]
    assert len(steps) == 1 and 0 < steps[0] < 8 and not list(Path("data").rglob("*.json"))
    assert cli.main(QUEUE) == 0
    cli.main([*QUEUE, "--out", "whole"])
    assert outcomes("data/smoke") == outcomes("whole")


def test_sigterm_stops_all_jobs_with_their_work_saved():
    slow = """
import sys, time
from rigl_edu.lab import cli, queue, train
step = train.training_step
def slow_step(job, *args):
    print("step", job.step, flush=True)
    time.sleep(0.5)
    return step(job, *args)
train.training_step = slow_step
sys.exit(cli.main(sys.argv[1:]))
"""
    child = started(*QUEUE, code=slow)
    lines = []
    for line in child.stdout:
        lines.append(line)
        if "step 2" in line:
            child.terminate()
    assert child.wait(timeout=60) == 130
    assert "is saved. Continue with" in "".join(lines)
    (checkpoint,) = CHECKPOINTS.glob("*.pt")
    assert 2 <= read_checkpoint(checkpoint)["step"] < 8


# --- lottery runs ------------------------------------------------------------------------------


def test_a_lottery_run_brings_the_run_that_finds_its_masks(capsys):
    assert cli.main(["run", "mini-lottery-0.1", "--smoke"]) == 0
    out = capsys.readouterr().out
    assert out.index("mini-pruning-0.1-smoke:") < out.index("mini-lottery-0.1-smoke:")
    records = {path.name.split("__")[0]: path for path in Path("data/smoke").glob("*.json")}
    assert set(records) == {"mini-pruning-0.1-smoke", "mini-lottery-0.1-smoke"}

    # With the record but without the masks: the masks are made again, the record stays.
    before = records["mini-pruning-0.1-smoke"].read_text()
    records["mini-lottery-0.1-smoke"].unlink()
    first = {path.name: read_checkpoint(path)["model"] for path in CHECKPOINTS.glob("*.pt")}
    for path in CHECKPOINTS.glob("*.pt"):
        path.unlink()
    assert cli.main(["run", "mini-lottery-0.1", "--smoke"]) == 0
    assert "seeds 0 (for its masks)" in capsys.readouterr().out
    assert records["mini-pruning-0.1-smoke"].read_text() == before
    again = {path.name: read_checkpoint(path)["model"] for path in CHECKPOINTS.glob("*.pt")}
    assert first.keys() == again.keys()
    for name, state in first.items():
        assert all(torch.equal(value, again[name][key]) for key, value in state.items())


def test_a_ticket_of_another_version_of_the_pruning_run_is_not_used(capsys, monkeypatch):
    cli.main(["run", "mini-pruning-0.1", "--smoke"])
    changed = replace(RECIPES["mini-pruning-0.1"], lr=0.3)
    monkeypatch.setitem(RECIPES, "mini-pruning-0.1", changed)
    plan = plans.make_plans(
        [cli.smoke(RECIPES["mini-lottery-0.1"])], [0], None, Path("data/smoke")
    )[0]
    assert not is_ready(plan.recipe, plan.checkpoint)
    (found, ticket) = plans.with_needed([plan])
    assert not found.for_masks and ticket == plan, "its record is to be replaced as well"


def test_all_that_a_run_needs_is_found_and_stands_before_it():
    names = ["stability-imp-0.4096-b128-twin", "stability-dense-b128"]
    todo = plans.make_plans([RECIPES[n] for n in names], [3], "digits", Path("data/smoke"))
    found = plans.with_needed(todo)
    line = ["stability-dense-b128", "stability-imp-0.64-b128", "stability-imp-0.4096-b128"]
    assert [plan.recipe.name for plan in found] == [*line, names[0]]
    assert {plan.seed for plan in found} == {3} and not any(plan.for_masks for plan in found)
    assert found[2].record == Path("data/smoke/stability-imp-0.4096-b128__digits__seed3.json")


def test_a_diverged_run_does_not_stop_the_others(capsys, monkeypatch):
    step = train.training_step

    def poisoned(job, *args):
        if "set" in job.recipe.name:
            job.model.fc.bias.data.fill_(float("nan"))
        return step(job, *args)

    monkeypatch.setattr(train, "training_step", poisoned)
    assert cli.main(["run", "mini-set-0.1", "mini-static-0.1", "--smoke"]) == 1
    captured = capsys.readouterr()
    assert "loss is nan" in captured.err and "mini-static-0.1-smoke seed 0: test" in captured.out
    assert json.loads(next(Path("data/smoke").glob("*.json")).read_text())["seed"] == 0


def test_a_checkpoint_of_another_version_does_not_stop_a_queue(capsys, monkeypatch):
    budget = ["--smoke", "--budget", "60s"]
    assert cli.main(["run", "mini-set-0.1", "--smoke"]) == 0
    for path in Path("data/smoke").glob("*.json"):
        path.unlink()
    changed = replace(RECIPES["mini-set-0.1"], lr=0.3)
    monkeypatch.setitem(RECIPES, "mini-set-0.1", changed)
    assert cli.main(["run", "--pending", "mini-set-0.1", "mini-static-0.1", *budget]) == 1
    captured = capsys.readouterr()
    assert "is a checkpoint of recipe 'mini-set-0.1-smoke'" in captured.err
    assert "mini-static-0.1-smoke seed 0: test accuracy" in captured.out
    assert [path.name[:11] for path in Path("data/smoke").glob("*.json")] == ["mini-static"]


def test_a_killed_worker_is_no_success(monkeypatch, capfd):
    program = Path("program").absolute()
    program.write_text("#!/bin/sh\nkill -KILL $$\n")
    program.chmod(0o755)
    for executable, status in ((program, 128 + signal.SIGKILL), ("/bin/true", 0)):
        monkeypatch.setattr(queue.sys, "executable", str(executable))
        assert queue.in_parallel([], 2, 1, ["cpu"]) == status
    assert capfd.readouterr().out.count("was ended by SIGKILL") == 2


def test_a_begun_ancestor_is_not_started_over(capsys, monkeypatch):
    """Its checkpoint may hold days of work; who named the descendant did not ask for that."""
    clock = iter(range(1000))
    with monkeypatch.context() as patch:
        patch.setattr(cli.time, "monotonic", lambda: next(clock))
        cli.main(["run", "mini-pruning-0.1", "--smoke", "--budget", "5s"])
    (checkpoint,) = CHECKPOINTS.glob("mini-pruning*.pt")
    step = read_checkpoint(checkpoint)["step"]
    assert 0 < step < 8
    with pytest.raises(SystemExit):
        cli.main(["run", "mini-lottery-0.1", "--smoke"])
    assert f"holds step {step} of this run: --resume continues it" in capsys.readouterr().err
    assert read_checkpoint(checkpoint)["step"] == step
    assert cli.main(["run", "mini-lottery-0.1", "--smoke", "--resume"]) == 0


def test_a_queue_goes_on_without_one_of_its_data_sets(capsys, monkeypatch):
    load = cli.data.load

    def without_cifar_100(location):
        if "resnet50" in begun[-1]:
            raise FileNotFoundError("no CIFAR-100 here")
        return load(location)

    begun = []
    work = queue.work

    def noting(todo, train, *more, **options):
        def noted(plan):
            begun.append(plan.recipe.name)
            return train(plan)

        return work(todo, noted, *more, **options)

    monkeypatch.setattr(cli.data, "load", without_cifar_100)
    monkeypatch.setattr(cli.queue, "work", noting)
    names = ["resnet50-dense", "mini-static-0.1"]
    assert cli.main(["run", "--pending", *names, "--smoke", "--seed", "0", "--threads", "1"]) == 1
    assert "no CIFAR-100 here" in capsys.readouterr().err
    assert len(list(Path("data/smoke").glob("mini-static*.json"))) == 1


def test_a_forced_run_that_is_stopped_goes_on_without_old_checkpoints(monkeypatch, capsys):
    """Else its suggested --resume would give an old run a new record."""
    start = ["run", "mini-static-0.1", "--smoke", "--seed", "0", "1", "--threads", "1"]
    assert cli.main(start) == 0
    records = sorted(Path("data/smoke").glob("*.json"))
    old = [read_record(path)["command"] for path in records]
    clock = iter(range(1000))
    with monkeypatch.context() as patch:
        patch.setattr(cli.time, "monotonic", lambda: next(clock))
        assert cli.main([*start, "--force", "--budget", "5s"]) == 0
    assert [path.name for path in CHECKPOINTS.glob("*.pt")] == [f"{records[0].stem}.pt"]
    trained = []
    step = train.training_step
    monkeypatch.setattr(
        train, "training_step", lambda job, *a: trained.append(job.seed) or step(job, *a)
    )
    assert cli.main([*start, "--force", "--resume"]) == 0
    assert trained.count(1) == 8 and 0 < trained.count(0) < 8
    assert all(read_record(p)["command"] != c for p, c in zip(records, old, strict=True))


@pytest.mark.parametrize("keep", [0, 1000], ids=["empty", "cut off"])
def test_a_damaged_ancestor_costs_its_descendants_only(capsys, keep):
    assert cli.main(["run", "mini-pruning-0.1", "--smoke", "--threads", "1"]) == 0
    (checkpoint,) = CHECKPOINTS.glob("*.pt")
    checkpoint.write_bytes(checkpoint.read_bytes()[:keep])
    capsys.readouterr()
    assert cli.main(QUEUE) == 1
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith(
        f"rigl_edu: {checkpoint} is not a checkpoint of this package, or damaged"
    )
    assert "move it away, and its run starts over" in line
    assert "mini-set-0.1-smoke seed 0: test accuracy" in captured.out
    assert "mini-lottery-0.1-smoke seed 0: left; mini-pruning-0.1-smoke did not" in captured.out

    with pytest.raises(SystemExit):
        cli.main(["run", "mini-lottery-0.1", "--smoke"])
    assert capsys.readouterr().err == f"{line}\n"
    checkpoint.unlink()
    assert cli.main(QUEUE) == 0


def test_who_asks_whether_a_run_is_finished_leaves_its_tensors_in_the_file(monkeypatch):
    assert cli.main(["run", "mini-pruning-0.1", "--smoke", "--threads", "1"]) == 0
    plan = plans.make_plans(
        [cli.smoke(RECIPES["mini-lottery-0.1"])], [0], None, Path("data/smoke")
    )[0]
    mapped = []
    load = torch.load
    monkeypatch.setattr(
        torch, "load", lambda *a, mmap, **more: mapped.append(mmap) or load(*a, mmap=mmap, **more)
    )
    assert is_ready(plan.recipe, plan.checkpoint) and plans.with_needed([plan]) == [plan]
    assert mapped and all(mapped)
