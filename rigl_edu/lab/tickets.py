"""Runs that start from other runs, which they find finished in those runs' checkpoints.

A run with `ticket_of` starts from what another one ended with:

    lottery, rigl     its masks; the weights are those of this run's seed
    imp               the masks of its largest weights, one more round of pruning; the same weights
    reinit            its masks; weights of another draw
    shuffled          as many weights in each layer, at random places; the weights of the seed
    greedy, ...       the whole network, of which units go: `thin`

A run with `twin_of` looks at the other one when it has ended: `stability`.
"""

import copy
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from rigl_edu.sparse import masked_layers, prune, shuffle_masks, snapshot

from .data import Dataset
from .recipes import Recipe, named, needed
from .saved import identity, is_current, read_checkpoint


def beside(recipe: Recipe, checkpoint: Path, name: str) -> Path:
    """The checkpoint of that other recipe of the same seed and data: beside this one's own."""
    return checkpoint.with_name(checkpoint.name.replace(recipe.name, name, 1))


def is_ready(recipe: Recipe, checkpoint: Path) -> bool:
    """Whether all the runs that this recipe reads are there and finished."""
    return all(is_there(name, beside(recipe, checkpoint, name)) for name in needed(recipe))


def is_there(name: str, checkpoint: Path) -> bool:
    """Whether a checkpoint exists and is the end of a run of that recipe.

    A damaged one is none. Who then trains that run again is told, and other runs go on.
    """
    try:
        state = read_checkpoint(checkpoint, mapped=True)
    except (FileNotFoundError, ValueError):
        return False
    return is_finished(state, named(name))


def is_finished(state: dict[str, Any], recipe: Recipe) -> bool:
    """Whether a saved state is the end of a run of today's version of the recipe."""
    return is_current(state, recipe) and len(state["curve"]) == recipe.epochs


def read_finished(
    name: str, recipe: Recipe, seed: int, data: Dataset, checkpoint: Path
) -> dict[str, Any]:
    """The saved end of the run `name` that a run of `recipe` needs.

    Returns:
        As `save_checkpoint` wrote it; `model` and `curve` are what is of use.

    Raises:
        ValueError: it is missing, unfinished, or of another version, seed or other data; the
            message says which run makes it.
    """
    path, other = beside(recipe, checkpoint, name), named(name)
    make_it = f"first run {name} with --seed {seed} and the same --data"
    if not path.exists():
        raise ValueError(f"{recipe.name} needs {path}, which is not there; {make_it}")
    state = read_checkpoint(path, mapped=True)
    theirs, ours = state["identity"], identity(other, seed, data)
    if theirs != ours:
        raise ValueError(f"{path} is of {theirs}, {recipe.name} needs {ours}; {make_it} --force")
    if not is_finished(state, other):
        raise ValueError(f"{path} stopped at step {state['step']}; {make_it} --resume")
    return state


def ancestors(
    recipe: Recipe, seed: int, data: Dataset, checkpoint: Path
) -> list[tuple[Recipe, dict[str, Any]]]:
    """The runs that led to this one, each with its saved end, the first of them first.

    Raises:
        ValueError: as `read_finished`.
    """
    found: list[tuple[Recipe, dict[str, Any]]] = []
    while recipe.ticket_of:
        state = read_finished(recipe.ticket_of, recipe, seed, data, checkpoint)
        checkpoint = beside(recipe, checkpoint, recipe.ticket_of)
        recipe = named(recipe.ticket_of)
        found.insert(0, (recipe, state))
    return found


def ticket_masks(
    model: nn.Module, recipe: Recipe, seed: int, state: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The masks of a run with `ticket_of`, by layer.

    Args:
        model: masked at density 1 and untrained; not changed.
        recipe: its method says what to make of the other run's end.
        seed: of shuffled masks.
        state: the state dict of that end, of a masked or a dense network.
    """
    trained = copy.deepcopy(model)
    for name, layer in masked_layers(trained).items():
        layer.weight.data.copy_(state[f"{name}.weight"])
        if f"{name}.mask" in state:
            layer.set_mask(state[f"{name}.mask"])
    if recipe.method == "imp":
        prune(trained, recipe.density)
    if recipe.method == "shuffled":
        shuffle_masks(trained, snapshot(model), seed)
    return {name: layer.mask for name, layer in masked_layers(trained).items()}
