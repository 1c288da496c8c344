"""Update rules: train the weights that exist, and from time to time change which ones do.

`rule.step()` stands where `optimizer.step()` stood. Each `every`-th call before `until` rewires
the network instead of taking an optimizer step (RigL, algorithm 1): in each layer the k weights
with the lowest drop score go, the k positions with the highest grow score come. The methods are
choices of three criteria (`methods` names them):

               drop        grow        redistribute
    Static     -           -           -
    SET        magnitude   random      -
    SNFS       magnitude   momentum    by mean momentum
    RigL       magnitude   gradient    -
    RigLSG     magnitude   gradient    by mean gradient
    RigLSM     magnitude   gradient    by mean momentum of the optimizer
"""

from __future__ import annotations

import torch
from torch import nn

from .criteria import WITHOUT_GRADIENT, Layer
from .moving_average import DenseMomentum
from .rewire import Criterion, LayerScore, NewMask, decide
from .rule import Rule
from .schedule import cosine_fraction


class UpdateRule(Rule):
    """Any drop-and-grow method: a masked model, its optimizer, and the criteria.

    Args:
        model: a model that `sparsify` has masked (it may be inside DDP).
        optimizer: any that moves each weight by its own gradient and state, as SGD and Adam do.
        drop: scores weights; the lowest active ones go. None: never rewire.
        grow: scores weights; the highest of those not kept come.
        redistribute: scores a layer; what was dropped anywhere is shared among layers in
            proportion. None: each layer keeps its number of weights.
        every: Delta T, steps between rewirings; the first is step `every`.
        until: T_end; from this step on the masks stay.
        fraction: alpha, the share of a layer's weights rewired at first; decays by a cosine.
        dense_momentum: decay of a moving average of dense gradients, kept for criteria that look
            at `layer.momentum`, or another such average. None: not kept.
        regrown: a weight just dropped may be grown again at once, as in both papers' codes.
            "keep" leaves it untouched (RigL's code): it was never gone. "reset" sets it to 0 like
            a new one (the reproduction's code), which wipes the smallest weights of a layer that
            is dense at every rewiring.
        seed: of random criteria; every DDP rank needs the same.

    While a rule is in use, call its `step` and not the optimizer's; to go on without it, `close()`
    it first: the rule may have asked for dense gradients. A grown weight starts at 0 with zero
    optimizer state. `t` counts the steps taken; `last_update` says what the newest rewiring did.

    Raises:
        ValueError: for impossible arguments, a model without masked layers, or an optimizer that
            does not own all masked weights, or a frozen layer if a criterion needs its gradient.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        drop: Criterion | None,
        grow: Criterion | None,
        redistribute: LayerScore | None = None,
        every: int = 100,
        until: int = 0,
        fraction: float = 0.3,
        dense_momentum: float | DenseMomentum | None = None,
        regrown: str = "keep",
        seed: int = 0,
    ) -> None:
        if (drop is None) != (grow is None):
            raise ValueError("give both drop and grow, or neither")
        if drop is not None and (every < 1 or until < 1):
            raise ValueError(f"every={every} and until={until} must both be at least 1")
        if not 0 < fraction < 1:
            raise ValueError(f"fraction is {fraction}; it must be above 0 and below 1")
        if isinstance(dense_momentum, (int, float)):
            dense_momentum = DenseMomentum(dense_momentum)
        self.drop, self.grow, self.redistribute = drop, grow, redistribute
        criteria = {drop, grow, redistribute} - {None}
        self.needs_gradient = not criteria <= WITHOUT_GRADIENT
        self.fraction = fraction
        super().__init__(
            model,
            optimizer,
            every=every,
            until=until,
            momentum=dense_momentum,
            regrown=regrown,
            seed=seed,
        )

    def rewires(self, t: int) -> bool:
        """Each `every`-th step before `until`; never without criteria."""
        return self.drop is not None and super().rewires(t)

    def decide(self, layers: list[Layer]) -> list[NewMask]:
        """Drop by the first criterion, grow by the second, f(t) of each layer's weights."""
        assert self.drop is not None and self.grow is not None
        f = cosine_fraction(self.t + 1, self.until, self.fraction)
        return decide(layers, f, self.drop, self.grow, self.redistribute)
