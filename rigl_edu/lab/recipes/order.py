"""The order in which the queue takes runs: what decides most comes first."""

from .recipe import Recipe

# Within a step of the order. The five of the first line are the paper's story in brief.
METHOD_ORDER = (
    *("dense", "rigl", "set", "static", "pruning"),
    *("small_dense", "snfs_reproduced", "snfs", "dsr", "rigl_sg", "rigl_sm", "lottery"),
    *("rigl_struct", "snip"),
    *("imp", "reinit", "shuffled", "greedy", "greedy_global", "random_units"),
)


STUDIES = 10


def place(recipe: Recipe, seed: int) -> tuple[float, ...]:
    """Sort key of a run: smaller goes first.

    The paper's story at ERK and density 0.1, seed 0, then its other seeds; other densities;
    uniform masks; small dense networks; SNFS and DSR; redistribution; longer training; runs
    that start from another's masks; the rest. The shorter protocol goes first. Last come the
    studies of the other five papers, chapter by chapter, each from dense to sparse, so that a
    round of pruning follows the one it starts from.
    """
    method = recipe.method
    if recipe.model.startswith(("resnet20", "vgg11")):
        at_last = recipe.chapter, seed != 0, 1 - recipe.density, METHOD_ORDER.index(method)
        return STUDIES, *at_last, bool(recipe.twin_of)
    if recipe.ticket_of:
        step = 8
    elif recipe.name.endswith(("-2x", "-3x")):
        step = 7
    elif method in ("rigl_sg", "rigl_sm"):
        step = 6
    elif method in ("snfs", "snfs_reproduced", "dsr"):
        step = 5
    elif method == "small_dense":
        step = 4
    elif method not in METHOD_ORDER[:5] or recipe.name.endswith("-50k") or "lr" in recipe.name:
        step = 9
    elif recipe.distribution == "uniform" and method not in ("dense", "pruning"):
        step = 3
    elif recipe.density not in (0.1, 1.0):
        step = 2
    else:
        step = 0 if seed == 0 else 1
    return step, recipe.epochs, seed != 0, METHOD_ORDER.index(method)
