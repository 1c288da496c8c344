"""Layers that hold nothing but their active weights: real sparsity, where masked layers pretend.

A masked layer keeps a full matrix and multiplies its zeros. Here the parameter is the list of the
n active values (`rows`), and all products skip what is not there (`csr`). The dense gradient is
formed only when a rule asks for it, before a rewiring, and thrown away after it.

`compress` turns masked layers into these. A rule works on either: both offer the methods from
`parameter` to `change_mask`.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor, nn

from .csr import Product, pattern_of
from .optimizer_state import state_tensors
from .rows import Rows


class Compressed(Rows):
    """What `CompressedLinear` and `CompressedConv2d` share: the product, and what a rule needs."""

    bias: nn.Parameter | None
    keep_dense_gradient: bool  # set by an update rule for the backward passes that follow
    gradient_is_new: bool  # there was a backward pass since a rule last looked
    _dense: Tensor | None  # dense gradient, summed over backward passes since zero_grad
    _pending: Tensor | None  # of the backward pass that is running
    _alone: bool  # whether there was no gradient before that pass, or only zeros

    def store(self, weight: Tensor, mask: Tensor) -> None:
        """Take over a weight; `compress` calls this on the layers it converts.

        Args:
            weight: of any shape whose first dimension is the outputs.
            mask: same shape, nonzero where a connection exists.
        """
        self.store_rows(weight, mask)
        self.keep_dense_gradient = self.gradient_is_new = False
        self._dense, self._pending, self._alone = None, None, True
        self._hook_gradient()

    def product(self, x: Tensor) -> Tensor:
        """W x + b for x of shape (inputs, B); the result is (outputs, B)."""
        if self.active == 0:
            y = x.new_zeros(self.weight_shape[0], x.shape[1]) + 0 * self.values.sum()
        else:
            y = Product.apply(x.contiguous(), self.values, self)
        if self.bias is not None:
            y += self.bias[:, None]  # in place: nothing else holds y
        return y

    # --- what a rule needs; `Masked` has the same ----------------------------------------------

    @property
    def parameter(self) -> nn.Parameter:
        """What the optimizer owns."""
        return self.values

    @property
    def mask(self) -> Tensor:
        """Bool, of the weight's shape; made at each call."""
        return self.spread(torch.ones_like(self.values, dtype=torch.bool))

    def dense_weight(self) -> Tensor:
        """The weight in full, zero off the mask; made at each call."""
        return self.spread(self.values.detach())

    def dense_gradient(self) -> Tensor | None:
        """The dense gradient if a rule has asked for it, else zero off the mask; None without."""
        gradient = self.values.grad
        if gradient is None or self._dense is None:
            return None if gradient is None else self.spread(gradient)
        active = self.pick(self._dense)
        if torch.equal(active, gradient) or not bool(active.any()):
            return self._dense
        # A GradScaler or gradient clipping has scaled `.grad` since; the dense one must follow.
        return self._dense * (gradient.norm() / active.norm())

    @property
    def gradient_is_masked(self) -> bool:
        """Whether no dense gradient is there."""
        return self._dense is None

    def expect_gradient(self, dense: bool) -> None:
        """Say whether the backward passes to come should form their dense gradient."""
        self.keep_dense_gradient = dense

    def mask_gradient(self) -> None:
        """Forget the dense gradient; the one that the optimizer sees has no other entries."""
        self._dense = None

    def leak(self) -> float:
        """0: there is nothing off the mask that could hold a value."""
        return 0.0

    @torch.no_grad()
    def change_mask(
        self, after: Tensor, untouched: Tensor, optimizer: torch.optim.Optimizer | None
    ) -> None:
        """Replace the mask. Values, gradient and optimizer state move with their weights.

        Args:
            after: the new mask, bool, of the weight's shape.
            untouched: where values and state stay as they are; elsewhere they start from 0.
            optimizer: whose state moves along, if there is one.
        """
        old = self.positions()  # (n,), rising
        new = pattern_of(after.flatten(1))
        positions = new.flat()  # (n',), rising
        stays = untouched.flatten()[positions] & self.mask.flatten()[positions]  # (n',)
        place = torch.searchsorted(old, positions[stays])

        def moved(listed: Tensor) -> Tensor:
            result = listed.new_zeros(new.active)
            result[stays] = listed[place]
            return result

        for state, key in state_tensors(optimizer, self.values):
            state[key] = moved(state[key])
        gradient = self.values.grad
        moved_gradient = None if gradient is None else moved(gradient)
        self.exchange(new, moved(self.values.detach()), moved_gradient)
        self._dense = None

    # --- gradients ---------------------------------------------------------------------------

    def collect(self, dense: Tensor) -> None:
        """Add to the dense gradient of the backward pass that is running, (outputs, inputs)."""
        several = torch.distributed.is_available() and torch.distributed.is_initialized()
        if several and torch.distributed.get_world_size() > 1:
            raise RuntimeError(
                "compressed layers cannot be rewired by several processes: their dense gradients "
                "are not averaged; train masked layers there"
            )
        dense = dense.view(self.weight_shape)
        if self._pending is None:
            self._alone = self.values.grad is None or not bool(self.values.grad.any())
            self._pending = dense
        else:  # the layer was called twice
            self._pending = self._pending + dense

    def _hook_gradient(self) -> None:
        reference = weakref.ref(self)  # weak, as in `Masked`

        def settle(values: Tensor) -> None:
            layer = reference()
            if layer is None:
                return
            layer.gradient_is_new = True
            pending, layer._pending = layer._pending, None
            if pending is not None:
                before = None if layer._alone else layer._dense
                layer._dense = pending if before is None else before + pending

        self.values.register_post_accumulate_grad_hook(settle)

    # --- copies and checkpoints ---------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_dense": None, "_pending": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.keep_dense_gradient = self.gradient_is_new = False
        self._hook_gradient()

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self._dense = None

    def _apply(self, *args: Any, **kwargs: Any) -> Any:
        self._dense = None  # another device or precision
        return super()._apply(*args, **kwargs)

    def extra_repr(self) -> str:
        """The shape of the weight and how many entries it has."""
        with_bias = self.bias is not None
        return f"{self.weight_shape}, bias={with_bias}, active={self.active}/{self.total}"
