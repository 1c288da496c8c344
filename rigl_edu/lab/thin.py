"""A trained network with fewer units in each layer, the greedy choice of chapter 6 on CIFAR."""

import math
from functools import partial

import torch
from torch import nn

from rigl_edu.sparse import (
    Selection,
    Units,
    choose_globally,
    choose_locally,
    imitate_layer_by_layer,
)
from rigl_edu.sparse.imitation import Choice
from rigl_edu.sparse.maskable import linear_and_conv

from .augment import normalise, stream
from .data import Dataset
from .models import BasicBlock
from .recipes import Recipe

IMAGES, BATCH = 1000, 250  # training images to imitate on, not augmented
TOLERANCE = 0.01  # of global imitation: a step that gains less is not worth passes of the network
SHARES = 1000  # candidates for the share of units that stays


def make_thin(model: nn.Module, recipe: Recipe, seed: int, data: Dataset) -> None:
    """Choose units of a trained network layer by layer and remove the others, in place.

    Args:
        model: a trained VGG or ResNet-20, dense.
        recipe: its method chooses, its density says how many weights stay.
        seed: of a random choice.
        data: on the model's device; a quarter of the training images at most is looked at.
    """
    layers = units_of(model)
    images = data.train_images[: min(IMAGES, len(data.train_images) // 4)].split(BATCH)
    batches = [normalise(part, data.mean, data.std) for part in images]
    keep = widths(model, layers, recipe.density)
    imitate_layer_by_layer(model, layers, batches, keep, choice(recipe.method, seed))


def choice(method: str, seed: int) -> Choice:
    """How the method picks the units of one layer."""
    generator = stream(seed, "units", 0)

    def by_chance(_model: nn.Module, units: Units, _batches: object, keep: int) -> Selection:
        coefficients = torch.zeros(units.n, dtype=torch.float64)
        coefficients[torch.randperm(units.n, generator=generator)[:keep]] = 1 / keep
        return Selection(coefficients, keep, math.nan)

    choices: dict[str, Choice] = {
        "greedy": choose_locally,
        "greedy_global": partial(choose_globally, tolerance=TOLERANCE),
        "random_units": by_chance,
    }
    return choices[method]


def units_of(model: nn.Module) -> list[Units]:
    """The layers whose units can go: all but the last of a chain, or one inside each block.

    Raises:
        ValueError: for another kind of network.
    """
    if isinstance(model, nn.Sequential):
        layers = list(linear_and_conv(model).values())
        norms = dict(zip(model, list(model)[1:], strict=False))  # by the module before it
        return [
            Units(producer, norm_or_none(norms[producer]), consumer)
            for producer, consumer in zip(layers, layers[1:], strict=False)
        ]
    blocks = [module for module in model.modules() if isinstance(module, BasicBlock)]
    if not blocks:
        raise ValueError(f"a {type(model).__name__} cannot be made thin; VGG-11 or ResNet-20 can")
    # A block's output is added to its input: only the channels between its convolutions are free.
    return [Units(block.conv1, norm_or_none(block.norm1), block.conv2) for block in blocks]


def norm_or_none(module: nn.Module) -> nn.BatchNorm2d | None:
    """The module if it is a batch norm."""
    return module if isinstance(module, nn.BatchNorm2d) else None


def widths(model: nn.Module, layers: list[Units], density: float) -> list[int]:
    """How many units to keep: the same share of each layer, as many as the density allows.

    Args:
        model: dense.
        layers: of the model.
        density: share of all weights of convolutions and linear layers that may stay.

    Raises:
        ValueError: the weights that have to stay are more than that already.
    """
    everything = list(linear_and_conv(model).values())
    allowed = density * sum(layer.weight.numel() for layer in everything)

    def kept(share: float) -> list[int]:
        return [max(1, round(share * units.n)) for units in layers]

    def weights(keep: list[int]) -> float:
        factor = dict.fromkeys(everything, 1.0)
        for units, number in zip(layers, keep, strict=True):
            factor[units.producer] *= number / units.n
            factor[units.consumer] *= number / units.n
        return sum(layer.weight.numel() * factor[layer] for layer in everything)

    for step in range(SHARES, 0, -1):
        keep = kept(step / SHARES)
        if weights(keep) <= allowed:
            return keep
    raise ValueError(f"density {density}: at one unit a layer {weights(keep):.0f} weights are left")
