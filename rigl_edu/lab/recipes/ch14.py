"""Chapter 14, do the hyper-parameters matter? Figure 3's learning rates, Table 4's best settings.

Both are about RigL on CIFAR-10. Figure 3 is one run a point. Three of its four curves from "Random"
masks are in fact runs from ERK masks, because the job script did not ask for uniform ones: the
recipes here do what the figure says, and the note of its number says what it is.
"""

from dataclasses import replace

from ..paper import Run, cells, published
from .paper_runs import INITS, run_title
from .recipe import Recipe
from .wrn22 import wrn22_recipe

LEARNING_RATES = (0.1, 0.05, 0.01, 0.005)
SETTINGS = ((0.3, 100), (0.4, 200), (0.4, 500), (0.5, 750))  # (alpha, Delta T)
USUAL = (0.1, 0.3, 100)  # learning rate, alpha and Delta T of chapter 11's recipes


def tuned_recipe(
    density: float, distribution: str, lr: float, alpha: float, delta_t: int, seeds: int
) -> Recipe:
    """RigL with a learning rate, a share of rewired weights and an interval of its own.

    Args:
        density: of the network.
        distribution: of the first masks, "uniform" or "erk".
        lr: peak learning rate.
        alpha: share of a layer's weights that is rewired at first.
        delta_t: steps between rewirings.
        seeds: the number of runs behind the paper's result.
    """
    recipe = wrn22_recipe(14, "rigl", density, distribution)
    what = run_title("rigl", density, distribution)
    run = Run("CIFAR-10", "RigL", INITS[distribution], density, 1, lr, alpha, delta_t)
    return replace(
        recipe,
        name=f"{recipe.name}-lr{lr}-a{alpha}-t{delta_t}",
        title=f"WRN-22-2 on CIFAR-10, {what}, lr {lr}, alpha {alpha}, every {delta_t} steps",
        lr=lr,
        fraction=alpha,
        every=delta_t,
        seeds=tuple(range(seeds)),
        paper=published(run),
    )


def best_found() -> list[Recipe]:
    """Of Table 4 the settings that a search found best, for each density and kind of masks."""
    distributions = {init: distribution for distribution, init in INITS.items()}
    return [
        tuned_recipe(run.density, distributions[run.init], run.lr, run.alpha, run.delta_t, 3)
        for source, run in cells()
        if source == "Table4 tuning" and (run.lr, run.alpha, run.delta_t) != USUAL
    ]


RECIPES = [
    *best_found(),
    *[
        tuned_recipe(density, distribution, lr, alpha, delta_t, 1)
        for distribution in ("erk", "uniform")
        for density in (0.1, 0.2, 0.5)
        for alpha, delta_t in SETTINGS
        for lr in LEARNING_RATES
        if (lr, alpha, delta_t) != USUAL
    ],
]
