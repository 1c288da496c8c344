"""The paper's CIFAR-100 runs: one function that makes the recipe of any method, density and length.

ResNet-50 for 32x32 images, 250 epochs of 352 steps, T_end and Delta T as for CIFAR-10. Different
are the crops, which have any size and are enlarged, the warm-up, the drops of the learning rate,
which are counted from its end, the weight decay and the label smoothing. Where the paper's text and
its code disagree, this is the code, which made the numbers: the warm-up takes 1760 steps, five
epochs (the text says two); 5 000 images are held out (the text says 10 000); the 7x7 stem becomes
one 3x3 convolution (the text says two).
"""

from .paper_runs import run_cell, run_name, run_title
from .recipe import Recipe

WARMUP = 1760


def resnet50_recipe(
    chapter: int, method: str, density: float, distribution: str = "uniform", times: int = 1
) -> Recipe:
    """One cell of the paper's tables.

    Args:
        chapter: where the book tells of it.
        method: a key of `paper_runs.TITLES`.
        density: 1 for dense.
        distribution: of the first masks. Pruning starts from all ones; "uniform" leaves the first
            layer out of its ranking, as the reproduction did.
        times: 2 or 3 for the tables' "2x" and "3x", which leave the warm-up as it is.
    """
    pruning = run_name("resnet50", "pruning", density, distribution, times)
    what = run_title(method, density, distribution)
    return Recipe(
        name=run_name("resnet50", method, density, distribution, times),
        chapter=chapter,
        title=f"ResNet-50 on CIFAR-100, {what}, {250 * times} epochs",
        model="resnet50",
        data="cifar100",
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
        drops=tuple(WARMUP + 20_000 * times * i for i in (1, 2, 3, 4)),
        warmup=WARMUP,
        weight_decay=1e-4,
        label_smoothing=0.1,
        crop="zoomed",
        held_out=5_000,
        precision="fp32",
        checkpoint_every=3520,  # every ten epochs; one takes 285 MB
        ticket_of=pruning if method == "lottery" else "",
        paper=run_cell("CIFAR-100", method, density, distribution, times),
    )
