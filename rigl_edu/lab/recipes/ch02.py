"""Chapter 2, pruning a trained network: the gradual global pruning of Tables 2 and 3."""

from .mini import mini_recipe
from .paper_runs import DENSITIES
from .resnet50 import resnet50_recipe
from .wrn22 import wrn22_recipe

RECIPES = [
    *[
        recipe(2, "pruning", density)
        for recipe in (wrn22_recipe, resnet50_recipe)
        for density in DENSITIES
    ],
    *[mini_recipe(2, "pruning", density) for density in (0.1, 0.05)],
]
