"""Chapter 10, SNFS and DSR: Tables 2 and 3, Figures 1 and 2, and the mini protocol."""

from .mini import mini_recipe
from .paper_runs import DENSITIES
from .resnet50 import resnet50_recipe
from .wrn22 import wrn22_recipe

RECIPES = [
    *[
        recipe(10, "snfs_reproduced", density, distribution)
        for recipe in (wrn22_recipe, resnet50_recipe)
        for distribution in ("uniform", "erk")
        for density in DENSITIES
    ],
    *[
        mini_recipe(10, method, density)
        for density in (0.1, 0.05)
        for method in ("snfs", "snfs_reproduced", "dsr")
    ],
]
