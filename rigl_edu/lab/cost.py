"""What a run will cost, told before it starts."""

import json
import shutil
import statistics
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch

from rigl_edu.sparse import forward_flops

from .data import CIFAR_FILES, name_of
from .methods import width_scale
from .models import BUILDERS
from .recipes import Recipe, recipe_fields, steps_per_epoch

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
TRAIN_SIZES = {"digits": 1437, "digits-3x32x32": 1437, "cifar10": 50_000, "cifar100": 50_000}
CIFAR_DISK = "170 MB to download, 190 MB more unpacked"


def train_size(recipe: Recipe, location: str) -> int:
    """Training images that a recipe will use, held-out ones not counted, without loading any."""
    size = TRAIN_SIZES.get(name_of(location)) or count_images(Path(location) / "train")
    if recipe.limit is not None:
        size = min(size, recipe.limit[0])
    return size - recipe.held_out


@cache
def count_images(directory: Path) -> int:
    """Image files in <directory>/<class>/; asked for by every recipe, so counted once."""
    return sum(path.suffix.lower() in IMAGE_SUFFIXES for path in directory.rglob("*.*"))


def total_steps(recipe: Recipe, location: str) -> int:
    """Steps of a whole run."""
    return recipe.epochs * steps_per_epoch(recipe, train_size(recipe, location))


class Estimate(NamedTuple):
    """What a run will take, and what that rests on.

    Attributes:
        minutes: of the whole run.
        basis: the records, in words.
        measured: whether these are of the same network with as many threads; else it is a guess.
    """

    minutes: float
    basis: str
    measured: bool

    def __str__(self) -> str:
        word = "from" if self.measured else "a guess from"
        return f"about {self.minutes:.1f} minutes a seed, {word} {self.basis}"


def predicted_minutes(
    recipe: Recipe, steps: int, records: Iterable[dict[str, Any]], device: str, threads: int
) -> Estimate | None:
    """From the nearest records on the same device in the same precision; None if there are none.

    Nearest are those of the same network and batch, whatever the method: a mask saves no time by
    itself. Else those of other networks are scaled by dense FLOPs, which is coarse: a small layer
    takes longer a FLOP. On a CPU those with the nearest number of threads are taken as they are.

    Args:
        recipe: what will be trained.
        steps: of the whole run.
        records: of any runs; the median of their seconds a step counts.
        device: name of the one that trains, see `run.device_name`.
        threads: of the process that trains.
    """
    here = [r for r in records if (r["device"], r["precision"]) == (device, recipe.precision)]
    same = [r for r in here if network(r["recipe"]) == network(recipe_fields(recipe))]
    found, where, measured = same or here, "this device", bool(same)
    if not found:
        return None
    if "cuda: " not in device:
        nearest = min({r["threads"] for r in found}, key=lambda count: abs(count - threads))
        found = [r for r in found if r["threads"] == nearest]
        where += f" with {counted(nearest, 'thread')}"
        measured = measured and nearest == threads
    if same:
        what = "this network"
        seconds = statistics.median(r["wall_seconds"] / r["steps"] for r in found)
    else:
        what = "other networks, by FLOPs,"
        per_flop = statistics.median(r["wall_seconds"] / r["steps"] / step_flops(r) for r in found)
        seconds = per_flop * recipe.batch * size_and_flops(recipe)[1]
    basis = f"{counted(len(found), 'record')} of {what} on {where}"
    return Estimate(seconds * steps / 60, basis, measured)


def counted(count: int, thing: str) -> str:
    """For example "1 thread" or "2 threads"."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def step_flops(record: Mapping[str, Any]) -> float:
    """Forward FLOPs of a batch as the device spends them: only a smaller network saves some."""
    recipe = record["recipe"]
    key = "forward_flops" if recipe["method"] == "small_dense" else "dense_forward_flops"
    return float(recipe["batch"] * record[key])


def network(fields: Mapping[str, Any]) -> tuple[Any, ...]:
    """What decides the seconds of a step, from a recipe's fields: network, width and batch."""
    width = fields["density"] if fields["method"] == "small_dense" else 1.0
    return fields["model"], fields["model_args"], width, fields["batch"]


def parameters(recipe: Recipe) -> int:
    """Of the network for ten classes and the shape of its usual data, without allocating any."""
    return size_and_flops(recipe)[0]


def dense_training_flops(recipe: Recipe, steps: int) -> float:
    """FLOPs of dense training in all: three forward passes an image, whatever the method saves."""
    return 3 * size_and_flops(recipe)[1] * recipe.batch * steps


def size_and_flops(recipe: Recipe) -> tuple[int, int]:
    """Parameters and dense forward FLOPs of the recipe's network, for ten classes."""
    return measured(recipe.model, json.dumps(dict(recipe.model_args)), width_scale(recipe))


@cache
def measured(model: str, model_args: str, scale: float) -> tuple[int, int]:
    """Of a network with shapes and no values; hundreds of recipes share few of them."""
    args = json.loads(model_args) | {"scale": scale}
    with torch.device("meta"):
        if model == "mlp":
            built = BUILDERS["mlp"]((64, *args.pop("hidden"), 10), **args)
        else:
            built = BUILDERS[model](**args)
    shape = (1, 8, 8) if model == "mlp" else (3, 32, 32)
    return sum(p.numel() for p in built.parameters()), forward_flops(built, shape)


def disk(location: str, parameters: int, method: str, root: Path = Path("data")) -> str:
    """Disk that data and checkpoint take, in words."""
    name, home = name_of(location), Path(location)
    if name in CIFAR_FILES:
        folder = (home if home.is_dir() else root) / CIFAR_FILES[name][0]
        data = "already there" if folder.is_dir() else CIFAR_DISK
    elif name in TRAIN_SIZES:
        data = "none, bundled with scikit-learn"
    else:
        data = "one cache file of the decoded images (3 bytes a pixel)"
    return f"data {data}; checkpoint {size_text(checkpoint_megabytes(parameters, method))}"


def free_megabytes(folder: Path) -> float:
    """Free space of the disk that a folder lies on, or will lie on."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free / 1e6


def size_text(megabytes: float) -> str:
    """For example "0.9 MB" or "62.3 GB"."""
    return f"{megabytes:.1f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def checkpoint_megabytes(parameters: int, method: str) -> float:
    """It holds weights, momentum and masks: at most three float32 numbers a parameter.

    SNFS has a fourth, its mean of dense gradients.
    """
    return (16 if method.startswith("snfs") else 12) * parameters / 1e6
