"""Chapter 1, a mask and what it costs: dense networks, and small ones of as many parameters."""

from .mini import mini_recipe
from .resnet50 import resnet50_recipe
from .wrn22 import wrn22_recipe

RECIPES = [
    wrn22_recipe(1, "dense", 1.0, "erk"),
    resnet50_recipe(1, "dense", 1.0, "erk"),
    *[
        recipe(1, "small_dense", density)
        for recipe in (wrn22_recipe, resnet50_recipe)
        for density in (0.1, 0.2)
    ],
    *[mini_recipe(1, "small_dense", density) for density in (0.1, 0.05)],
]
