"""SNFS as the reproduction ran it: the optimizer's own momentum buffer, kept dense.

SNFS's paper defines its momentum as a moving average of gradients, a quantity of its own
(`methods.SNFS`). The public codes take what SGD keeps anyway. Three things follow, and they are
all there is to this file: the buffer contains weight decay; at a rewiring it does not contain the
current batch yet, since the optimizer takes no step there; and a grown weight starts with the
momentum that its place has gathered, not with 0.

Sources: Sundar & Dwaraknath (2021), whose discussion says that a sparse or a dense buffer changes
SNFS strongly; SGD's recurrence as torch defines it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .compressed_layers import sparse_layers
from .criteria import Layer, magnitude, mean_momentum, momentum
from .moving_average import DenseMomentum
from .rewire import NewMask
from .rules import UpdateRule


class DenseBuffer(DenseMomentum):
    """B <- decay * B + gradient + weight_decay * w, with a gradient for every position.

    Arguments as for `SNFSReproduced`. On the mask it equals the optimizer's buffer bit by bit; off
    the mask it goes on where the optimizer's is 0.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        if not isinstance(optimizer, torch.optim.SGD):
            raise ValueError(f"SNFSReproduced needs SGD, not {type(optimizer).__name__}")
        self.optimizer = optimizer
        self.layers = sparse_layers(model)
        self.group_of: dict[str, int] = {}
        for i, group in enumerate(optimizer.param_groups):
            members = {id(p) for p in group["params"]}
            mine = [n for n, layer in self.layers.items() if id(layer.parameter) in members]
            self.group_of |= dict.fromkeys(mine, i)
            if mine and (group["dampening"] or group["maximize"]):
                raise ValueError("SNFSReproduced needs SGD without dampening and maximize")
        decays = {optimizer.param_groups[i]["momentum"] for i in self.group_of.values()}
        if len(decays) > 1 or 0 in decays:
            raise ValueError(
                f"momentum of the masked layers is {sorted(decays)}; it must be one number above 0"
            )
        super().__init__(decays.pop() if decays else 0.9)

    def blend(self, name: str, old: Tensor, gradient: Tensor, out: Tensor) -> None:
        """SGD's recurrence, operation by operation, so that not a bit differs."""
        weight_decay = self.optimizer.param_groups[self.group_of[name]]["weight_decay"]
        gradient = gradient.add(self.layers[name].dense_weight(), alpha=weight_decay)
        torch.mul(old, self.decay, out=out).add_(gradient)


class SNFSReproduced(UpdateRule):
    """SNFS with SGD's dense momentum buffer, as Sundar & Dwaraknath (2021) ran it.

    Arguments as for `SNFS`; they used `fraction=0.3`, `every=100`, `regrown="reset"`. Left out of
    their code is what exact totals make needless (a feedback on the number of weights, room kept
    free in each layer) and a lower drop rate for nearly dense layers, which their paper does not
    mention. Clip no gradients with it: the buffer would see them unclipped.

    Raises:
        ValueError: also for an optimizer other than SGD with momentum and without dampening.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, **schedule: Any) -> None:
        super().__init__(
            model,
            optimizer,
            drop=magnitude,
            grow=momentum,
            redistribute=mean_momentum,
            dense_momentum=DenseBuffer(model, optimizer),
            **schedule,
        )

    def _needs_momentum(self, t: int) -> bool:
        return super()._needs_momentum(t) and not self.rewires(t)

    def _carry_out(self, view: Layer, new: NewMask) -> None:
        super()._carry_out(view, new)
        layer = self.layers[view.name]
        buffer = self.optimizer.state[layer.parameter].get("momentum_buffer")
        if buffer is not None and view.momentum is not None:
            grown, gathered = layer.pick(new.after & ~new.kept), layer.pick(view.momentum)
            buffer.copy_(torch.where(grown, gathered, buffer))
