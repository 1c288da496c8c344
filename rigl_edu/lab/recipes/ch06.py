"""Chapter 6, greedy forward selection on VGG-11 and ResNet-20.

A network is trained, made thin layer by layer by local or global imitation, and fine-tuned for a
quarter of its epochs at a tenth of its learning rate. Beside it stand units chosen at random and a
small dense network of as many weights, trained from the start. In ResNet-20 only the channels
inside a block can go, since the others are added to a shortcut. Ye et al. 2020 have VGG-11 on
CIFAR-10 too, but their recipe is not in our sources: this one is ours.
"""

from dataclasses import replace

from .ch03 import RESNET20
from .recipe import THIN, Recipe
from .studies import drops_at, small_dense, study_recipe, study_title

HOW = {"greedy": "local imitation", "greedy_global": "global imitation", "random_units": "chance"}
FINE_TUNING = 40  # epochs

VGG11 = study_recipe(
    6, "vgg11_bn-dense", "dense", "vgg11_bn", epochs=160, batch=128, lr=0.1, weight_decay=5e-4
)


def thinned(dense: Recipe, method: str, density: float) -> Recipe:
    """The trained network with fewer units, fine-tuned."""
    what = f"units chosen by {HOW[method]} (density {density})"
    return replace(
        dense,
        name=dense.name.replace("dense", f"{method}-{density}"),
        title=study_title(dense.model, what, f"{FINE_TUNING} more"),
        chapter=6,
        method=method,
        density=density,
        ticket_of=dense.name,
        epochs=FINE_TUNING,
        lr=dense.lr / 10,
        drops=drops_at(FINE_TUNING, dense.batch, (1 / 2, 3 / 4)),
    )


def comparison(dense: Recipe, density: float) -> list[Recipe]:
    """One network at one density, chosen in three ways, and the small dense one."""
    small = replace(small_dense(dense, density), chapter=6)
    return [*[thinned(dense, method, density) for method in THIN], small]


RECIPES = [
    VGG11,
    *comparison(VGG11, 0.25),
    *comparison(VGG11, 0.1),
    *comparison(RESNET20, 0.5),
    *comparison(RESNET20, 0.25),
]
