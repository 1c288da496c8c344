"""Chapter 15, the reproduction: Table 1, which trains on all 50 000 images of CIFAR-10.

The paper does not say how it changed the schedule for these runs, whose epochs have 391 steps. Here
nothing but the held-out images is changed, as if its code had been told so and no more. T_end stays
at step 65 918 and the learning rate drops every 30 000 steps, so a third time at 90 000 of 97 750.
"""

from dataclasses import replace

from ..paper import NAMES, cell
from .paper_runs import init_of
from .recipe import Recipe
from .wrn22 import wrn22_recipe


def all_images(method: str, density: float, distribution: str) -> Recipe:
    """A cell of Table 1. Arguments as for `wrn22_recipe`."""
    recipe = wrn22_recipe(15, method, density, distribution)
    return replace(
        recipe,
        name=f"{recipe.name}-50k",
        title=f"{recipe.title}, no image held out",
        held_out=0,
        drops=(30_000, 60_000, 90_000),
        paper=cell("Table1 reproduction", NAMES[method], init_of(method, distribution), density),
    )


RECIPES = [
    all_images("dense", 1.0, "erk"),
    *[
        all_images(method, density, distribution)
        for method, distribution in (("static", "erk"), ("pruning", "uniform"), ("rigl", "erk"))
        for density in (0.1, 0.2, 0.5)
    ],
]
