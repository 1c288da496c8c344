"""One run on several GPUs: `torchrun --nproc-per-node 2 -m rigl_edu run ...`.

Every process holds the whole network and trains it on its part of each batch; PyTorch's
DistributedDataParallel averages the gradients, so all masks and weights stay alike. Order and crops
are those of one process. Two things are not: a batch norm sees its own part of the batch only, and
each process draws its own dropout.
"""

import os
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def started_by_torchrun() -> bool:
    """Whether torchrun started this process and others with it."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def join(device: torch.device) -> torch.device:
    """Meet the other processes; returns the device of this one.

    Args:
        device: asked for; of several GPUs each process of a machine takes its own.
    """
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return device


def rank() -> int:
    """Number of this process, 0 for the one that saves, prints and writes records."""
    return dist.get_rank() if dist.is_initialized() else 0


def size() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def spread(model: nn.Module) -> nn.Module:
    """The model as it is to be called in training."""
    return nn.parallel.DistributedDataParallel(model) if size() > 1 else model


def my_part(count: int) -> slice:
    """This process's rows of a batch of `count`.

    Raises:
        ValueError: there are more processes than rows.
    """
    if count < size():
        raise ValueError(f"a batch of {count} images cannot be shared by {size()} processes")
    begin, end = (count * r // size() for r in (rank(), rank() + 1))
    return slice(begin, end)


def any_of_us(flag: bool, device: torch.device) -> bool:
    """Whether the flag is set in any process; each must ask."""
    if size() == 1:
        return flag
    flags = torch.tensor(float(flag), device=device)
    dist.all_reduce(flags, dist.ReduceOp.MAX)
    return bool(flags.item())


def mean(value: Tensor) -> Tensor:
    """The mean over all processes of a tensor; each must ask."""
    if size() > 1:
        value = value.clone()
        dist.all_reduce(value)
    return value / size()


def from_all(thing: Any) -> list[Any]:
    """Every process's thing, in the order of their numbers; each must ask."""
    things = [thing]
    if size() > 1:
        things *= size()
        dist.all_gather_object(things, thing)
    return things


def wait() -> None:
    """Until all processes are here."""
    if size() > 1:
        dist.barrier()
