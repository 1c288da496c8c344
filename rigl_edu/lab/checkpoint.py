"""Save a job so that it continues bit-exactly, and refuse the checkpoint of another one."""

import os
from typing import Any

import torch

from . import distributed
from .data import Dataset
from .saved import identity, read_checkpoint
from .train import Job, not_finite


def save_checkpoint(job: Job, data: Dataset) -> None:
    """Write the job's whole state to `job.checkpoint`, atomically; each process must call it.

    Raises:
        FloatingPointError: a weight is not finite; the previous checkpoint stays.
    """
    for name, tensor in job.model.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise not_finite(job, f"{name} is not finite")
    device = job.loss_sum.device  # its own generator: dropout draws from no other GPU's
    cuda_rng = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    rng = distributed.from_all((torch.get_rng_state(), cuda_rng))
    loss_sum = distributed.mean(job.loss_sum)
    if distributed.rank():
        return
    state = {
        "identity": identity(job.recipe, job.seed, data),
        "model": job.model.state_dict(),
        "optimizer": job.optimizer.state_dict(),
        "rule": None if job.rule is job.optimizer else job.rule.state_dict(),
        "scaler": job.scaler.state_dict(),
        "step": job.step,
        "loss_sum": loss_sum,
        "curve": job.curve,
        "train_seconds": job.train_seconds,
        "wall_seconds": job.wall_seconds,
        "rng": rng,  # a pair for each process, CPU's and GPU's
    }
    job.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    partial = job.checkpoint.with_name(f"{job.checkpoint.name}.{os.getpid()}.part")
    try:
        torch.save(state, partial)
        os.replace(partial, job.checkpoint)
    finally:
        partial.unlink(missing_ok=True)  # of a full disk


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
    if len(state["rng"]) != distributed.size():
        raise ValueError(
            f"{job.checkpoint} was saved by {len(state['rng'])} processes, not "
            f"{distributed.size()}: go on with as many, or run with --force to start over"
        )
    job.model.load_state_dict(state["model"])
    job.optimizer.load_state_dict(state["optimizer"])
    if job.rule is not job.optimizer:
        job.rule.load_state_dict(state["rule"])
    job.scaler.load_state_dict(state["scaler"])
    job.step, job.curve = state["step"], state["curve"]
    job.loss_sum.copy_(state["loss_sum"])  # the mean in each process: only their mean is used
    job.train_seconds, job.wall_before = state["train_seconds"], state["wall_seconds"]
    cpu_rng, cuda_rng = state["rng"][distributed.rank()]
    torch.set_rng_state(cpu_rng)
    if cuda_rng is not None and job.loss_sum.is_cuda:
        torch.cuda.set_rng_state(cuda_rng, job.loss_sum.device)


def described(identity: dict[str, Any]) -> str:
    """One identity in words."""
    return (
        f"recipe {identity['recipe']!r} ({identity['recipe fingerprint']}) seed {identity['seed']} "
        f"on {identity['data']!r} ({identity['data fingerprint']})"
    )
