"""What an optimizer remembers of a weight has to change with its mask.

SGD keeps a momentum buffer, Adam two moments, others more: each is a tensor of the parameter's
shape in `optimizer.state`. That shape is how they are found here, whatever they are called.
"""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def clear(weight: Tensor, optimizer: torch.optim.Optimizer | None, where: Tensor) -> None:
    """Set a weight and its optimizer state to 0 at the given positions (bool, weight's shape).

    Every state tensor of the weight's shape is meant, whatever the optimizer calls it: a momentum
    buffer, Adam's two moments, a master copy. 0 is where SGD, Adam and RMSprop begin; of Rprop's
    step sizes or an Adagrad with an initial value it is not.
    """
    weight.masked_fill_(where, 0)
    for state, key in state_tensors(optimizer, weight):
        state[key].masked_fill_(where, 0)


def state_tensors(
    optimizer: torch.optim.Optimizer | None, parameter: Tensor
) -> list[tuple[dict[str, Tensor], str]]:
    """Where an optimizer keeps a number for every entry of a parameter, as (state, key) pairs."""
    state = {} if optimizer is None else optimizer.state.get(parameter, {})
    return [
        (state, key)
        for key, value in state.items()
        if isinstance(value, Tensor) and value.shape == parameter.shape
    ]
