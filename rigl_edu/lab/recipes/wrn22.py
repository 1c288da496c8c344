"""The paper's CIFAR-10 runs: one function that makes the recipe of any method, density and length.

WRN-22-2, 250 epochs, as the reproduction's code ran it. 45 000 training images in batches of 128
are 352 steps an epoch and 88 000 in all; T_end is 0.75 of 250 * 45 000 / 128 steps. Newly and again
grown weights start at 0. Training twice as long doubles the epochs, the steps between drops of the
learning rate and T_end; Delta T and the start of pruning stay.
"""

from ..paper import NAMES, PaperCell, cell
from .recipe import Recipe

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
NO_MASKS_TO_DRAW = (
    "dense",
    "small_dense",
    "pruning",
    "lottery",
)  # the paper's tables say "-" there


def paper_recipe(
    chapter: int, method: str, density: float, distribution: str = "uniform", times: int = 1
) -> Recipe:
    """One cell of the paper's tables.

    Args:
        chapter: where the book tells of it.
        method: a key of `TITLES`.
        density: 1 for dense.
        distribution: of the first masks. Pruning starts from all ones; "uniform" leaves the first
            layer out of its ranking, as the reproduction did.
        times: 2 for the tables' "2x".
    """
    ticket_of = paper_name("pruning", density, distribution, times) if method == "lottery" else ""
    if method == "dense":
        what = ""
    elif method in NO_MASKS_TO_DRAW:
        what = f" (density {density})"
    else:
        what = f" ({distribution}, density {density})"
    return Recipe(
        name=paper_name(method, density, distribution, times),
        chapter=chapter,
        title=f"WRN-22-2 on CIFAR-10, {TITLES[method]}{what}, the paper's {250 * times} epochs",
        model="wide_resnet",
        model_args={"depth": 22, "width": 2, "dropout": 0.3},
        data="cifar10",
        method=method,
        density=density,
        distribution=distribution,
        every=100,
        fraction=0.3,
        until=65_918 * times,
        prune_start=700 if method == "pruning" else 0,
        regrown="reset",
        epochs=250 * times,
        batch=128,
        lr=0.1,
        drops=(30_000 * times, 60_000 * times),
        held_out=5_000,
        precision="fp32",
        ticket_of=ticket_of,
        paper=paper_cell(method, density, distribution, times),
    )


def paper_name(method: str, density: float, distribution: str, times: int) -> str:
    """For example wrn22-rigl-erk-0.1-2x; uniform is the paper's default and goes unnamed."""
    if method == "dense":
        return "wrn22-dense"
    masks = "" if distribution == "uniform" else f"{distribution}-"
    return f"wrn22-{method}-{masks}{density}" + ("" if times == 1 else f"-{times}x")


def paper_cell(method: str, density: float, distribution: str, times: int) -> PaperCell | None:
    """The published number; None where the CSV file of the paper's tables has none."""
    table = "Table5 redistribution" if method in ("rigl_sg", "rigl_sm") else "Table2 CIFAR-10"
    inits = {"uniform": "Random", "erk": "ERK"}
    init = "-" if method in NO_MASKS_TO_DRAW else inits.get(distribution, distribution)
    try:
        return cell(table, NAMES[method], init, density, times)
    except ValueError:
        return None
