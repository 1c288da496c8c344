"""The paper's CIFAR-10 runs: one function that makes the recipe of any method, density and length.

WRN-22-2, 250 epochs, as the reproduction's code ran it. 45 000 training images in batches of 128
are 352 steps an epoch and 88 000 in all; T_end is 0.75 of 250 * 45 000 / 128 steps. Newly and again
grown weights start at 0. Training two or three times as long multiplies the epochs, the steps
between drops of the learning rate and T_end; Delta T and the start of pruning stay.

The code has two kinds of pruning, with and without a warm-up of the learning rate. Table 2 probably
reports the one without, so that one is here, although the paper's lottery tickets came from the
other.
"""

from .paper_runs import run_cell, run_name, run_title
from .recipe import Recipe


def wrn22_recipe(
    chapter: int, method: str, density: float, distribution: str = "uniform", times: int = 1
) -> Recipe:
    """One cell of the paper's tables.

    Args:
        chapter: where the book tells of it.
        method: a key of `paper_runs.TITLES`.
        density: 1 for dense.
        distribution: of the first masks. Pruning starts from all ones; "uniform" leaves the first
            layer out of its ranking, as the reproduction did.
        times: 2 or 3 for the tables' "2x" and "3x".
    """
    pruning = run_name("wrn22", "pruning", density, distribution, times)
    what = run_title(method, density, distribution)
    return Recipe(
        name=run_name("wrn22", method, density, distribution, times),
        chapter=chapter,
        title=f"WRN-22-2 on CIFAR-10, {what}, {250 * times} epochs",
        model="wide_resnet",
        model_args={"depth": 22, "width": 2, "dropout": 0.3},
        data="cifar10",
        method=method,
        density=density,
        distribution=distribution,
        every=100,
        fraction=0.3,
        until=65_918 * times,
        prune_start=700 if method == "pruning" else 0,
        regrown="reset",
        epochs=250 * times,
        batch=128,
        lr=0.1,
        drops=(30_000 * times, 60_000 * times),
        held_out=5_000,
        precision="fp32",
        ticket_of=pruning if method == "lottery" else "",
        paper=run_cell("CIFAR-10", method, density, distribution, times),
    )
