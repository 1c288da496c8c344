"""A moving average of dense gradients, for rules that ask which *absent* weights matter over time.

The optimizer's own momentum cannot serve: it is zero off the mask, so ranking by it would only
ever bring back weights that were dropped a moment ago.
"""

from __future__ import annotations

import torch
from torch import Tensor


class DenseMomentum:
    """M <- decay * M + (1 - decay) * gradient, one tensor of the weight's shape for each layer."""

    def __init__(self, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"dense_momentum is {decay}; it must be at least 0 and below 1")
        self.decay = decay
        self.of: dict[str, Tensor] = {}
        self._is_current = False

    @torch.no_grad()
    def update(self, gradients: dict[str, Tensor]) -> None:
        """Take in this step's dense gradients; a second call in the same step does nothing.

        A gradient that overflowed under AMP is passed over, as the GradScaler passes over its step.
        """
        if self._is_current or not all(torch.isfinite(g).all() for g in gradients.values()):
            return
        for name, gradient in gradients.items():
            if name not in self.of:
                self.of[name] = torch.zeros_like(gradient)
            self.of[name].lerp_(gradient, 1 - self.decay)
        self._is_current = True

    def next_step(self) -> None:
        """The gradients seen so far are used up."""
        self._is_current = False
