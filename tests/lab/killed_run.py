"""A run that kills its own process, for test_resume."""

import os
import signal
from pathlib import Path

import torch

from rigl_edu.lab import train
from rigl_edu.lab.data import digits
from rigl_edu.lab.recipes import Recipe
from rigl_edu.lab.run import run


def until_killed(recipe: Recipe, kill: int, out: Path) -> None:
    """Die before step `kill` of the run, or in the middle of writing checkpoint -`kill`."""
    torch.set_num_threads(1)
    step, save, saved = train.training_step, torch.save, []

    def killing_step(job, *args):
        if job.step == kill:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(job, *args)

    def killing_save(state, path):
        saved.append(path)
        if len(saved) == -kill:
            Path(path).write_bytes(b"half a checkpoint")
            os.kill(os.getpid(), signal.SIGKILL)
        save(state, path)

    train.training_step, torch.save = killing_step, killing_save
    run(recipe, 7, digits(), out, out / "c.pt", resume=True)
