"""The mini protocol: the paper's schedule on a small network, minutes a run on two CPU cores.

WRN-10-1, five epochs of the 45 000 training images in batches of 64: 3520 steps. The learning rate
drops at 30/88 and 60/88 of them and rewiring ends at 0.75, as in the paper. Half the paper's batch,
so half its learning rate. Rewiring is every 50 steps, not 100: 52 rewirings are still far fewer
than the paper's 659 and cost 2 % of the optimizer steps, which they replace. Pruning starts at
700/88 000 of training. No dropout: a net this small underfits in five epochs. `regrown` is the
package's default. Plain fp32: without special instructions of the processor bf16 is ten times
slower, and these runs are for any machine.
"""

from .paper_runs import NO_MASKS_TO_DRAW, TITLES
from .recipe import Recipe


def mini_recipe(
    chapter: int, method: str, density: float, distribution: str = "erk", times: int = 1
) -> Recipe:
    """One cell of the mini protocol.

    Args:
        chapter: where the book tells of it.
        method: a key of `paper_runs.TITLES`.
        density: 1 for dense.
        distribution: of the first masks. "uniform" leaves the first layer dense; pruning ranks all
            layers, so that it has as many weights as the others from ERK masks.
        times: 2 for training twice as long; Delta T and the start of pruning stay.
    """
    steps = times * 5 * 704
    masks = f" ({distribution}, density {density})"
    if method in NO_MASKS_TO_DRAW:
        masks = "" if method == "dense" else f" (density {density})"
    return Recipe(
        name=mini_name(method, density, distribution, times),
        chapter=chapter,
        title=f"WRN-10-1, {TITLES[method]}{masks}, {5 * times} epochs",
        model="wide_resnet",
        model_args={"depth": 10, "width": 1, "dropout": 0.0},
        data="cifar10",
        method=method,
        density=density,
        distribution=distribution,
        every=50,
        fraction=0.3,
        until=3 * steps // 4,
        prune_start=28 if method == "pruning" else 0,
        epochs=5 * times,
        batch=64,
        lr=0.05,
        drops=(steps * 30 // 88, steps * 60 // 88),
        held_out=5_000,
        precision="fp32",
        channels_last=True,
        ticket_of=mini_name("pruning", density, "erk", times) if method == "lottery" else "",
    )


def mini_name(method: str, density: float, distribution: str, times: int) -> str:
    """For example mini-rigl-uniform-0.1-2x; ERK is the mini protocol's default and goes unnamed."""
    if method == "dense":
        return "mini-dense"
    masks = "uniform-" if distribution == "uniform" else ""
    return f"mini-{method}-{masks}{density}" + ("" if times == 1 else f"-{times}x")
