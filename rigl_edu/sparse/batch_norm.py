"""Batch norm's running statistics belong to the weights they were measured with.

Between two trained networks, or after rewinding and averaging, the stored mean and variance fit
nobody. Measuring them anew on some data, weights unchanged, makes such a network fair to judge.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@torch.no_grad()
def reestimate_batch_norm(model: nn.Module, batches: Sequence[Tensor]) -> None:
    """Replace batch norm's running mean and variance by averages over these batches, in place.

    Each statistic becomes the plain mean, over the batches, of what batch norm computes in training
    mode; everything else, dropout for one, is in evaluation mode meanwhile. Modes and momenta are
    put back. A model without batch norm stays as it is.

    Args:
        model: changed in place.
        batches: inputs (B, ...), all of one size, since each batch counts the same. A list rather
            than a generator, which would be empty at the second point of a path.
    """
    if len(batches) == 0:
        raise ValueError("batches is empty; batch norm needs at least one batch of inputs")
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    if not norms:
        return
    modes = {module: module.training for module in model.modules()}
    momenta = {norm: norm.momentum for norm in norms}
    try:
        model.eval()
        for norm in norms:
            norm.train()
            norm.reset_running_stats()
            norm.momentum = None  # torch's word for the plain mean of all batches since the reset
        for inputs in batches:
            model(inputs)
    finally:
        for norm, momentum in momenta.items():
            norm.momentum = momentum
        for module, training in modes.items():
            module.training = training
