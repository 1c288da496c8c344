"""Evaluation mode for a while, for what only looks at a model.

Counting FLOPs and recording responses must leave a model as they found it: each module in its mode,
and the layers called one by one, so that hooks see them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, in which every layer is still called; afterwards all is as it was."""
    modes = {module: module.training for module in model.modules()}
    # In evaluation mode a Transformer layer may hand all its weights to one fused kernel instead.
    fused = torch.backends.mha.get_fastpath_enabled()
    try:
        model.eval()
        torch.backends.mha.set_fastpath_enabled(False)
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        for module, training in modes.items():
            module.training = training
