"""The one 6 x 6 layer that runs through the whole book."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class ExampleLayer:
    """A layer small enough to check by hand, at one moment of its training.

    All tensors have the shape (outputs, inputs).
    """

    weight: Tensor  # zero off the mask
    mask: Tensor  # bool
    gradient: Tensor  # dense: positions off the mask have one too
    momentum: Tensor  # dense running mean of gradients, as SNFS keeps
    random: Tensor  # uniform in (0, 1): the numbers SET happens to draw


def six_by_six() -> ExampleLayer:
    """The book's layer: 6 outputs, 6 inputs, 12 of 36 weights active.

    Fixed numbers with two decimals and no ties. They are chosen, not trained, so that every idea
    shows: the largest |gradient| of all sits on a weight that is kept, the second is negative, the
    third belongs to one of the smallest weights, which RigL therefore drops and grows again; SET,
    SNFS and RigL choose differently.
    """
    weight = torch.tensor(
        [
            [0.00, 0.82, 0.00, 0.00, -0.12, 0.00],
            [-0.66, 0.00, 0.00, 0.41, 0.00, 0.00],
            [0.00, 0.00, 0.91, 0.00, 0.00, 0.08],
            [0.17, -0.33, 0.00, 0.00, 0.74, 0.00],
            [0.00, 0.00, 0.00, -0.49, 0.00, 0.00],
            [0.00, 0.00, -0.05, 0.00, 0.00, 0.58],
        ]
    )
    gradient = torch.tensor(
        [
            [0.07, -0.04, -0.93, -0.11, -0.46, 0.45],
            [0.97, -0.40, 0.15, -0.31, 0.01, 0.20],
            [0.30, -0.39, -0.17, 0.50, 0.54, 0.86],
            [0.02, -0.23, -0.08, -0.48, -0.13, 0.16],
            [0.79, 0.12, 0.25, -0.10, 0.05, 0.47],
            [-0.41, -0.34, 0.26, -0.72, 0.53, 0.38],
        ]
    )
    momentum = torch.tensor(
        [
            [-0.28, -0.06, 0.16, -0.57, 0.04, 0.37],
            [-0.10, 0.11, 0.22, 0.09, -0.02, -0.69],
            [-0.17, 0.20, 0.36, 0.27, 0.44, -0.25],
            [0.29, -0.26, 0.63, -0.41, -0.81, -0.19],
            [0.76, 0.35, -0.21, 0.08, -0.12, 0.39],
            [-0.14, -0.07, -0.38, 0.43, 0.40, -0.33],
        ]
    )
    random = torch.tensor(
        [
            [0.89, 0.43, 0.27, 0.51, 0.55, 0.71],
            [0.05, 0.54, 0.25, 0.33, 0.20, 0.11],
            [0.02, 0.03, 0.95, 0.92, 0.69, 0.24],
            [0.47, 0.41, 0.17, 0.94, 0.49, 0.74],
            [0.81, 0.37, 0.29, 0.13, 0.08, 0.96],
            [0.36, 0.62, 0.45, 0.18, 0.07, 0.57],
        ]
    )
    return ExampleLayer(weight, weight != 0, gradient, momentum, random)


def places(mask: Tensor) -> str:
    """Where a mask is on, in words: "(0, 2) (2, 5)"."""
    return " ".join(f"({', '.join(map(str, place))})" for place in mask.nonzero().tolist())
