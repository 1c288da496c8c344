"""The methods by name: each is one line, its choice of criteria.

Arguments as for `UpdateRule`: the masked model, its optimizer, and `**schedule` for `every`,
`until`, `fraction`, `regrown` and `seed`.
"""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.optim import Optimizer

from .criteria import (
    gradient,
    magnitude,
    mean_gradient,
    mean_momentum,
    mean_optimizer_momentum,
    momentum,
    random,
)
from .rule_checks import check_momentum
from .rules import UpdateRule


class Static(UpdateRule):
    """Fixed random masks: the baseline that never rewires."""

    def __init__(self, model: nn.Module, optimizer: Optimizer) -> None:
        super().__init__(model, optimizer, drop=None, grow=None)


class SET(UpdateRule):
    """Sparse evolutionary training (Mocanu et al. 2018): drop small weights, grow at random.

    As the reproduction runs it: by |w| and every Delta T steps. Mocanu et al. drop the weakest
    positive and negative weights separately and rewire once an epoch.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, **schedule: Any) -> None:
        super().__init__(model, optimizer, drop=magnitude, grow=random, **schedule)


class SNFS(UpdateRule):
    """Sparse networks from scratch (Dettmers & Zettlemoyer 2019): grow where momentum is large.

    Weights also move between layers: to those whose active weights have the larger mean momentum.
    The momentum is a moving average of dense gradients with decay 0.9, kept by the rule beside
    the optimizer's own, which stays zero off the mask. Its scale cancels in both uses.

    As its own paper defines it; they rewire half of the weights once an epoch (`fraction=0.5`),
    after an optimizer step and not in its place. `SNFSReproduced` is what the reproduction ran.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, **schedule: Any) -> None:
        super().__init__(
            model,
            optimizer,
            drop=magnitude,
            grow=momentum,
            redistribute=mean_momentum,
            dense_momentum=0.9,
            **schedule,
        )


class RigL(UpdateRule):
    """Rigging the lottery (Evci et al. 2020): grow where the dense gradient is largest.

    The gradient is that of the current batch. It is needed, and made, only when rewiring.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, **schedule: Any) -> None:
        super().__init__(model, optimizer, drop=magnitude, grow=gradient, **schedule)


class RigLSG(UpdateRule):
    """RigL that moves weights to the layers with the larger mean |gradient| of active weights.

    Sundar & Dwaraknath (2021), section 6.2, RigL-SG. From uniform masks weights drift to the small
    layers, as ERK would have it and further, and the FLOPs rise.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, **schedule: Any) -> None:
        super().__init__(
            model,
            optimizer,
            drop=magnitude,
            grow=gradient,
            redistribute=mean_gradient,
            **schedule,
        )


class RigLSM(UpdateRule):
    """RigL that moves weights to the layers with the larger mean |optimizer momentum|.

    Sundar & Dwaraknath (2021), section 6.2, RigL-SM. A mean over many batches where RigL-SG
    has one batch. Needs SGD with momentum, or Adam.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, **schedule: Any) -> None:
        check_momentum(optimizer)
        super().__init__(
            model,
            optimizer,
            drop=magnitude,
            grow=gradient,
            redistribute=mean_optimizer_momentum,
            **schedule,
        )
