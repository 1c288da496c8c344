"""Chapter 9, SET: Tables 2 and 3, Figures 1 and 2."""

from .paper_runs import DENSITIES
from .resnet50 import resnet50_recipe
from .wrn22 import wrn22_recipe

RECIPES = [
    recipe(9, "set", density, distribution)
    for recipe in (wrn22_recipe, resnet50_recipe)
    for distribution in ("uniform", "erk")
    for density in DENSITIES
]
