"""Layers that hold nothing but their active weights: real sparsity, where masked layers pretend.

A masked layer keeps a full matrix and multiplies its zeros. Here the parameter is the list of the
n active values; their gradients and optimizer state are lists of n too, and all products skip what
is not there (`csr`). The dense gradient is formed only when a rule asks for it, before a rewiring,
and thrown away after it.

`compress` turns masked layers into these. A rule works on either: both offer the methods from
`parameter` to `change_mask`.
"""

from __future__ import annotations

import weakref
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from .csr import Pattern, Product, by_columns, by_rows, pattern_of
from .optimizer_state import state_tensors


class Compressed(nn.Module):
    """What `CompressedLinear` and `CompressedConv2d` share: the values, the pattern, the mask."""

    values: nn.Parameter  # (n,) active weights, row by row
    bias: nn.Parameter | None
    row_start: Tensor  # (outputs + 1,) int32, a buffer: checkpoints know the pattern
    column: Tensor  # (n,) int32, a buffer
    weight_shape: tuple[int, ...]  # of the weight that this stands for
    keep_dense_gradient: bool  # set by an update rule for the backward passes that follow
    gradient_is_new: bool  # there was a backward pass since a rule last looked
    _dense: Tensor | None  # dense gradient, summed over backward passes since zero_grad
    _pending: Tensor | None  # of the backward pass that is running
    _alone: bool  # whether there was no gradient before that pass, or only zeros
    _cache: dict[str, Any]  # pattern and matrices; made again when values or pattern change

    def store(self, weight: Tensor, mask: Tensor) -> None:
        """Take over a weight; `compress` calls this on the layers it converts.

        Args:
            weight: of any shape whose first dimension is the outputs.
            mask: same shape, nonzero where a connection exists.
        """
        self.weight_shape = tuple(weight.shape)
        pattern = pattern_of(mask.flatten(1))
        self.values = nn.Parameter(weight.detach().flatten()[pattern.flat()])
        self.register_buffer("row_start", pattern.row_start)
        self.register_buffer("column", pattern.column)
        self.keep_dense_gradient = self.gradient_is_new = False
        self._dense, self._pending, self._alone = None, None, True
        self._cache = {"pattern": pattern}
        self._hook_gradient()

    def product(self, x: Tensor) -> Tensor:
        """W x + b for x of shape (inputs, B); the result is (outputs, B)."""
        if self.active == 0:
            y = x.new_zeros(self.weight_shape[0], x.shape[1]) + 0 * self.values.sum()
        else:
            y = Product.apply(x.contiguous(), self.values, self)
        return y if self.bias is None else y + self.bias[:, None]

    # --- the matrices -------------------------------------------------------------------------

    @property
    def pattern(self) -> Pattern:
        """Where the active weights are, in the weight as a matrix of (outputs, inputs)."""
        if "pattern" not in self._cache:
            mask = torch.zeros(
                self.weight_shape[0],
                prod(self.weight_shape[1:]),
                dtype=torch.bool,
                device=self.column.device,
            )
            counts = self.row_start.diff()
            rows = torch.arange(len(counts), device=counts.device).repeat_interleave(counts)
            mask[rows, self.column.long()] = True
            self._cache = {"pattern": pattern_of(mask)}
        return self._cache["pattern"]

    def positions(self) -> Tensor:
        """Row-major position of each active weight in the weight, (n,); kept until a rewiring."""
        if "positions" not in self._cache:
            self._cache["positions"] = self.pattern.flat()
        return self._cache["positions"]

    def matrix(self) -> Tensor:
        """W by rows. It shares the parameter's memory, so an optimizer step changes it too."""
        held = self._cache.get("matrix")
        if held is None or held.values().data_ptr() != self.values.data_ptr():
            held = self._cache["matrix"] = by_rows(self.pattern, self.values.detach())
        return held

    def transpose(self) -> Tensor:
        """W by columns, with the values of this moment."""
        held = self._cache.get("transpose")
        like = self.values.detach()
        if held is None or (held.dtype, held.device) != (like.dtype, like.device):
            held = by_columns(self.pattern, torch.empty_like(like))
            self._cache["transpose"] = held
        torch.index_select(like, 0, self.pattern.order, out=held.values())
        return held

    # --- what a rule needs; `Masked` has the same ----------------------------------------------

    @property
    def parameter(self) -> nn.Parameter:
        """What the optimizer owns."""
        return self.values

    @property
    def mask(self) -> Tensor:
        """Bool, of the weight's shape; made at each call."""
        return self.spread(torch.ones_like(self.values, dtype=torch.bool))

    @property
    def active(self) -> int:
        """Number of connections that exist."""
        return self.values.numel()

    def dense_weight(self) -> Tensor:
        """The weight in full, zero off the mask; made at each call."""
        return self.spread(self.values.detach())

    def dense_gradient(self) -> Tensor | None:
        """The dense gradient if a rule has asked for it, else zero off the mask; None without."""
        if self._dense is not None:
            return self._dense
        return None if self.values.grad is None else self.spread(self.values.grad)

    def mask_gradient(self) -> None:
        """Forget the dense gradient; the one that the optimizer sees has no other entries."""
        self._dense = None

    def spread(self, listed: Tensor) -> Tensor:
        """From one number an active weight, (n,), to the weight's shape, zero off the mask."""
        full = listed.new_zeros(self.total)
        full[self.positions()] = listed
        return full.view(self.weight_shape)

    def pick(self, full: Tensor) -> Tensor:
        """From the weight's shape to one number an active weight, (n,)."""
        return full.flatten()[self.positions()]

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
        _replace(self.values, moved(self.values.detach()))
        self.values.grad = None if gradient is None else moved(gradient)
        self.row_start, self.column = new.row_start, new.column
        self._dense, self._cache = None, {"pattern": new}  # and not the positions: 8 bytes each

    # --- gradients ---------------------------------------------------------------------------

    def collect(self, dense: Tensor) -> None:
        """Add to the dense gradient of the backward pass that is running, (outputs, inputs)."""
        if torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1:
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
        return self.__dict__ | {"_cache": {}, "_dense": None, "_pending": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.keep_dense_gradient = self.gradient_is_new = False
        self._hook_gradient()

    # A checkpoint may have another number of active weights, after redistribution.
    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        column = state_dict.get(f"{prefix}column")
        if column is not None and column.shape != self.column.shape:
            _replace(self.values, self.values.detach().new_zeros(column.shape))
            self.values.grad = None
            self.column = self.column.new_zeros(column.shape)
        super()._load_from_state_dict(state_dict, prefix, *args)
        self._cache, self._dense = {}, None

    def _apply(self, *args: Any, **kwargs: Any) -> Compressed:
        self._cache, self._dense = {}, None  # another device or precision
        return super()._apply(*args, **kwargs)

    @property
    def total(self) -> int:
        """Number of positions, active or not."""
        return prod(self.weight_shape)

    def extra_repr(self) -> str:
        """The shape of the weight and how many entries it has."""
        with_bias = self.bias is not None
        return f"{self.weight_shape}, bias={with_bias}, active={self.active}/{self.total}"


def _replace(parameter: nn.Parameter, listed: Tensor) -> None:
    """Give a parameter other entries, and maybe another number of them."""
    # Autograd remembers the shape of a parameter while a graph that uses it is alive, and forgets
    # it only when the type changes. The parameter has to stay the same object: an optimizer, and
    # whoever else, holds it.
    other = torch.float16 if listed.dtype != torch.float16 else torch.float32
    parameter.grad = None
    parameter.data = listed.to(other)
    parameter.data = listed
