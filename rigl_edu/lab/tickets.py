"""A lottery run starts from the final masks of another run, found in that run's checkpoint."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from rigl_edu.sparse import masked_layers

from .data import Dataset
from .recipes import Recipe, named, recipe_fingerprint
from .saved import identity, read_checkpoint


def ticket_path(recipe: Recipe, checkpoint: Path) -> Path:
    """The checkpoint of the run whose masks this one takes: beside its own, of the same seed."""
    return checkpoint.with_name(checkpoint.name.replace(recipe.name, recipe.ticket_of, 1))


def has_ticket(recipe: Recipe, checkpoint: Path) -> bool:
    """Whether the run that this recipe depends on is there and finished; True if it has none."""
    if not recipe.ticket_of:
        return True
    path = ticket_path(recipe, checkpoint)
    return path.exists() and is_finished(read_checkpoint(path), named(recipe.ticket_of))


def is_finished(state: dict[str, Any], recipe: Recipe) -> bool:
    """Whether a saved state is the end of a run of today's version of the recipe."""
    same = state["identity"]["recipe fingerprint"] == recipe_fingerprint(recipe)[:16]
    return same and len(state["curve"]) == recipe.epochs


def read_ticket(recipe: Recipe, seed: int, data: Dataset, checkpoint: Path) -> dict[str, Any]:
    """The finished run's saved state: its `model` holds the masks, its `curve` what it cost.

    Raises:
        ValueError: it is missing, unfinished, or of another version, seed or other data; the
            message says which run makes it.
    """
    path, parent = ticket_path(recipe, checkpoint), named(recipe.ticket_of)
    make_it = f"first run {parent.name} with --seed {seed} and the same --data"
    if not path.exists():
        raise ValueError(f"{recipe.name} needs {path}, which is not there; {make_it}")
    state = read_checkpoint(path)
    theirs, ours = state["identity"], identity(parent, seed, data)
    if theirs != ours:
        raise ValueError(f"{path} is of {theirs}, {recipe.name} needs {ours}; {make_it} --force")
    if not is_finished(state, parent):
        raise ValueError(f"{path} stopped at step {state['step']}; {make_it} --resume")
    return state


def take_masks(model: nn.Module, state: dict[str, Tensor]) -> None:
    """Give a network, masked at density 1 and untrained, the masks of a trained one's state."""
    for name, layer in masked_layers(model).items():
        layer.set_mask(state[f"{name}.mask"])
