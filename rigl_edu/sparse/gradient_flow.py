"""Gradient flow: how much gradient reaches the weights that exist.

A sparse network with an initialisation made for a dense one passes hardly any signal on, so its
gradient is tiny and training stands still at first. The L2 norm of the gradient shows it in one
number. It also shows what a rewiring is worth: growing where the dense gradient is large should
raise the norm over the weights that exist.

The gradient is *masked* (a position without a connection does not count) and *unregularised* (of
the loss alone; weight decay is the optimizer's). It is taken over all parameters: the active
weights of masked layers, and everything that has no mask, such as biases, norms and dense layers.
In the mode the model is in: batch norm's gradient in training mode is the one that training
follows. Always on the same held-out batch, so that two measurements differ by the network alone.

Source: Evci et al. (2022), "Gradient Flow in Sparse Neural Networks and How Lottery Tickets Win".
Their public code also takes all parameters and training mode, and 1000 training images set aside.
That measuring leaves no trace is ours.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from math import hypot
from typing import Protocol

import torch
from torch import Tensor, nn

from .layers import masked_layers


def gradient_norm(
    model: nn.Module, inputs: Tensor, targets: Tensor, loss: Callable[[Tensor, Tensor], Tensor]
) -> float:
    """L2 norm of the masked gradient: sqrt(sum of (m dL/dw)^2 over all parameters w).

    The work is done on a copy of the model, and the random numbers it draws (dropout) are put back
    on the CPU and on a CUDA device. So it may be called anywhere in a training loop: gradients that
    wait in `.grad`, what a rule asked of its layers, and batch norm's statistics stay as they are.

    Args:
        model: masked or dense, not wrapped in DDP. Parameters that are frozen do not count.
        inputs: the held-out batch, (B, ...).
        targets: what `loss` compares the outputs with, (B, ...).
        loss: (outputs, targets) -> one number, the mean over the batch; without regularisation.

    Raises:
        ValueError: if every parameter is frozen, or the loss is not one number.
    """
    trial = copy.deepcopy(model)
    parameters = [p for p in trial.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError(f"{type(model).__name__} has no parameter that requires a gradient")
    devices = [inputs.device] if inputs.is_cuda else []
    with torch.random.fork_rng(devices), torch.enable_grad():
        value = loss(trial(inputs), targets)
        if value.numel() != 1:
            raise ValueError(f"the loss has shape {tuple(value.shape)}; it must be one number")
        # Not backward(): the inputs or the loss may have parameters of their own to collect in.
        gradients = torch.autograd.grad(value, parameters, allow_unused=True)
    masks: dict[Tensor, Tensor] = {m.weight: m.mask for m in masked_layers(trial).values()}
    norms = []
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is not None:  # None: the loss does not depend on it
            # Autograd's gradient of a masked weight is the dense one.
            masked = gradient * masks[parameter] if parameter in masks else gradient
            norms.append(float(masked.norm()))
    return hypot(*norms)


class Steps(Protocol):
    """Anything with a `step`: an update rule, or a plain optimizer."""

    def step(self) -> object:
        """Take a step."""


def norms_across_step(rule: Steps, measure: Callable[[], float]) -> tuple[float, float]:
    """Take `rule.step()` and measure right before and right after it: (before, after).

    It stands where `rule.step()` stands. At a step that rewires (`schedule.rewires_at` says which)
    no weight is trained, so after - before is what the new masks did, Evci et al.'s change of the
    gradient norm across a mask update. At any other step it is what one optimizer step did.

        if rewires_at(rule.t + 1, rule.every, rule.until):
            before, after = norms_across_step(
                rule, lambda: gradient_norm(model, inputs, targets, F.cross_entropy)
            )
        else:
            rule.step()

    Dropout draws the same units in both measurements: each starts from the same random state.

    Args:
        rule: its `step` is called once.
        measure: called without arguments, twice; with `gradient_norm` it leaves no trace.
    """
    before = measure()
    rule.step()
    return before, measure()
