"""Read a checkpoint file without a job to load it into, and tell whose it is."""

from pathlib import Path
from typing import Any

import torch

from .data import Dataset
from .recipes import Recipe, recipe_fingerprint


def identity(recipe: Recipe, seed: int, data: Dataset) -> dict[str, Any]:
    """What a checkpoint and the run that uses it must have in common."""
    return {
        "recipe": recipe.name,
        "recipe fingerprint": recipe_fingerprint(recipe)[:16],
        "seed": seed,
        "data": data.name,
        "data fingerprint": data.fingerprint[:16],
    }


def is_current(state: dict[str, Any], recipe: Recipe) -> bool:
    """Whether a saved state is of the recipe as it is today."""
    return bool(state["identity"]["recipe fingerprint"] == recipe_fingerprint(recipe)[:16])


def read_checkpoint(path: Path, mapped: bool = False) -> dict[str, Any]:
    """The saved state, on the CPU.

    Args:
        path: of the file.
        mapped: leave each tensor in the file until it is looked at. For who asks how far a run is,
            or wants the weights without the optimizer's state: files have hundreds of megabytes.

    Raises:
        ValueError: the file is damaged or not a checkpoint of ours.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
        state["identity"], state["step"]
    except FileNotFoundError:
        raise
    except Exception as error:  # torch.load raises whatever its unpickler does
        raise ValueError(
            f"{path} is not a checkpoint of this package, or damaged: move it away, and its run "
            "starts over"
        ) from error
    return state
