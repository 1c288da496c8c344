"""Chapter 10, SNFS and DSR: the paper's Table 2, once and twice as long, and the mini protocol."""

from .mini import mini_recipe
from .wrn22 import paper_recipe

RECIPES = [
    *[
        paper_recipe(10, "snfs_reproduced", density, distribution)
        for distribution in ("uniform", "erk")
        for density in (0.1, 0.2)
    ],
    *[paper_recipe(10, "snfs_reproduced", density, times=2) for density in (0.1, 0.2)],
    *[
        mini_recipe(10, method, density)
        for density in (0.1, 0.05)
        for method in ("snfs", "snfs_reproduced", "dsr")
    ],
]
