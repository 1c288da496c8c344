"""Chapter 11, RigL: the paper's WRN-22-2 recipes of Table 2, and a small network for two cores."""

from dataclasses import replace

from .recipe import Recipe
from .wrn22 import TITLES, paper_recipe


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
    paper_recipe(11, "dense", 1.0, "erk"),
    *[
        paper_recipe(11, method, density, distribution)
        for distribution in ("erk", "uniform")
        for method in ("static", "set", "rigl")
        for density in (0.1, 0.2)
    ],
    first_epoch(paper_recipe(11, "rigl", 0.1, "erk")),
    mini_recipe("dense", 1.0),
    *[
        mini_recipe(method, density)
        for density in (0.1, 0.05)
        for method in ("static", "set", "rigl")
    ],
]
