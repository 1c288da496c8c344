"""The repellent loss: train as usual, but not back to where you were.

Pruning by magnitude works round by round: train, prune, rewind, train again. Maene et al.'s reading
is that it works because each round learns the solution of the round before again. This loss is
their experiment on it. It charges a network for pointing in the direction of an earlier solution,
so that relearning is forbidden; with the other sign it pays for it.

    J_r(theta) = strength / |Theta| * sum over theta_r in Theta of cos^2(theta * m, theta_r * m)

theta are the weights of all masked layers as one vector, m is the current mask, Theta holds the
solutions of all earlier rounds. The square makes -theta_r as forbidden as theta_r. The cosine knows
no length, so the gradient is at right angles to theta: it turns the weights and does not shrink
them.

Theta must hold *every* earlier solution. If only the last one repels, the network is free to return
to the one before it, and the rounds go back and forth between two solutions.

Source: Maene, Li & Moens (2021), "Towards Understanding Iterative Magnitude Pruning". What happens
without earlier solutions or overlap is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .angle import Masks, Weights, as_vector
from .layers import masked_layers


def mean_squared_cosine(weights: Weights, masks: Masks, earlier: Sequence[Weights]) -> Tensor:
    """Mean over earlier solutions of cos^2 between them and the weights, on the masks.

    Args:
        weights: by layer name.
        masks: by layer name, the weights' shapes.
        earlier: full weights by layer name, on the weights' device. One that is 0 everywhere on the
            masks has no direction and counts as a cosine of 0.

    Returns:
        One number in [0, 1]; 0 if there is no earlier solution. Differentiable in `weights` alone,
        with a gradient of 0 off the masks.
    """
    current = as_vector(weights, masks)  # (N,)
    if not earlier:
        return current.new_zeros(())
    solutions = [as_vector(solution, masks).detach() for solution in earlier]
    cosines = [F.cosine_similarity(current, solution, dim=0) for solution in solutions]
    return torch.stack(cosines).square().mean()


def repellent_loss(model: nn.Module, earlier: Sequence[Weights], strength: float) -> Tensor:
    """J_r, to be added to the task's loss before `backward()`.

        loss = F.cross_entropy(model(inputs), labels) + repellent_loss(model, earlier, 2.0)

    Args:
        model: its masked layers' weights and masks are looked at.
        earlier: the solution of each earlier round, as `angle.masked_weights` copies it; none in
            the first round, where the loss is 0.
        strength: lambda_r. Above 0 it repels: the loss is highest in an old direction. Below 0 it
            attracts. The paper repels with 2 and attracts with -1.

    Raises:
        ValueError: if the model has no masked layer, an earlier solution lacks one of them or has
            another shape, or the strength is not finite.
    """
    if not isfinite(strength):
        raise ValueError(f"strength is {strength}; it must be finite")
    layers = masked_layers(model)
    if not layers:
        raise ValueError("the model has no masked layer; call sparsify(model, ...) first")
    weights = {name: layer.weight for name, layer in layers.items()}
    masks = {name: layer.mask for name, layer in layers.items()}
    return strength * mean_squared_cosine(weights, masks, earlier)
