"""The training behind the pages' live cells: real digits, a small network, about a second a run.

Chapter 1 shows this file; the other chapters use it. The full CIFAR runs have a loop of their own,
`rigl_edu.lab.train`, with checkpoints, records and everything else that hours need.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..lab.data import digits
from ..sparse import Rule


class Images(NamedTuple):
    """Handwritten digits as rows of 64 brightnesses from 0 to 1, and their classes from 0 to 9."""

    train_x: Tensor  # (1437, 64)
    train_y: Tensor  # (1437,)
    test_x: Tensor  # (360, 64)
    test_y: Tensor  # (360,)


def flat_digits() -> Images:
    """scikit-learn's 1 797 digits of 8 x 8 pixels, bundled with it, so no network is needed."""
    data = digits()
    return Images(
        data.train_images.flatten(1) / 255,
        data.train_labels,
        data.test_images.flatten(1) / 255,
        data.test_labels,
    )


def sgd(model: nn.Module, lr: float = 0.1) -> torch.optim.SGD:
    """The paper's optimizer: Nesterov momentum 0.9, weight decay 5e-4."""
    return torch.optim.SGD(
        model.parameters(), lr=lr, momentum=0.9, nesterov=True, weight_decay=5e-4
    )


def train(
    model: nn.Module,
    images: Images,
    optimizer: torch.optim.Optimizer,
    rule: Rule | None = None,
    steps: int = 1300,
    batch: int = 64,
    seed: int = 0,
    each_step: Callable[[int, Tensor], object] | None = None,
) -> list[float]:
    """Train; halfway the learning rate drops to a fifth.

    Args:
        model: takes rows of 64 numbers.
        images: of `flat_digits`.
        optimizer: of the model's parameters.
        rule: whose `step` stands where the optimizer's stood; None for the optimizer alone.
        steps: batches to take.
        batch: images in each.
        seed: of the order of the images.
        each_step: called with the step's number, from 0, and its loss, after the step.

    Returns:
        The loss of each step.
    """
    generator = torch.Generator().manual_seed(seed)
    lr = [group["lr"] for group in optimizer.param_groups]
    losses = []
    for t in range(steps):
        if t == steps // 2:
            for group, at_first in zip(optimizer.param_groups, lr, strict=True):
                group["lr"] = at_first / 5
        rows = torch.randint(len(images.train_x), (batch,), generator=generator)
        loss = F.cross_entropy(model(images.train_x[rows]), images.train_y[rows])
        optimizer.zero_grad()
        loss.backward()
        (rule or optimizer).step()
        losses.append(loss.item())
        if each_step is not None:
            each_step(t, loss)
    return losses


@torch.no_grad()
def accuracy(model: nn.Module, images: Images) -> float:
    """Test images that the model names right, in percent."""
    return 100 * (model(images.test_x).argmax(1) == images.test_y).float().mean().item()
