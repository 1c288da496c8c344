"""Chapter 1, a mask and what it costs: the small dense network of as many parameters."""

from .mini import mini_recipe
from .wrn22 import paper_recipe

RECIPES = [
    *[paper_recipe(1, "small_dense", density) for density in (0.1, 0.2)],
    *[mini_recipe(1, "small_dense", density) for density in (0.1, 0.05)],
]
