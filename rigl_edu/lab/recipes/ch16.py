"""Chapter 16, from masks to seconds: whole kernels, Table 7. Its runs labelled ERK used ER."""

from .resnet50 import resnet50_recipe
from .wrn22 import wrn22_recipe

RECIPES = [
    recipe(16, "rigl_struct", density, distribution)
    for recipe in (wrn22_recipe, resnet50_recipe)
    for distribution in ("uniform", "er")
    for density in (0.1, 0.2)
]
