"""Rewinding to step k: the ticket's first k steps are the dense network's."""

import torch
from torch import Tensor, nn

from rigl_edu.sparse import Rule


class LateMasks(Rule):
    """Train without gaps for k steps, then put on a ticket's masks and go on with a new optimizer.

    Seed, images and crops are those of the dense run that the ticket was found with. So the
    weights after k steps are that run's, and nothing has to be stored of it. `rigl_edu.sparse.imp`
    does the same when it is called after k steps.

    Args:
        model: masked by `sparsify(model, 1)`.
        optimizer: see `Rule`; its state is dropped after step k.
        masks: of the ticket, by layer.
        at: k, at least 1.
    """

    def __init__(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, masks: dict[str, Tensor], at: int
    ) -> None:
        super().__init__(model, optimizer, every=1, until=0)
        self.masks, self.at = masks, at

    def step(self) -> None:
        """Take an optimizer step; after the k-th one put on the masks."""
        super().step()
        if self.t == self.at:
            self.optimizer.state.clear()
            for name, layer in self.layers.items():
                layer.change_mask(self.masks[name].bool(), self.masks[name].bool(), self.optimizer)
