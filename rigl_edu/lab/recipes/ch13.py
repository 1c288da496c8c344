"""Chapter 13, what it buys: training two and three times as long, and equal FLOPs (Figure 4).

Tables 2 and 3, Figures 1 and 2. RigL three times as long on CIFAR-10 is in Table 2's LaTeX source
only, as a comment. Figure 4 sets RigL from uniform masks (chapter 11) beside RigL from ERK masks of
so low a density that both take the same FLOPs.
"""

from .mini import mini_recipe
from .paper_runs import DENSITIES
from .resnet50 import resnet50_recipe
from .wrn22 import wrn22_recipe

# By network, the ERK densities that take the FLOPs of uniform masks at 0.1, 0.2 and 0.5.
EQUAL_FLOPS = ((wrn22_recipe, (0.0587, 0.1145, 0.2855)), (resnet50_recipe, (0.044, 0.088, 0.298)))

RECIPES = [
    *[
        wrn22_recipe(13, method, density, times=2)
        for method in ("static", "set", "rigl")
        for density in DENSITIES
    ],
    *[wrn22_recipe(13, "rigl", density, "erk", times=2) for density in DENSITIES],
    *[wrn22_recipe(13, "snfs_reproduced", density, times=2) for density in (0.1, 0.2)],
    *[wrn22_recipe(13, "rigl", density, times=3) for density in (0.1, 0.2)],
    *[
        resnet50_recipe(13, "rigl", density, distribution, times)
        for distribution, times in (("uniform", 2), ("erk", 2), ("uniform", 3))
        for density in DENSITIES
    ],
    *[
        recipe(13, "rigl", density, "erk")
        for recipe, densities in EQUAL_FLOPS
        for density in densities
    ],
    *[mini_recipe(13, "rigl", density, times=2) for density in (0.1, 0.05)],
]
