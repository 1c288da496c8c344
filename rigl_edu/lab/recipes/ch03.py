"""Chapter 3, lottery tickets: a row of Tables 2 and 3, trained with the masks of pruning's end."""

from .mini import mini_recipe
from .resnet50 import resnet50_recipe
from .wrn22 import wrn22_recipe

RECIPES = [
    *[
        recipe(3, "lottery", density)
        for recipe in (wrn22_recipe, resnet50_recipe)
        for density in (0.1, 0.2)
    ],
    *[mini_recipe(3, "lottery", density) for density in (0.1, 0.05)],
]
