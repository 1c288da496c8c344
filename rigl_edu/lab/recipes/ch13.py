"""Chapter 13, what it buys: training twice as long, Table 2."""

from .mini import mini_recipe
from .wrn22 import paper_recipe

RECIPES = [
    *[
        paper_recipe(13, method, density, times=2)
        for method in ("static", "set", "rigl")
        for density in (0.1, 0.2)
    ],
    *[paper_recipe(13, "rigl", density, "erk", times=2) for density in (0.1, 0.2)],
    *[mini_recipe(13, "rigl", density, times=2) for density in (0.1, 0.05)],
]
