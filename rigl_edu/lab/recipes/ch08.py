"""Chapter 8, starting well: does a start that knows the mask help, without batch norm and with it?

Evci et al. 2022 have no CIFAR experiment, so the protocol is ours: VGG-11 and ResNet-20, each with
and without batch norm, ERK masks at density 0.05, fixed or rewired by RigL, from the builder's
weights and from those drawn for the inputs that are left. One learning rate for all, low enough for
the networks without batch norm.
"""

from .recipe import Recipe, steps_per_epoch
from .studies import IMAGES, study_recipe, varied

NETWORKS = ("vgg11", "vgg11_bn", "resnet20_no_bn", "resnet20")
DENSITY = 0.05
METHODS = {"static": "static masks", "rigl": "RigL"}
STARTS = {"dense": "", "per_neuron": ", weights drawn for the mask"}


def of_network(model: str) -> list[Recipe]:
    """The dense network and the four sparse ones."""
    name = f"start-{model}-dense"
    dense = study_recipe(8, name, "dense", model, epochs=160, batch=128, lr=0.01, weight_decay=5e-4)
    steps = dense.epochs * steps_per_epoch(dense, IMAGES)
    sparse = [
        varied(
            dense,
            f"start-{model}-{method}-{DENSITY}" + ("" if start == "dense" else f"-{start}"),
            f"{words} (erk, density {DENSITY}){STARTS[start]}",
            method=method,
            density=DENSITY,
            until=3 * steps // 4 if method == "rigl" else 0,
            initialisation=start,
        )
        for method, words in METHODS.items()
        for start in STARTS
    ]
    return [dense, *sparse]


RECIPES = [recipe for model in NETWORKS for recipe in of_network(model)]
