"""One of several processes that train one run, for test_distributed."""

import os
from pathlib import Path

import torch

from rigl_edu.lab import distributed, train
from rigl_edu.lab.data import digits
from rigl_edu.lab.recipes import Recipe
from rigl_edu.lab.run import run

# No batch norm and no dropout, so that one process and two compute the same. 70 images in batches
# of 15: the parts differ by one image, and the last batch has 10. RigL-SM keeps a momentum.
RECIPE = Recipe(
    name="shared",
    chapter=0,
    title="an MLP",
    model="mlp",
    model_args={"hidden": (20,)},
    data="digits",
    method="rigl_sm",
    density=0.3,
    distribution="er",
    every=3,
    until=10,
    epochs=3,
    batch=15,
    lr=0.1,
    augment=False,
    checkpoint_every=4,
)


def part(rank: int, port: int, out: str, stop: int) -> None:
    """What torchrun would start as one of two processes; `stop` is the step to stop after."""
    where = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "LOCAL_RANK": str(rank)}
    os.environ.update(where, RANK=str(rank), WORLD_SIZE="2")
    torch.set_num_threads(1)
    distributed.join(torch.device("cpu"))
    step, calls = train.training_step, []

    def counted(job, *args):
        calls.append(job.step)
        return step(job, *args)

    train.training_step = counted
    folder = Path(out)
    try:
        # Only the second process runs out of time; the first must stop at the same step.
        run(
            RECIPE,
            3,
            digits().head(70, 50),
            folder,
            folder / "c.pt",
            resume=True,
            out_of_time=lambda: distributed.rank() == 1 and calls[-1] + 1 == stop,
        )
    except train.OutOfTime:
        (folder / f"stopped-{rank}").write_text(str(calls[-1] + 1))
    torch.distributed.destroy_process_group()
