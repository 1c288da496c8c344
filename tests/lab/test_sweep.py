"""Sweeps: what is searched and judged, and that machines share, die, return and never mix."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

optuna = pytest.importorskip("optuna")

from optuna.trial import TrialState  # noqa: E402

from rigl_edu.lab import data, sweep, sweep_cli, sweep_study, train  # noqa: E402
from rigl_edu.lab.methods import REWIRING  # noqa: E402
from rigl_edu.lab.recipes import RECIPES, smoke  # noqa: E402
from rigl_edu.lab.records import load_records, read_record  # noqa: E402
from rigl_edu.lab.run import run  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
RECIPE = smoke(RECIPES["mini-rigl-0.1"])
PATIENCE = 2

# A worker. "kill" ends it at step 6 of seed 1; "fake" trains nothing, and each trial takes 50 ms.
CHILD = """
import os, signal, sys, time
from pathlib import Path
import torch
from rigl_edu.lab import sweep, train
from rigl_edu.lab.data import digits
from rigl_edu.lab.recipes import RECIPES, smoke
from rigl_edu.lab.sweep_study import open_storage

torch.set_num_threads(1)
url, mode, trials = sys.argv[1], sys.argv[2], int(sys.argv[3])
step = train.training_step

def killing_step(job, *args):
    if (job.seed, job.step) == (1, 6):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(job, *args)

def fake_run(variant, *args, **options):
    time.sleep(0.05)
    return 100 * variant.fraction

if mode == "kill":
    patience = 2
    train.training_step = killing_step
else:
    patience = 10
    sweep.run = fake_run
    sweep.read_record = lambda accuracy: {"curve": [{"accuracy": accuracy}]}
recipe = smoke(RECIPES["mini-rigl-0.1"])
sweep.sweep(recipe, digits(4, 3), trials, open_storage(url, patience), Path("sweeps"), seeds=(0, 1))
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def images():
    return data.digits(scale=4, channels=3)


@pytest.fixture
def runs(monkeypatch):
    """Runs that train nothing: the variant and seed of each; accuracy is 100 alpha + seed."""
    done = []

    def fake_run(variant, seed, *args, **options):
        done.append((variant, seed))
        curve = [{"accuracy": 1.0}, {"accuracy": 100 * variant.fraction + seed}]
        return {"curve": curve, "test_accuracy": 99.0}

    monkeypatch.setattr(sweep, "run", fake_run)
    monkeypatch.setattr(sweep, "read_record", lambda record: record)
    return done


def storage():
    """A new connection, as another process would have it."""
    return sweep_study.open_storage("sqlite:///sweeps.db", PATIENCE)


def swept(images, trials, recipe=RECIPE, seeds=(0, 1)):
    return sweep.sweep(recipe, images, trials, storage(), Path("sweeps"), seeds)


def states(study):
    return [trial.state.name for trial in study.get_trials()]


def worker(mode, trials, url="sqlite:///sweeps.db"):
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, url, mode, str(trials)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# The space and the objective


def test_delta_t_is_the_papers_and_scales_with_the_recipe():
    assert list(sweep_study.delta_ts(replace(RECIPE, every=100))) == list(range(50, 1001, 50))
    assert list(sweep_study.delta_ts(replace(RECIPE, every=50))) == list(range(25, 501, 25))
    assert list(sweep_study.delta_ts(replace(RECIPE, every=1))) == list(range(1, 21))


def test_trials_fill_the_space(images, runs):
    swept(images, 20, seeds=(0,))
    alphas = [variant.fraction for variant, _ in runs]
    assert len(set(alphas)) == 20 and min(alphas) >= 0.1 and max(alphas) <= 0.6
    assert min(alphas) < 0.2 and max(alphas) > 0.5
    every = {variant.every for variant, _ in runs}
    assert every <= set(sweep_study.delta_ts(RECIPE)) and len(every) > 8
    # By chance a quarter of TPE's proposals would lie in the best quarter.
    assert sum(alpha > 0.475 for alpha in alphas[10:]) >= 7


def test_a_trial_is_worth_the_mean_of_the_last_validation_accuracies(images, runs):
    (trial,) = swept(images, 1, seeds=(0, 1, 5)).get_trials()
    assert [seed for _, seed in runs] == [0, 1, 5]
    assert trial.value == pytest.approx(100 * trial.params["alpha"] + 2)
    variant = runs[0][0]
    same = replace(variant, name=RECIPE.name, fraction=RECIPE.fraction, every=RECIPE.every)
    assert same == RECIPE
    assert (variant.fraction, variant.every) == (trial.params["alpha"], trial.params["delta_t"])


def test_a_real_trial_leaves_records_and_no_checkpoint(images):
    study = swept(images, 1)
    (trial,) = study.get_trials()
    records = load_records(Path("sweeps") / study.study_name)
    assert [record["seed"] for record in records] == [0, 1]
    assert {record["curve_on"] for record in records} == {"held_out"}
    assert trial.value == sum(record["curve"][-1]["accuracy"] for record in records) / 2
    assert {(r["recipe"]["fraction"], r["recipe"]["every"]) for r in records} == {
        (trial.params["alpha"], trial.params["delta_t"])
    }
    assert not list(Path().rglob("*.pt")) and not Path("data").exists()


def test_nothing_to_sweep_or_to_judge_by(images):
    with pytest.raises(ValueError, match="'static' has no alpha"):
        swept(images, 1, replace(RECIPE, method="static"))
    with pytest.raises(ValueError, match="holds out no images"):
        swept(images, 1, replace(RECIPE, held_out=0))


# One study


def test_a_study_is_continued_and_proposes_what_it_would_have_without_a_break(images, runs):
    swept(images, 13, seeds=(0,))
    whole = [(variant.fraction, variant.every) for variant, _ in runs]
    assert len(set(whole)) == 13
    runs.clear()
    other = replace(RECIPE, name="broken-off")
    for trials in (1, 6, 12, 13, 4):
        swept(images, trials, other, seeds=(0,))
    assert [(variant.fraction, variant.every) for variant, _ in runs] == whole


def test_studies_of_other_data_recipes_or_seeds_do_not_mix(images, runs):
    others = data.make_dataset(
        images.name,
        (images.train_images.flip(0), images.train_labels.flip(0)),
        (images.test_images, images.test_labels),
        images.classes,
    )
    studies = [
        swept(images, 2),
        swept(others, 1),
        swept(images, 1, replace(RECIPE, lr=0.01)),
        swept(images, 1, seeds=(0,)),
    ]
    assert len({study.study_name for study in studies}) == 4
    assert [len(study.get_trials()) for study in studies] == [2, 1, 1, 1]
    assert len(sweep_study.studies_of(RECIPE, storage())) == 4


def test_a_diverged_trial_is_finished_and_has_no_value(images, monkeypatch, runs, capsys):
    fake = sweep.run

    def diverging(variant, seed, *args, **options):
        if seed == 1 and variant.fraction > 0.4:
            raise FloatingPointError("the loss is nan")
        return fake(variant, seed)

    monkeypatch.setattr(sweep, "run", diverging)
    study = swept(images, 3)
    for trial in study.get_trials():
        diverged = trial.params["alpha"] > 0.4
        assert trial.state == (TrialState.PRUNED if diverged else TrialState.COMPLETE)
        assert (trial.value is None) == diverged
        assert trial.user_attrs.get("diverged") == ("the loss is nan" if diverged else None)
    assert {"PRUNED", "COMPLETE"} == set(states(study))
    assert "diverged" in sweep.table(study) and ": diverged" in capsys.readouterr().out


def test_table_has_the_best_trial_first(images, runs):
    study = swept(images, 4)
    name, header, *rows, ended = sweep.table(study).splitlines()
    assert name == study.study_name and header.split()[-4:] == ["seed", "0", "seed", "1"]
    assert rows[0].split()[0] == str(study.best_trial.number)
    values = [float(row.split()[3]) for row in rows]
    assert values == sorted(values, reverse=True) and len(values) == 4
    best = study.best_trial
    alpha, every, accuracy = best.params["alpha"], best.params["delta_t"], best.value
    assert rows[0].split()[1:4] == [f"{alpha:.3f}", str(every), f"{accuracy:.2f}"]
    assert rows[0].split()[4:] == [f"{accuracy - 0.5:.2f}", f"{accuracy + 0.5:.2f}"]
    assert ended == "4 trials finished; 0 attempts at one ended early"


# Death


def test_a_killed_worker_s_trial_is_retried_from_its_checkpoint_bit_exactly(images, monkeypatch):
    child = worker("kill", 1)
    _, errors = child.communicate()
    assert child.returncode == -signal.SIGKILL, errors
    steps = []
    step = train.training_step

    def spied(job, *args):
        steps.append((job.seed, job.step))
        return step(job, *args)

    with monkeypatch.context() as patch:
        patch.setattr(train, "training_step", spied)
        study = swept(images, 1)
    dead, retried = study.get_trials()
    assert states(study) == ["FAIL", "COMPLETE"] and dead.params == retried.params
    assert steps == [(1, step) for step in range(4, 8)]  # seed 0 was finished, 4 steps were saved

    records = load_records(Path("sweeps") / study.study_name)
    assert [record["seed"] for record in records] == [0, 1]
    for record in records:
        chosen = {key: record["recipe"][key] for key in ("name", "fraction", "every")}
        assert (chosen["fraction"], chosen["every"]) == tuple(dead.params.values())
        path = run(replace(RECIPE, **chosen), record["seed"], images, Path("whole"), Path("c.pt"))
        assert read_record(path)["curve"] == record["curve"]
        assert read_record(path)["layers"] == record["layers"]
    assert retried.value == sum(record["curve"][-1]["accuracy"] for record in records) / 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_a_trial_that_was_stopped_is_taken_up_again(images, runs, monkeypatch, error):
    fake = sweep.run

    def stopped(variant, seed, *args, **options):
        if seed == 1:
            raise error
        return fake(variant, seed)

    with monkeypatch.context() as patch:
        patch.setattr(sweep, "run", stopped)
        with pytest.raises(error):
            swept(images, 2)
    first, second, third = swept(images, 2).get_trials()
    assert [t.state.name for t in (first, second, third)] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert first.params == second.params != third.params
    assert [seed for _, seed in runs] == [0, 1, 0, 1]  # the finished seed is not run again


def test_a_trial_that_kills_every_worker_is_given_up(images, runs, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sweep, "run", lambda *args, **options: 1 / 0)
        for _ in range(1 + sweep_study.RETRIES):
            with pytest.raises(ZeroDivisionError):
                swept(images, 1)
    *failed, last = swept(images, 1).get_trials()
    assert len(failed) == 11 and len({t.params["alpha"] for t in failed}) == 1
    assert last.state == TrialState.COMPLETE and last.params != failed[0].params


def test_a_silent_worker_s_trial_is_lost_to_it_and_it_goes_on(images, runs, monkeypatch):
    """It slept while another machine took its trial for dead and gave it out again."""
    fake = sweep.run

    def silent(variant, seed, *args, **options):
        if not runs:
            (name,) = optuna.get_all_study_names(storage())
            study = optuna.load_study(study_name=name, storage=storage())
            study.tell(0, state=TrialState.FAIL)
            sweep.retry(study, study.trials[0])
        return fake(variant, seed)

    monkeypatch.setattr(sweep, "run", silent)
    study = swept(images, 2)
    assert states(study) == ["FAIL", "COMPLETE", "COMPLETE"]
    assert study.trials[0].params == study.trials[1].params != study.trials[2].params


# Many workers


def trial_elsewhere(images):
    """A study with one trial, which another machine runs."""
    study = sweep_study.open_study(RECIPE, images, (0, 1), storage())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna: no heartbeat outside of optimize
        return study, study.ask()


def test_of_two_that_take_the_last_place_the_later_leaves_it(images, runs, monkeypatch, capsys):
    study, other = trial_elsewhere(images)
    first_looks = [0, 0]  # of finished trials, and with those running: the other's came after
    real = sweep.count
    monkeypatch.setattr(sweep, "count", lambda *a: first_looks.pop() if first_looks else real(*a))

    def the_other_ends(seconds):
        study.tell(other, 50.0)

    monkeypatch.setattr(time, "sleep", the_other_ends)
    assert states(swept(images, 1)) == ["COMPLETE", "FAIL"] and runs == []
    assert "are running elsewhere: waiting" in capsys.readouterr().out


def test_the_last_trial_elsewhere_ends_before_the_wait_for_it_begins(images, runs, monkeypatch):
    study, other = trial_elsewhere(images)
    real = sweep.count

    def count_and_end(study, *states):
        found = real(study, *states)
        if TrialState.RUNNING in states:
            study.tell(other, 50.0, skip_if_finished=True)
        return found

    monkeypatch.setattr(sweep, "count", count_and_end)
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("nothing to wait for"))
    assert states(swept(images, 1)) == ["COMPLETE"]


@pytest.fixture(scope="module")
def postgres():
    """URL of an empty database on a PostgreSQL server that lives as long as this file's tests."""
    psycopg = pytest.importorskip("psycopg")
    initdb, server = shutil.which("initdb"), shutil.which("postgres")
    if not (initdb and server):
        pytest.skip("no PostgreSQL server on this machine")
    home = Path(tempfile.mkdtemp(prefix="pg"))  # a short path: the server's socket lies there
    options = {"cwd": home, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if os.geteuid() == 0:  # which the server refuses to be
        shutil.chown(home, "postgres")
        options["user"] = "postgres"
    make = [initdb, "-D", "db", "-U", "rigl", "-A", "trust", "--no-sync"]
    subprocess.run(make, check=True, **options)
    settings = ["-c", "listen_addresses=", "-c", "fsync=off", "-k", str(home)]
    process = subprocess.Popen([server, "-D", "db", *settings], **options)
    url = f"postgresql://rigl:secret@/postgres?host={home}"
    try:
        wait_for_server(psycopg, url)
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        shutil.rmtree(home)


def wait_for_server(psycopg, url):
    for _ in range(200):
        try:
            return psycopg.connect(url).close()
        except psycopg.OperationalError:
            time.sleep(0.1)
    pytest.fail("the PostgreSQL server did not start")


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_two_processes_share_a_new_study_and_finish_it_exactly(kind, images, request):
    url = "sqlite:///sweeps.db" if kind == "sqlite" else request.getfixturevalue("postgres")
    children = [worker("fake", 10, url) for _ in range(2)]
    said = []
    for child in children:
        output, errors = child.communicate()
        assert child.returncode == 0, errors
        said.append([line for line in output.splitlines() if line.startswith("trial ")])
    study = sweep_study.open_study(RECIPE, images, (0, 1), sweep_study.open_storage(url))
    finished = study.get_trials(states=[TrialState.COMPLETE])
    assert len(finished) == 10 == len(said[0]) + len(said[1])
    assert set(states(study)) <= {"COMPLETE", "FAIL"}
    assert max(Counter(trial.params["alpha"] for trial in finished).values()) == 1
    assert said[0] and said[1], "one process did everything: the test shows nothing"


# The command


def command(*argv):
    parser = argparse.ArgumentParser()
    sweep_cli.add_arguments(parser)
    return sweep_cli.main(parser.parse_args(argv), f"python -m rigl_edu sweep {' '.join(argv)}")


def refused(capsys, *argv):
    """The one line about bad input, before anything was made."""
    with pytest.raises(SystemExit) as raised:
        command(*argv)
    assert raised.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("rigl_edu: ") and not list(Path().iterdir())
    return line


NO_HELD_OUT = next(r.name for r in RECIPES.values() if r.method in REWIRING and not r.held_out)
CLOSED = "postgresql://me:secret@127.0.0.1:1/studies"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["mini-rigel-0.1"], "unknown recipe"),
        (["mini-*"], "a sweep takes one"),
        (["mini-dense"], "'dense' has no alpha"),
        (["mini-pruning-0.1"], "'pruning' has no alpha"),
        ([NO_HELD_OUT], "holds out no images"),
        (["mini-rigl-0.1", "--trials", "0"], "--trials 0"),
        (["mini-rigl-0.1", "--threads", "0"], "--threads 0"),
        (["mini-rigl-0.1", "--seed", "-1"], "--seed"),
        (["mini-rigl-0.1", "--seed", "1", "1"], "--seed"),
        (["mini-rigl-0.1", "--data", "cifar11"], "cifar11"),
        (["mini-rigl-0.1", "--device", "tpu"], "tpu"),
        (["mini-rigl-0.1", "--storage", "sqlite:///no/such/folder.db"], "unable to open"),
        (["mini-rigl-0.1", "--storage", CLOSED], "postgresql://me:***@127.0.0.1:1/studies: "),
        (["mini-rigl-0.1", "--storage", "sweeps.db"], "storage sweeps.db: "),
        (["mini-rigl-0.1", "--storage", "mssql+nodriver://a:b@c/d"], "mssql+nodriver://a:***@c/d"),
    ],
)
def test_bad_input_is_one_line(capsys, argv, words):
    line = refused(capsys, *argv)
    assert words in line and "secret" not in line


def test_missing_optuna_is_one_line(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert 'pip install "rigl_edu[sweep]"' in refused(capsys, "mini-rigl-0.1", "--smoke")


def test_command_says_the_cost_sweeps_and_shows(capsys, monkeypatch, runs):
    monkeypatch.setattr(data, "load", lambda name: data.digits(scale=4, channels=3))
    assert command("mini-rigl-0.1", "--smoke", "--trials", "3", "--seed", "0", "1") == 0
    out = capsys.readouterr().out
    assert "6 runs of 8 steps" in out and out.index("6 runs") < out.index("trial 0: alpha")
    assert "3 trials finished" in out and Path("data/sweeps.db").exists()
    assert command("mini-rigl-0.1", "--smoke", "--show") == 0
    shown = capsys.readouterr().out
    assert shown in out and len(runs) == 6
    with pytest.raises(SystemExit):
        command("mini-rigl-0.05", "--show")
    assert "no study of mini-rigl-0.05" in capsys.readouterr().err


def test_command_stopped_by_ctrl_c(capsys, monkeypatch):
    def stopped(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep, "run", stopped)
    assert command("mini-rigl-0.1", "--smoke", "--seed", "0") == 130
    captured = capsys.readouterr()
    assert "the same command continues" in captured.out and captured.err == ""


def test_records_do_not_show_the_password(monkeypatch, runs):
    told = []
    fake = sweep.run
    monkeypatch.setattr(sweep, "run", lambda *a, command, **k: told.append(command) or fake(*a))
    real, url = sweep_study.open_storage, "postgresql://me:secret@host/studies"
    monkeypatch.setattr(sweep_study, "open_storage", lambda _: real("sqlite:///sweeps.db"))
    command("mini-rigl-0.1", "--smoke", "--trials", "1", "--seed", "0", "--storage", url)
    (line,) = told
    assert "secret" not in line and "--storage 'postgresql://me:***@host/studies'" in line
