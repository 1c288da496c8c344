"""Chapter 11, RigL: Tables 2 and 3, Figures 1 and 2, the mini protocol, and a short ladder."""

from dataclasses import replace

from .ladder import ladder_recipe
from .mini import mini_recipe
from .paper_runs import DENSITIES
from .recipe import Recipe
from .resnet50 import resnet50_recipe
from .wrn22 import wrn22_recipe


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


RECIPES = [
    *[
        recipe(11, "rigl", density, distribution)
        for recipe in (wrn22_recipe, resnet50_recipe)
        for distribution in ("erk", "uniform")
        for density in DENSITIES
    ],
    first_epoch(wrn22_recipe(11, "rigl", 0.1, "erk")),
    mini_recipe(11, "dense", 1.0),
    *[
        mini_recipe(11, method, density)
        for density in (0.1, 0.05)
        for method in ("static", "set", "rigl")
    ],
    *[mini_recipe(11, "rigl", density, "uniform") for density in (0.1, 0.05)],
    *[ladder_recipe(11, method) for method in ("dense", "static", "set", "rigl", "pruning")],
]
