"""Chapter 12, redistribution among layers: does a uniform network end where the paper's did?

The cells of Table 5. Figure 5's two panels come from the same runs: FLOPs from ResNet-50 at density
0.2, final densities from WRN-22-2 at 0.1 (its caption says WRN-22-2 at 0.2 for both).
"""

from dataclasses import replace

from ..paper import Run, published
from .mini import mini_recipe
from .paper_runs import INITS, TITLES
from .recipe import Recipe
from .resnet50 import resnet50_recipe
from .wrn22 import wrn22_recipe


def drift_recipe(method: str) -> Recipe:
    """352 steps of WRN-22-2 from uniform masks at density 0.1, for two CPU cores.

    What is looked at is where the weights go, layer by layer, beside the paper's Figure 5. The
    paper rewires 659 times in 250 epochs; here it is 26 times, every 10 steps, on batches of 32
    from a quarter of the images, and the rest of the schedule is scaled. The accuracy says little.
    """
    steps = 352
    return Recipe(
        name=f"drift-{method}-0.1",
        chapter=12,
        title=f"WRN-22-2, {TITLES[method]} from uniform masks (density 0.1), 352 steps",
        model="wide_resnet",
        model_args={"depth": 22, "width": 2, "dropout": 0.0},
        data="cifar10",
        method=method,
        density=0.1,
        distribution="uniform",
        every=10,
        fraction=0.3,
        until=3 * steps // 4,
        regrown="reset",
        epochs=1,
        batch=32,
        lr=0.1,
        drops=(steps * 30 // 88, steps * 60 // 88),
        limit=(32 * steps, 10_000),
        precision="fp32",
        channels_last=True,
        checkpoint_every=100,
    )


def reinit_recipe(recipe: Recipe) -> Recipe:
    """RigL from the final masks of a RigL-SM run: does it pay to start where that one ended?

    The weights start from the values that RigL-SM's had, as a lottery ticket's do; the paper says
    "re-initialised" and no more.

    Args:
        recipe: of the RigL-SM run.
    """
    data = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}[recipe.data]
    run = Run(data, "RigL re-init from RigL-SM", INITS[recipe.distribution], recipe.density)
    return replace(
        recipe,
        name=recipe.name.replace("rigl_sm", "rigl-reinit"),
        title=recipe.title.replace("RigL-SM", "RigL from the final masks of RigL-SM"),
        method="rigl",
        ticket_of=recipe.name,
        paper=published(run),
    )


REDISTRIBUTION = [
    recipe(12, method, density, distribution)
    for recipe in (wrn22_recipe, resnet50_recipe)
    for distribution in ("uniform", "erk")
    for method in ("rigl_sg", "rigl_sm")
    for density in (0.1, 0.2)
]
RECIPES = [
    *REDISTRIBUTION,
    *[reinit_recipe(recipe) for recipe in REDISTRIBUTION if recipe.method == "rigl_sm"],
    *[mini_recipe(12, "rigl_sm", density, "uniform") for density in (0.1, 0.05)],
    *[drift_recipe(method) for method in ("rigl_sg", "rigl_sm", "snfs_reproduced")],
]
