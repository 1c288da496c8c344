"""Chapter 2, pruning a trained network: the gradual global pruning of the paper's Table 2."""

from .mini import mini_recipe
from .wrn22 import paper_recipe

RECIPES = [
    *[paper_recipe(2, "pruning", density) for density in (0.1, 0.2)],
    *[mini_recipe(2, "pruning", density) for density in (0.1, 0.05)],
]
