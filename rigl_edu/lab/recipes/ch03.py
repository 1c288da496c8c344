"""Chapter 3, lottery tickets: Table 2's row, trained with the masks that pruning ends in."""

from .mini import mini_recipe
from .wrn22 import paper_recipe

RECIPES = [
    *[paper_recipe(3, "lottery", density) for density in (0.1, 0.2)],
    *[mini_recipe(3, "lottery", density) for density in (0.1, 0.05)],
]
