"""Masked layers: an ordinary layer plus a mask, and one invariant.

    Weights, gradients at the optimizer's step, and optimizer state are zero off the mask.

Everything else follows from it. The forward pass needs no product: if w is zero off the mask m,
then w = m * w, and ``F.linear(x, w)`` is already the sparse layer's output. Autograd's gradient
of w is then the *dense* gradient, which is what RigL ranks new connections by. And an optimizer
that sees a zero weight, a zero gradient and a zero state leaves the zero alone: weight decay,
momentum, Nesterov and Adam need no special case.

What keeps the invariant is one hook a layer: when autograd has accumulated the weight's gradient,
the hook multiplies it by the mask. An update rule that wants to see the dense gradient says so
(``keep_dense_gradient``) before the backward pass, and masks it afterwards itself.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor, nn

from .optimizer_state import clear


class Masked(nn.Module):
    """What `MaskedLinear` and `MaskedConv2d` share: the mask and the hook that keeps it."""

    weight: Tensor
    mask: Tensor  # same shape as weight, 1.0 where a connection exists and 0.0 elsewhere
    keep_dense_gradient: bool  # set by an update rule for the backward passes that follow
    gradient_is_new: bool  # there was a backward pass since a rule last looked

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.start_masking()

    def start_masking(self) -> None:
        """Add an all-ones mask and the hook. `sparsify` calls this on the layers it converts."""
        # A float mask, not a bool one: the product below is the only work a mask adds to a
        # training step, and float * float is the faster one on a CPU.
        self.register_buffer("mask", torch.ones_like(self.weight, requires_grad=False))
        self.keep_dense_gradient = self.gradient_is_new = False
        self._hook_gradient()

    def _hook_gradient(self) -> None:
        # Weak, because weight -> hook -> layer -> weight is a cycle that Python cannot see through.
        reference = weakref.ref(self)

        def mask_gradient(weight: Tensor) -> None:
            layer = reference()
            if layer is None or weight.grad is None:
                return
            layer.gradient_is_new = True
            if not layer.keep_dense_gradient:
                weight.grad.mul_(layer.mask)

        # torch takes a hook only while the weight wants a gradient; a frozen one may want it later.
        wanted = self.weight.requires_grad
        self.weight.requires_grad_(True).register_post_accumulate_grad_hook(mask_gradient)
        self.weight.requires_grad_(wanted)

    @torch.no_grad()
    def set_mask(self, mask: Tensor) -> None:
        """Replace the mask and clear the weights off it.

        Args:
            mask: shape of the weight, bool or float of zeros and ones.

        Raises:
            ValueError: if the shape differs from the weight's.
        """
        if mask.shape != self.weight.shape:
            raise ValueError(
                f"mask has shape {tuple(mask.shape)}, the weight has {tuple(self.weight.shape)}"
            )
        self.mask.copy_(mask)  # in place: a compiled graph and DDP keep looking at this buffer
        self.weight.mul_(self.mask)

    @property
    def active(self) -> int:
        """Number of connections that exist."""
        return int(self.mask.count_nonzero())

    # --- what a rule needs; `Compressed` has the same ------------------------------------------

    @property
    def parameter(self) -> nn.Parameter:
        """What the optimizer owns."""
        return self.weight  # type: ignore[return-value]

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Shape of the weight and of the mask."""
        return tuple(self.weight.shape)

    def dense_weight(self) -> Tensor:
        """The weight, zero off the mask."""
        return self.weight.detach()

    def dense_gradient(self) -> Tensor | None:
        """The dense gradient if a rule has asked for it, else zero off the mask; None without."""
        return self.weight.grad

    def mask_gradient(self) -> None:
        """Make the gradient what the optimizer should see: zero off the mask."""
        if self.weight.grad is not None:
            self.weight.grad.mul_(self.mask)

    def spread(self, kept: Tensor) -> Tensor:
        """From the parameter's shape, as the optimizer keeps it, to the weight's: the same here."""
        return kept

    def pick(self, full: Tensor) -> Tensor:
        """From the weight's shape to the parameter's: the same here."""
        return full

    def change_mask(
        self, after: Tensor, untouched: Tensor, optimizer: torch.optim.Optimizer | None
    ) -> None:
        """Replace the mask; weights and optimizer state start from 0 wherever not `untouched`.

        Args:
            after: the new mask, bool, of the weight's shape.
            untouched: where weight and state stay as they are.
            optimizer: whose state is cleared, if there is one.
        """
        self.set_mask(after)
        clear(self.weight, optimizer, ~untouched)

    # A copied or unpickled layer has a new weight, hooks do not travel with tensors, and the rule
    # that may have asked for dense gradients holds the original layer, not the copy.
    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.keep_dense_gradient = self.gradient_is_new = False
        self._hook_gradient()

    # A checkpoint of a dense network has weights everywhere, and `assign=True` replaces the
    # weight itself: loading keeps the invariant in both cases.
    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        weight = self.weight
        super()._load_from_state_dict(*args, **kwargs)
        if self.weight is not weight:
            self._hook_gradient()
        with torch.no_grad():
            self.weight.mul_(self.mask)

    def extra_repr(self) -> str:
        """The ordinary layer's description, then how many of its weights exist."""
        return f"{super().extra_repr()}, active={self.active}/{self.mask.numel()}"


class MaskedLinear(Masked, nn.Linear):
    """`torch.nn.Linear` with a mask of shape (out_features, in_features).

    Its forward is `torch.nn.Linear`'s own: the weights off the mask are zero.
    """


class MaskedConv2d(Masked, nn.Conv2d):
    """`torch.nn.Conv2d` with a mask of shape (out_channels, in_channels / groups, k_h, k_w).

    Its forward is `torch.nn.Conv2d`'s own: the weights off the mask are zero.
    """


def masked_layers(model: nn.Module) -> dict[str, MaskedLinear | MaskedConv2d]:
    """All masked layers of a model by name, in the order of `named_modules`."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, (MaskedLinear, MaskedConv2d))
    }
