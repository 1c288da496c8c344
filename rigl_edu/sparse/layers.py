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

What the hook cannot see can break it: a weight drawn anew from outside (follow it by
``set_mask(layer.mask)``), another parameter put in the weight's place, a gradient written to
``.grad`` by hand. A rule masks such a gradient, and its first step refuses weights off the mask.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor, nn

from .optimizer_state import clear
from .rows import Rows


class Masked(nn.Module):
    """What `MaskedLinear` and `MaskedConv2d` share: the mask and the hook that keeps it."""

    weight: Tensor
    mask: Tensor  # same shape as weight, 1.0 where a connection exists and 0.0 elsewhere
    keep_dense_gradient: bool  # set by an update rule for the backward passes that follow
    gradient_is_new: bool  # there was a backward pass since a rule last looked
    gradient_is_masked: bool  # `.grad` is known to be zero off the mask

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.start_masking()

    def start_masking(self) -> None:
        """Add an all-ones mask and the hook. `sparsify` calls this on the layers it converts."""
        # A float mask, not a bool one: the product below is the only work a mask adds to a
        # training step, and float * float is the faster one on a CPU.
        self.register_buffer("mask", torch.ones_like(self.weight, requires_grad=False))
        self.expect_gradient(dense=False)
        self.gradient_is_new = False
        self._hook_gradient()

    def reset_parameters(self) -> None:
        """Draw the weights anew, as PyTorch does, and clear those off the mask."""
        super().reset_parameters()  # type: ignore[misc]
        if "mask" in self._buffers:  # PyTorch's constructor calls this before there is one
            self.set_mask(self.mask)

    def _hook_gradient(self) -> None:
        # Weak, because weight -> hook -> layer -> weight is a cycle that Python cannot see through.
        reference = weakref.ref(self)

        def mask_gradient(weight: Tensor) -> None:
            layer = reference()
            if layer is None or weight.grad is None:
                return
            layer.gradient_is_new, layer.gradient_is_masked = True, False
            if not layer.keep_dense_gradient:
                layer.mask_gradient()

        # torch takes a hook only while the weight wants a gradient; a frozen one may want it later.
        wanted = self.weight.requires_grad
        self.weight.requires_grad_(True).register_post_accumulate_grad_hook(mask_gradient)
        self.weight.requires_grad_(wanted)

    @torch.no_grad()
    def set_mask(self, mask: Tensor, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Replace the mask and clear the weights off it.

        Args:
            mask: shape of the weight, bool or float of zeros and ones.
            optimizer: one that has taken steps already; its state is cleared off the mask too.
                Without that, its momentum would move the weights that are gone.

        Raises:
            ValueError: for another shape than the weight's, or entries other than 0 and 1.
        """
        if mask.shape != self.weight.shape:
            raise ValueError(
                f"mask has shape {tuple(mask.shape)}, the weight has {tuple(self.weight.shape)}"
            )
        if mask.dtype != torch.bool and not ((mask == 0) | (mask == 1)).all():
            raise ValueError("mask has entries other than 0 and 1")
        self.mask.copy_(mask)  # in place: a compiled graph and DDP keep looking at this buffer
        clear(self.weight, optimizer, self.mask == 0)

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

    def expect_gradient(self, dense: bool) -> None:
        """Say whether the backward passes to come should leave their gradient dense."""
        self.keep_dense_gradient = dense
        self.gradient_is_masked = False  # until the hook has done it: `.grad` may come from anyone

    def mask_gradient(self) -> None:
        """Make the gradient what the optimizer should see: zero off the mask."""
        if self.weight.grad is not None:
            self.weight.grad.mul_(self.mask)
        self.gradient_is_masked = True

    def leak(self) -> float:
        """Sum of |w| off the mask: 0 while the invariant holds, NaN after a gradient of NaN."""
        return float(self.dense_weight().masked_fill(self.mask.bool(), 0).abs().sum())

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
        self.set_mask(after)  # the optimizer's state off it is cleared by the next line
        clear(self.weight, optimizer, ~untouched)

    # A copied or unpickled layer has a new weight, hooks do not travel with tensors, and the rule
    # that may have asked for dense gradients holds the original layer, not the copy.
    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.expect_gradient(dense=False)
        self.gradient_is_new = False
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
    """All masked layers of a model by name, in the order of `named_modules`.

    Raises:
        ValueError: if the model has compressed layers, of which the answer would say nothing.
    """
    refuse_compressed(model)
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, (MaskedLinear, MaskedConv2d))
    }


def refuse_compressed(model: nn.Module) -> None:
    """Raise if a model has compressed layers, for functions that work on masks and weights."""
    compressed = [name for name, module in model.named_modules() if isinstance(module, Rows)]
    if compressed:
        raise ValueError(f"layers {compressed} are compressed; call decompress(model) first")
