"""From a recipe and a seed to a record on disk."""

import datetime
import platform
import subprocess
from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import rigl_edu
from rigl_edu.sparse import forward_flops, layer_table

from . import distributed
from .checkpoint import load_checkpoint, save_checkpoint
from .data import Dataset
from .methods import train_flops
from .recipes import LAST_OF_SEVERAL, Recipe, recipe_fields, recipe_fingerprint
from .records import SCHEMA, record_path, write_record
from .stability import barrier
from .tickets import ancestors, read_finished
from .train import Job, evaluate, first_model, make_job, make_model, train

RUNS_ON = ("__init__.py", "sparse", "lab")  # of this package; `teach` is for pages
PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn")


def run(
    recipe: Recipe,
    seed: int,
    data: Dataset,
    results: Path,
    checkpoint: Path,
    resume: bool = False,
    command: str = "rigl_edu.lab.run.run",
    out_of_time: Callable[[], bool] = lambda: False,
) -> Path:
    """Train, or go on training, and write the record.

    Args:
        recipe: what to do.
        seed: of everything random.
        data: on the training device; cut to the recipe's limit here.
        results: directory of the record.
        checkpoint: the file to save to, and to continue from.
        resume: continue from the checkpoint if it exists.
        command: what the record says about how it was made.
        out_of_time: asked after every step whether to save and stop there.

    Returns:
        The record's path. Of several processes the first one writes it.

    Raises:
        ValueError: the checkpoint belongs to another recipe, seed or data.
        FloatingPointError: the run diverged.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the checkpoint is up to date.
        OutOfTime: `out_of_time` said so; it is up to date then too.
    """
    source_commit()  # now, before the files on disk can change under a long run
    job, data = trained(recipe, seed, data, checkpoint, resume, out_of_time)
    path = record_path(results, recipe.name, data.name, seed, distributed.size())
    if distributed.rank() == 0:
        write_record(make_record(job, data, command), results)
    distributed.wait()
    return path


def trained(
    recipe: Recipe,
    seed: int,
    data: Dataset,
    checkpoint: Path,
    resume: bool = False,
    out_of_time: Callable[[], bool] = lambda: False,
) -> tuple[Job, Dataset]:
    """The finished job, without a record of it, and the images it used; as `run` otherwise."""
    if data.train_images.is_cuda:
        torch.backends.cudnn.deterministic = True
        # torch's default is on for convolutions: ten bits of mantissa, which is no fp32.
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    if recipe.limit is not None:
        data = data.head(*recipe.limit)
    job = make_job(recipe, seed, data, checkpoint)
    if resume and checkpoint.exists():
        load_checkpoint(job, data)
    train(job, data, lambda job: save_checkpoint(job, data), out_of_time)
    return job, data


def make_record(job: Job, data: Dataset, command: str) -> dict[str, Any]:
    """Everything worth knowing about a finished run; see `records.KEYS`."""
    recipe, layers = job.recipe, layer_table(job.model)
    accuracy = evaluate(job.model, data, data.test_images, data.test_labels, recipe)
    # What "dense" means: the recipe's network at full width, which a small dense one is not.
    twin = make_model(recipe, data, scale=1.0)
    f_s, f_d = (forward_flops(m, data.image_shape) for m in (job.model, twin))
    weights = sum(row.total for row in layer_table(twin))
    active = sum(row.active for row in layers)
    flops = train_flops(recipe, f_s, f_d, forward_costs(job, data, f_s, f_d))
    found: dict[str, Any] = {}
    if recipe.twin_of:
        other = read_finished(recipe.twin_of, recipe, job.seed, data, job.checkpoint)
        found["barrier"] = barrier(job.model, other["model"], data, recipe)
    return {
        "schema": SCHEMA,
        "command": command,
        "finished": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "recipe": recipe_fields(recipe),
        "recipe_fingerprint": recipe_fingerprint(recipe),
        "seed": job.seed,
        "commit": source_commit(),
        "versions": versions(),
        "device": device_name(data.train_images.device),
        "threads": torch.get_num_threads(),
        "precision": recipe.precision,
        "data": {
            "name": data.name,
            "fingerprint": data.fingerprint,
            "train": len(data.train_images) - recipe.held_out,
            "held_out": recipe.held_out,
            "test": len(data.test_images),
        },
        "steps": job.step,
        "wall_seconds": job.wall_seconds,
        "train_seconds": job.train_seconds,
        "curve_on": "held_out" if recipe.held_out else "test",
        "curve": job.curve,
        "test_accuracy": accuracy,
        "density": active / weights,
        "layers": [row._asdict() | {"shape": list(row.shape)} for row in layers],
        "parameters": sum(p.numel() for p in job.model.parameters()),
        "weights": weights,
        "active_weights": active,
        "forward_flops": f_s,
        "dense_forward_flops": f_d,
        "train_flops": float(flops),
        "train_flops_ratio": flops / (3 * f_d),
        **found,
    }


def forward_costs(job: Job, data: Dataset, f_s: int, f_d: int) -> list[float]:
    """Forward FLOPs that the cost of the training follows from, see `train_flops`.

    Of iterative pruning and thin networks: a reading for each training, the dense one first. A
    training of fewer epochs than that counts for less. Otherwise: at the start and after each epoch
    of the training that the method pays for; a lottery run's masks come from a pruning.

    Args:
        job: finished.
        data: for the shapes.
        f_s: at the end.
        f_d: of the dense network.
    """
    recipe = job.recipe
    led_here = ancestors(recipe, job.seed, data, job.checkpoint)
    if recipe.method in LAST_OF_SEVERAL:
        trainings = [(r.epochs, state["curve"][-1]["forward_flops"]) for r, state in led_here]
        trainings.append((recipe.epochs, f_s))
        return [epochs / trainings[0][0] * flops for epochs, flops in trainings]
    if recipe.ticket_of:
        return [f_d, *[row["forward_flops"] for row in led_here[-1][1]["curve"]]]
    first = forward_flops(first_model(recipe, job.seed, data, job.checkpoint), data.image_shape)
    return [first, *[row["forward_flops"] for row in job.curve]]


@cache
def source_commit() -> str | None:
    """The commit of this package's source when it was first asked for, see `commit`."""
    return commit(Path(rigl_edu.__file__).parent)


def commit(directory: Path) -> str | None:
    """The git commit of the package in `directory`, None where git does not track it.

    "-dirty" is added if a file that a run can depend on differs from the commit or is not in it.
    """
    try:
        git(directory, "ls-files", "--error-unmatch", "__init__.py")
        head = git(directory, "rev-parse", "HEAD")
        return head + ("-dirty" if git(directory, "status", "--porcelain", "--", *RUNS_ON) else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def git(directory: Path, *args: str) -> str:
    """Output of a git command."""
    done = subprocess.run(
        ["git", "-C", str(directory), *args], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def versions() -> dict[str, str]:
    """Of Python, this package and what the numbers depend on."""
    found = {"python": platform.python_version(), "rigl_edu": rigl_edu.__version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def device_name(device: torch.device) -> str:
    """For example "cpu: AMD EPYC 7763", or "2 x cuda: NVIDIA A100-SXM4-40GB" under torchrun."""
    several = f"{distributed.size()} x " if distributed.size() > 1 else ""
    if device.type == "cuda":
        return f"{several}cuda: {torch.cuda.get_device_name(device)}"
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass  # not Linux: what Python knows must do
    return f"{several}{device.type}: {model}"
