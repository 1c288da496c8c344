"""What the paper's runs on both data sets have in common: names, titles, published numbers."""

import re

from ..paper import NAMES, PaperCell, Run, published

DENSITIES = (0.05, 0.1, 0.2, 0.5)  # of Figures 1 and 2; the tables have 0.1 and 0.2

TITLES = {
    "dense": "dense",
    "small_dense": "small dense network",
    "static": "static masks",
    "set": "SET",
    "snfs": "SNFS",
    "snfs_reproduced": "SNFS as the reproduction ran it",
    "dsr": "DSR",
    "rigl": "RigL",
    "rigl_sg": "RigL-SG",
    "rigl_sm": "RigL-SM",
    "rigl_struct": "RigL with whole kernels",
    "pruning": "gradual global pruning",
    "lottery": "lottery ticket of gradual global pruning",
}
NO_MASKS_TO_DRAW = ("dense", "small_dense", "pruning", "lottery")
INITS = {"uniform": "Random", "erk": "ERK", "er": "ER"}  # what the paper calls the first masks


def run_name(network: str, method: str, density: float, distribution: str, times: int) -> str:
    """For example wrn22-rigl-erk-0.1-2x; uniform is the paper's default and goes unnamed."""
    if method == "dense":
        return f"{network}-dense"
    masks = "" if distribution == "uniform" else f"{distribution}-"
    return f"{network}-{method}-{masks}{density}" + ("" if times == 1 else f"-{times}x")


def times_as_long(name: str) -> int:
    """How many times the usual length a recipe of this name trains: 2 for "mini-rigl-0.1-2x"."""
    found = re.search(r"-(\d+)x(-|$)", name)
    return int(found[1]) if found else 1


def run_title(method: str, density: float, distribution: str) -> str:
    """For example "RigL (erk, density 0.1)"."""
    if method == "dense":
        return TITLES[method]
    masks = "" if method in NO_MASKS_TO_DRAW else f"{distribution}, "
    return f"{TITLES[method]} ({masks}density {density})"


def run_cell(
    data: str, method: str, density: float, distribution: str, times: int
) -> PaperCell | None:
    """The published number; None where the paper has none.

    Args:
        data: "CIFAR-10" or "CIFAR-100".
        method: a key of `TITLES`.
        density: 1 for dense.
        distribution: of the first masks.
        times: how many times as long as the usual 250 epochs.
    """
    return published(Run(data, NAMES[method], init_of(method, distribution), density, times))


def init_of(method: str, distribution: str) -> str:
    """The paper's word for the first masks, "-" for a method that draws none."""
    return "-" if method in NO_MASKS_TO_DRAW else INITS[distribution]
