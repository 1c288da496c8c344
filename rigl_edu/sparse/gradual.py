"""Gradual pruning: train dense, and take weights away along a curve while training goes on.

To prune, or not to prune (Zhu & Gupta 2018, eq. 1): fast at first, when there are many weights to
spare, slowly at the end. With s the sparsity, 1 - density,

    s(t) = s_final (1 - (1 - (t - t_start) / (t_end - t_start))^3)
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .criteria import Layer, magnitude
from .distributions import check_density
from .pruning import Keep, keep_globally
from .rewire import NewMask
from .rule import Rule


def cubic_density(t: int, start: int, until: int, final: float) -> float:
    """Density at step t: 1 up to `start`, `final` from `until` on.

    d(t) = d_final + (1 - d_final) (1 - (t - start) / (until - start))^3
    """
    progress = min(max((t - start) / (until - start), 0.0), 1.0)
    return final + (1 - final) * (1 - progress) ** 3


class GradualPruning(Rule):
    """Magnitude pruning along the cubic schedule. Weights that are gone stay gone.

    Args:
        model: a model masked by `sparsify(model, density=1)`; layers it leaves dense stay dense.
        optimizer: its optimizer.
        density: share of the masked layers' weights that is left from `until` on.
        keep: `keep_globally`, as the reproduction ranked (its section 2), or `keep_per_layer`, as
            RigL's code did.
        every: steps between prunings, each in place of an optimizer step.
        start: step before which nothing is pruned; the reproduction's is 700.
        until: step of the last pruning, which reaches `density` exactly, multiple of `every` or
            not; the reproduction's is 65918 of 88000.

    Raises:
        ValueError: for an impossible density or schedule, a density that `keep` cannot reach from
            the present masks, and as `Rule`.
    """

    needs_gradient = False

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        density: float,
        *,
        keep: Keep = keep_globally,
        every: int = 100,
        start: int = 0,
        until: int,
    ) -> None:
        check_density(density)
        if not 0 <= start < until:
            raise ValueError(f"start={start} must be at least 0 and before until={until}")
        self.density, self.keep, self.start = density, keep, start
        super().__init__(model, optimizer, every=every, until=until)
        masks = {name: layer.mask for name, layer in self.layers.items()}
        scores = {name: mask.float() for name, mask in masks.items()}
        # Try the end now: what cannot be kept then would be an error after all the work.
        keep(scores, masks, min(density, _present(masks)))

    def rewires(self, t: int) -> bool:
        """Each `every`-th step from `start` on, and step `until`."""
        return t == self.until or (t % self.every == 0 and self.start <= t < self.until)

    def decide(self, layers: list[Layer]) -> list[NewMask]:
        """Keep the largest weights that this step's density leaves."""
        masks = {layer.name: layer.mask for layer in layers}
        scores = {layer.name: magnitude(layer) for layer in layers}
        # A model that starts sparser than the schedule waits for it.
        now = cubic_density(self.t + 1, self.start, self.until, self.density)
        density = min(_present(masks), now)
        kept = self.keep(scores, masks, density)
        return [NewMask(kept[layer.name], kept[layer.name]) for layer in layers]


def _present(masks: Mapping[str, Tensor]) -> float:
    """The density of all masks together."""
    active = sum(int(mask.count_nonzero()) for mask in masks.values())
    return active / sum(mask.numel() for mask in masks.values())
