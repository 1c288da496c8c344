"""The other five papers on CIFAR-10: what their runs have in common, and rounds of pruning.

ResNet-20 and VGG-11 as the papers about tickets train them: the learning rate drops to a tenth at
1/2 and 3/4 of the epochs unless said otherwise. 5 000 training images are held out, so that a
learning rate can be chosen without looking at a test image; the papers train on all. The momentum
is Nesterov's, as everywhere here; theirs is the plain one.

A study prunes 36 % of the remaining weights a round, which is two of the papers' rounds of 20 % at
once, and so needs half their trainings for the same densities: 0.64, 0.41, 0.262, 0.168, 0.107, ...
"""

from dataclasses import replace
from typing import Any

from .recipe import Recipe

IMAGES = 45_000
ROUND = 0.64  # share of the weights that a round of pruning leaves

NETWORKS = {
    "resnet20": "ResNet-20",
    "resnet20_no_bn": "ResNet-20 without batch norm",
    "vgg11": "VGG-11 without batch norm",
    "vgg11_bn": "VGG-11",
}


def study_title(model: str, what: str, epochs: int | str) -> str:
    """For example "ResNet-20, dense, 160 epochs"."""
    return f"{NETWORKS[model]}, {what}, {epochs} epochs"


def study_recipe(
    chapter: int, name: str, title: str, model: str, epochs: int, batch: int, **fields: Any
) -> Recipe:
    """A dense network of a study; `replace` makes the others of it.

    Args:
        chapter: where the book tells of it.
        name: of the recipe.
        title: what comes after the network's name.
        model: a key of `lab.models.BUILDERS`.
        epochs: passes over the training images.
        batch: images a step.
        **fields: of `Recipe`, among them `lr` and `weight_decay`.
    """
    usual: dict[str, Any] = {
        "method": "dense",
        "drops": drops_at(epochs, batch, (1 / 2, 3 / 4)),
        "drop_factor": 0.1,
        "held_out": 50_000 - IMAGES,
        "channels_last": True,
        "checkpoint_every": 1760,
    }
    return Recipe(
        name=name,
        chapter=chapter,
        title=study_title(model, title, epochs),
        model=model,
        data="cifar10",
        epochs=epochs,
        batch=batch,
        **usual | fields,
    )


def drops_at(epochs: int, batch: int, shares: tuple[float, ...]) -> tuple[int, ...]:
    """Steps at these shares of training, each at the beginning of an epoch."""
    per_epoch = -(-IMAGES // batch)
    return tuple(round(share * epochs) * per_epoch for share in shares)


def varied(recipe: Recipe, name: str, title: str, **fields: Any) -> Recipe:
    """A recipe with another name, other words for "dense" in its title, and other fields."""
    return replace(recipe, name=name, title=recipe.title.replace("dense", title), **fields)


def imp_rounds(dense: Recipe, rounds: int, ending: str = "", **fields: Any) -> list[Recipe]:
    """Iterative magnitude pruning: each round starts from the masks and weights of the one before.

    Args:
        dense: round 0; its name ends in "dense" or has "-dense-" in it.
        rounds: how many there are after it.
        ending: of the names.
        **fields: of `Recipe`, for example `rewind`.
    """
    found = [dense]
    for number in range(1, rounds + 1):
        density = round(ROUND**number, 4)
        name = dense.name.replace("dense", f"imp-{density}") + ending
        how = ", ".join([f"density {density}", *([ending[1:]] if ending else [])])
        title = f"round {number} of iterative pruning ({how})"
        earlier = found[-1].name
        found.append(
            varied(dense, name, title, method="imp", density=density, ticket_of=earlier, **fields)
        )
    return found[1:]


def one_shot(dense: Recipe, density: float) -> Recipe:
    """A ticket by one pruning of the trained dense network."""
    name = f"{dense.name.replace('dense', f'imp-{density}')}-oneshot"
    title = f"one-shot ticket (density {density})"
    return varied(dense, name, title, method="imp", density=density, ticket_of=dense.name)


CONTROLS = {"reinit": "re-initialised", "shuffled": "layer by layer shuffled"}


def control(ticket: Recipe, method: str) -> Recipe:
    """A ticket's masks with other weights ("reinit"), or its weights under shuffled masks."""
    return replace(
        ticket,
        name=ticket.name.replace("imp", method),
        title=f"{ticket.title}, {CONTROLS[method]}",
        method=method,
        ticket_of=ticket.name,
    )


def twin(recipe: Recipe) -> Recipe:
    """The same training once more, with another order of images and other crops."""
    return replace(
        recipe,
        name=f"{recipe.name}-twin",
        title=f"{recipe.title}, in another order",
        twin_of=recipe.name,
    )


def small_dense(dense: Recipe, density: float) -> Recipe:
    """A narrower dense network with about as many weights."""
    name = dense.name.replace("dense", f"small_dense-{density}")
    title = f"small dense network (density {density})"
    return varied(dense, name, title, method="small_dense", density=density)
