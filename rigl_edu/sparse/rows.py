"""A weight kept as the list of its active entries, row by row.

The parameter is that list, so its gradient and its optimizer state are lists of n too. Beside it
two buffers say where the entries are, which is all that a checkpoint needs. The matrices that
products use (`csr`) are made from them when first asked for.
"""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from .csr import Pattern, by_columns, by_rows, pattern_of


class Rows(nn.Module):
    """The values of a weight, their pattern, and the ways between a list and the full shape."""

    values: nn.Parameter  # (n,) active weights, row by row
    row_start: Tensor  # (outputs + 1,) int32, a buffer: checkpoints know the pattern
    column: Tensor  # (n,) int32, a buffer
    weight_shape: tuple[int, ...]  # of the weight that this stands for
    _cache: dict[str, Any]  # pattern and matrices; made again when values or pattern change

    def store_rows(self, weight: Tensor, mask: Tensor) -> None:
        """Take over a weight.

        Args:
            weight: of any shape whose first dimension is the outputs.
            mask: same shape, nonzero where a connection exists.
        """
        self.weight_shape = tuple(weight.shape)
        pattern = pattern_of(mask.flatten(1))
        self.values = nn.Parameter(weight.detach().flatten()[pattern.flat()])
        self.register_buffer("row_start", pattern.row_start)
        self.register_buffer("column", pattern.column)
        self._cache = {"pattern": pattern}

    @property
    def active(self) -> int:
        """Number of connections that exist."""
        return self.values.numel()

    @property
    def total(self) -> int:
        """Number of positions, active or not."""
        return prod(self.weight_shape)

    def spread(self, listed: Tensor) -> Tensor:
        """From one number an active weight, (n,), to the weight's shape, zero off the mask."""
        full = listed.new_zeros(self.total)
        full[self.positions()] = listed
        return full.view(self.weight_shape)

    def pick(self, full: Tensor) -> Tensor:
        """From the weight's shape to one number an active weight, (n,)."""
        return full.flatten()[self.positions()]

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

    # --- other entries ------------------------------------------------------------------------

    def exchange(self, new: Pattern, listed: Tensor, gradient: Tensor | None) -> None:
        """Hold other values at other positions; the parameter stays the same object."""
        _replace(self.values, listed)
        self.values.grad = gradient
        self.row_start, self.column = new.row_start, new.column
        self._cache = {"pattern": new}  # and not the positions: 8 bytes each

    # A checkpoint may have another number of active weights, after redistribution.
    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        column = state_dict.get(f"{prefix}column")
        if column is not None and column.shape != self.column.shape:
            _replace(self.values, self.values.detach().new_zeros(column.shape))
            self.values.grad = None
            self.column = self.column.new_zeros(column.shape)
        super()._load_from_state_dict(state_dict, prefix, *args)
        self._cache = {}

    def _apply(self, *args: Any, **kwargs: Any) -> Any:
        self._cache = {}  # another device or precision
        return super()._apply(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_cache": {}}


def _replace(parameter: nn.Parameter, listed: Tensor) -> None:
    """Give a parameter other entries, and maybe another number of them."""
    # Autograd remembers the shape of a parameter while a graph that uses it is alive, and forgets
    # it only when the type changes. The parameter has to stay the same object: an optimizer, and
    # whoever else, holds it.
    other = torch.float16 if listed.dtype != torch.float16 else torch.float32
    parameter.grad = None
    parameter.data = listed.to(other)
    parameter.data = listed
