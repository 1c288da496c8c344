"""A short ladder of methods on the paper's network: WRN-22-2 for an hour a run on two CPU cores.

15 epochs of 15 000 images, a third of those the paper trains on, in batches of 64: 3525 steps. The
schedule is scaled as in the mini protocol, whose 50 steps between rewirings, learning rate and
missing dropout it has too. So the two differ in the network and in how often an image is seen.
"""

from .paper_runs import run_title
from .recipe import Recipe


def ladder_recipe(chapter: int, method: str) -> Recipe:
    """One rung, at density 0.1 from ERK masks.

    Args:
        chapter: where the book tells of it.
        method: a key of `paper_runs.TITLES`.
    """
    steps = 15 * 235
    density = 1.0 if method == "dense" else 0.1
    return Recipe(
        name="ladder-dense" if method == "dense" else f"ladder-{method}-{density}",
        chapter=chapter,
        title=f"WRN-22-2, {run_title(method, density, 'erk')}, 15 epochs of 15 000 images",
        model="wide_resnet",
        model_args={"depth": 22, "width": 2, "dropout": 0.0},
        data="cifar10",
        method=method,
        density=density,
        distribution="erk",
        every=50,
        fraction=0.3,
        until=3 * steps // 4,
        prune_start=28 if method == "pruning" else 0,
        epochs=15,
        batch=64,
        lr=0.05,
        drops=(steps * 30 // 88, steps * 60 // 88),
        held_out=5_000,
        limit=(20_000, 10_000),
        precision="fp32",
        channels_last=True,
        checkpoint_every=100,
    )
