"""Hyper-parameter sweeps, on one machine or on many that share nothing but a database.

The database hands out the trials, keeps the accuracy of each finished seed, and hears a heartbeat
from each machine at work. When a heartbeat stops, the trial is given out again with the same
parameters; it goes on from its checkpoint where the machines share a disk, and else from the seed
it had come to. SQLite is for processes on one machine: its locks do not hold on network disks.
"""

import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage, fail_stale_trials
from optuna.trial import FrozenTrial, Trial, TrialState

from .data import Dataset
from .recipes import Recipe
from .records import read_record
from .run import run
from .sweep_study import check_recipe, open_study, retry, suggest

FOLDER = Path("data/sweeps")
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


class NotOurs(BaseException):
    """This trial is for others; not an Exception, which Optuna would take for the trial's end."""


def sweep(
    recipe: Recipe,
    data: Dataset,
    trials: int,
    storage: RDBStorage,
    folder: Path = FOLDER,
    seeds: Sequence[int] = (0, 1, 2),
    command: str = "rigl_edu.lab.sweep.sweep",
) -> optuna.Study:
    """Work at a recipe's study until it has enough finished trials, whoever ran them.

    A trial that diverged is finished too. Optuna calls it pruned: it has no value, and the sampler
    keeps away from it. When the last trials are running elsewhere, wait for their end or death.

    Args:
        recipe: its Delta T sets the scale of those that are tried; its alpha counts for nothing.
        data: on the training device.
        trials: finished ones that the study shall have in the end.
        storage: see `open_storage`.
        folder: gets a folder named after the study, for its records and checkpoints.
        seeds: run in every trial.
        command: what the records say about how they were made.

    Raises:
        ValueError: there is nothing to sweep in this recipe, or nothing to judge it by.
        KeyboardInterrupt: Ctrl-C or SIGTERM; all is saved, and the next call goes on from there.
    """
    check_recipe(recipe)
    study = open_study(recipe, data, seeds, storage)

    def value(trial: Trial) -> float:
        if live_before(study, trial.number) >= trials:
            # Two machines saw the last free place in the same moment. The lower number has it.
            study.tell(trial, state=TrialState.FAIL)
            raise NotOurs
        return mean_accuracy(trial, recipe, data, folder / study.study_name, seeds, command)

    while count(study, *FINISHED) < trials:
        if count(study, *FINISHED, TrialState.RUNNING) < trials:
            with suppress(NotOurs):
                study.optimize(value, n_trials=1, callbacks=[say])
        else:
            wait_for_others(study, storage, trials)
    return study


def mean_accuracy(
    trial: Trial,
    recipe: Recipe,
    data: Dataset,
    folder: Path,
    seeds: Sequence[int],
    command: str,
) -> float:
    """The trial's value: final accuracy on the held-out images in percent, mean over the seeds."""
    variant = suggest(trial, recipe)
    try:
        for seed in seeds:
            if f"seed {seed}" in trial.user_attrs:
                continue  # finished before an earlier attempt at this trial died
            checkpoint = folder / "checkpoints" / f"{variant.name}__seed{seed}.pt"
            record = read_record(
                run(variant, seed, data, folder, checkpoint, resume=True, command=command)
            )
            trial.set_user_attr(f"seed {seed}", record["curve"][-1]["accuracy"])
            checkpoint.unlink(missing_ok=True)  # the paper's protocol would leave 45 of them
    except FloatingPointError as error:
        trial.set_user_attr("diverged", str(error))
        raise optuna.TrialPruned from error
    except UpdateFinishedTrialError:
        raise NotOurs from None  # silent for too long, and given out again meanwhile
    except (Exception, KeyboardInterrupt):
        retry(trial.study, trial.study.trials[trial.number])
        raise
    return statistics.fmean(trial.user_attrs[f"seed {seed}"] for seed in seeds)


def wait_for_others(study: optuna.Study, storage: RDBStorage, trials: int) -> None:
    """Return when a running trial has ended, or has died and is to be given out again."""
    print(
        "the last trials are running elsewhere: waiting for one to end, or to be silent for "
        f"{storage.grace_period} seconds",
        flush=True,
    )
    while count(study, *FINISHED) < trials <= count(study, *FINISHED, TrialState.RUNNING):
        time.sleep(storage.heartbeat_interval or 1)
        fail_stale_trials(study)


def count(study: optuna.Study, *states: TrialState) -> int:
    """Trials in one of these states."""
    return len(study.get_trials(deepcopy=False, states=states))


def live_before(study: optuna.Study, number: int) -> int:
    """Trials with lower numbers that are finished or still may be."""
    trials = study.get_trials(deepcopy=False)
    return sum(t.number < number and t.state != TrialState.FAIL for t in trials)


def say(study: optuna.Study, trial: FrozenTrial) -> None:
    """Print one line about a trial that has ended here."""
    alpha, every = trial.params["alpha"], trial.params["delta_t"]
    print(f"trial {trial.number}: alpha {alpha:.3f}, Delta T {every}: {outcome(trial)}", flush=True)


def outcome(trial: FrozenTrial) -> str:
    """Its mean validation accuracy in percent, or how it stands."""
    words = {TrialState.PRUNED: "diverged", TrialState.RUNNING: "running"}
    return f"{trial.value:.2f}" if trial.state == TrialState.COMPLETE else words[trial.state]


def table(study: optuna.Study) -> str:
    """The finished and the running trials for a terminal, the best first; accuracies in percent."""
    states = (*FINISHED, TrialState.RUNNING)
    trials = [t for t in study.get_trials(states=states) if "delta_t" in t.params]
    trials.sort(key=lambda t: -1.0 if t.value is None else t.value, reverse=True)
    seeds = sorted({key for t in trials for key in t.user_attrs if key.startswith("seed ")})
    lines = [["trial", "alpha", "Delta T", "validation", *seeds]]
    for t in trials:
        accuracies = [f"{t.user_attrs[seed]:.2f}" if seed in t.user_attrs else "" for seed in seeds]
        alpha, every = f"{t.params['alpha']:.3f}", str(t.params["delta_t"])
        lines.append([str(t.number), alpha, every, outcome(t), *accuracies])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = ["  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in lines]
    died = count(study, TrialState.FAIL)
    ended = f"{count(study, *FINISHED)} trials finished; {died} attempts at one ended early"
    return "\n".join([study.study_name, *rows, ended])
