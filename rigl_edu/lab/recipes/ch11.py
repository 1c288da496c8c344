"""Chapter 11, RigL: the paper's WRN-22-2 recipes of Table 2, and a small network for two cores."""

from dataclasses import replace

from ..paper import NAMES, PaperCell, cell
from .recipe import Recipe

TITLES = {
    "dense": "dense",
    "static": "static masks",
    "set": "SET",
    "snfs_reproduced": "SNFS as the reproduction ran it",
    "rigl": "RigL",
    "rigl_sg": "RigL-SG",
    "rigl_sm": "RigL-SM",
}


def paper_recipe(method: str, distribution: str, density: float) -> Recipe:
    """CIFAR-10, WRN-22-2, 250 epochs, as the reproduction's code ran it.

    45 000 training images in batches of 128 are 352 steps an epoch and 88 000 in all; T_end is
    0.75 of 250 * 45 000 / 128 steps. Newly and again grown weights start at 0.
    """
    masks = "" if method == "dense" else f" ({distribution}, density {density})"
    return Recipe(
        name=paper_name(method, distribution, density),
        chapter=11,
        title=f"WRN-22-2 on CIFAR-10, {TITLES[method]}{masks}, the paper's 250 epochs",
        model="wide_resnet",
        model_args={"depth": 22, "width": 2, "dropout": 0.3},
        data="cifar10",
        method=method,
        density=density,
        distribution=distribution,
        every=100,
        fraction=0.3,
        until=65_918,
        regrown="reset",
        epochs=250,
        batch=128,
        lr=0.1,
        drops=(30_000, 60_000),
        held_out=5_000,
        precision="fp32",
        paper=paper_cell(method, distribution, density),
    )


def paper_name(method: str, distribution: str, density: float) -> str:
    """For example wrn22-rigl-erk-0.1; uniform is the paper's default and goes unnamed."""
    if method == "dense":
        return "wrn22-dense"
    return f"wrn22-{method}-{'erk-' if distribution == 'erk' else ''}{density}"


def paper_cell(method: str, distribution: str, density: float) -> PaperCell | None:
    """The cell of Table 2, which has no row for static ERK masks."""
    if method == "dense":
        return cell("Table2 CIFAR-10", NAMES[method], "-", 1.0)
    if method == "static" and distribution == "erk":
        return None
    init = "ERK" if distribution == "erk" else "Random"
    return cell("Table2 CIFAR-10", NAMES[method], init, density)


def first_epoch(recipe: Recipe) -> Recipe:
    """The beginning of a long recipe, schedule unchanged, for machines without a GPU.

    352 steps with rewirings after 100, 200 and 300: it shows that the recipe runs, and how fast.
    """
    return replace(
        recipe,
        name=f"{recipe.name}-one-epoch",
        title=f"the first epoch of {recipe.name}",
        epochs=1,
        checkpoint_every=100,
        seeds=(0,),
        paper=None,
    )


def mini_recipe(method: str, density: float) -> Recipe:
    """WRN-10-1 for ten epochs: the paper's schedule scaled to minutes on two CPU cores.

    Ten epochs of 352 steps; the learning rate drops at 30/88 and 60/88 of them and rewiring ends at
    0.75, as in the paper. Every 50 steps, not 100: that gives 52 rewirings, still far fewer than
    the paper's 659, and costs 2 % of the optimizer steps, which a rewiring replaces. No dropout: a
    net this small underfits in ten epochs. `regrown` is the package's default.
    """
    steps = 10 * 352
    masks = "" if method == "dense" else f" (erk, density {density})"
    return Recipe(
        name="mini-dense" if method == "dense" else f"mini-{method}-{density}",
        chapter=11,
        title=f"WRN-10-1, {TITLES[method]}{masks}, 10 epochs",
        model="wide_resnet",
        model_args={"depth": 10, "width": 1, "dropout": 0.0},
        data="cifar10",
        method=method,
        density=density,
        distribution="erk",
        every=50,
        fraction=0.3,
        until=3 * steps // 4,
        epochs=10,
        batch=128,
        lr=0.1,
        drops=(steps * 30 // 88, steps * 60 // 88),
        held_out=5_000,
        precision="bf16",
        channels_last=True,
    )


RECIPES = [
    paper_recipe("dense", "erk", 1.0),
    *[
        paper_recipe(method, distribution, density)
        for distribution in ("erk", "uniform")
        for method in ("static", "set", "rigl")
        for density in (0.1, 0.2)
    ],
    first_epoch(paper_recipe("rigl", "erk", 0.1)),
    mini_recipe("dense", 1.0),
    *[
        mini_recipe(method, density)
        for density in (0.1, 0.05)
        for method in ("static", "set", "rigl")
    ],
]
