"""Save a job so that it continues bit-exactly, and refuse the checkpoint of another one."""

import os
from typing import Any

import torch

from .data import Dataset
from .saved import identity, read_checkpoint
from .train import Job, not_finite


def save_checkpoint(job: Job, data: Dataset) -> None:
    """Write the job's whole state to `job.checkpoint`, atomically.

    Raises:
        FloatingPointError: a weight is not finite; the previous checkpoint stays.
    """
    for name, tensor in job.model.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise not_finite(job, f"{name} is not finite")
    state = {
        "identity": identity(job.recipe, job.seed, data),
        "model": job.model.state_dict(),
        "optimizer": job.optimizer.state_dict(),
        "rule": None if job.rule is job.optimizer else job.rule.state_dict(),
        "scaler": job.scaler.state_dict(),
        "step": job.step,
        "loss_sum": job.loss_sum,
        "curve": job.curve,
        "train_seconds": job.train_seconds,
        "wall_seconds": job.wall_seconds,
        "cpu_rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    job.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    partial = job.checkpoint.with_name(f"{job.checkpoint.name}.{os.getpid()}.part")
    torch.save(state, partial)
    os.replace(partial, job.checkpoint)


def load_checkpoint(job: Job, data: Dataset) -> None:
    """Bring a fresh job to where `job.checkpoint` left off.

    Raises:
        ValueError: the checkpoint is of another recipe, seed or data, or is not one of ours.
    """
    state = read_checkpoint(job.checkpoint)
    theirs, ours = state["identity"], identity(job.recipe, job.seed, data)
    if theirs != ours:
        raise ValueError(
            f"{job.checkpoint} is a checkpoint of {described(theirs)}, not of {described(ours)}; "
            "move it away, or run with --force to start over"
        )
    job.model.load_state_dict(state["model"])
    job.optimizer.load_state_dict(state["optimizer"])
    if job.rule is not job.optimizer:
        job.rule.load_state_dict(state["rule"])
    job.scaler.load_state_dict(state["scaler"])
    job.step, job.loss_sum, job.curve = state["step"], state["loss_sum"], state["curve"]
    job.train_seconds, job.wall_before = state["train_seconds"], state["wall_seconds"]
    torch.set_rng_state(state["cpu_rng"])
    if len(state["cuda_rng"]) == torch.cuda.device_count() > 0:
        torch.cuda.set_rng_state_all(state["cuda_rng"])


def described(identity: dict[str, Any]) -> str:
    """One identity in words."""
    return (
        f"recipe {identity['recipe']!r} ({identity['recipe fingerprint']}) seed {identity['seed']} "
        f"on {identity['data']!r} ({identity['data fingerprint']})"
    )
