"""What a run will cost, told before it starts."""

import json
import statistics
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

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


def predicted_minutes(
    recipe: Recipe, steps: int, records: Iterable[dict[str, Any]], device: str
) -> tuple[float, int] | None:
    """Minutes of a run and the number of records this is based on; None if there are none.

    Based on the median seconds a step of records with the same network, batch, precision and
    device, and on a CPU as many threads as this process has; the method matters little, because a
    mask saves no time by itself.
    """
    same = [
        record["wall_seconds"] / record["steps"]
        for record in records
        if record["device"] == device
        and (device.startswith("cuda") or record["threads"] == torch.get_num_threads())
        and record["precision"] == recipe.precision
        and network(record["recipe"]) == network(recipe_fields(recipe))
    ]
    if not same:
        return None
    return statistics.median(same) * steps / 60, len(same)


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
    return f"data {data}; checkpoint {checkpoint_megabytes(parameters, method):.1f} MB"


def checkpoint_megabytes(parameters: int, method: str) -> float:
    """It holds weights, momentum and masks: at most three float32 numbers a parameter.

    SNFS has a fourth, its mean of dense gradients.
    """
    return (16 if method.startswith("snfs") else 12) * parameters / 1e6
