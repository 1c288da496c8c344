"""Compressed sparse rows: a product that skips zeros, in pure torch.

A matrix of o rows and i columns with n active entries is three short arrays: the n values, row by
row; their columns; and where each row starts. Training needs three products with it, none of which
ever touches a zero:

    forward          y  = W x           (o, B)  rows of W times dense columns
    input gradient   dx = W^T dy        (i, B)  the same with the transpose, whose rows are kept too
    weight gradient  dW = dy x^T on m   (n,)    a dense product *sampled* where the mask m is one

Columns are samples here: x is (i, B), not (B, i). The library multiplies sparse rows with such a
matrix several times faster than in the other layout; `F.linear(x, W)` with a compressed W is right
and slow.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .masks import positions

# From so many columns on, a sum of rows is faster on a CPU than the library's sparse product.
# Tried with 1 to 4096 columns on a processor with AVX2; `benchmarks/compressed.py` measures both
# at 128, where it takes half the time.
WIDE = 32

# Said once by torch itself, about interfaces that may still change.
warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")


class Pattern(NamedTuple):
    """Where the active entries are, by rows and by columns. Indices are int32, as MKL wants."""

    rows: int
    columns: int
    row_start: Tensor  # (rows + 1,) int32; row r has entries row_start[r] to row_start[r + 1]
    column: Tensor  # (n,) int32, of each entry in the order of the rows
    column_start: Tensor  # (columns + 1,) int32, of the transpose
    row: Tensor  # (n,) int32, of each entry in the order of the columns
    order: Tensor  # (n,) int32: the entries in the order of the columns are values[order]

    @property
    def active(self) -> int:
        """n, the number of entries."""
        return self.column.numel()

    def flat(self) -> Tensor:
        """Row-major position of each entry in the dense matrix, rising, (n,) int64."""
        counts = self.row_start.diff()  # (rows,)
        every = torch.arange(self.rows, device=counts.device)
        return every.repeat_interleave(counts) * self.columns + self.column


def pattern_of(mask: Tensor) -> Pattern:
    """The pattern of a mask.

    Args:
        mask: (rows, columns), nonzero where an entry is active.
    """
    rows, columns = mask.shape
    flat = positions(mask.bool())
    row, column = flat // columns, flat % columns  # each (n,), in the order of the rows
    order = torch.argsort(column, stable=True)  # by column, and within it by row
    return Pattern(
        rows,
        columns,
        _starts(row, rows),
        column.int(),
        _starts(column, columns),
        row[order].int(),
        order.int(),
    )


def by_rows(pattern: Pattern, values: Tensor) -> Tensor:
    """The matrix as a torch CSR tensor that shares the memory of `values`, (n,)."""
    size = (pattern.rows, pattern.columns)
    return _csr(pattern.row_start, pattern.column, values, size)


def by_columns(pattern: Pattern, values: Tensor) -> Tensor:
    """The transpose as a CSR tensor, from the values in the order of the columns, (n,)."""
    size = (pattern.columns, pattern.rows)
    return _csr(pattern.column_start, pattern.row, values, size)


def multiply(matrix: Tensor, x: Tensor) -> Tensor:
    """W x for a CSR tensor of shape (o, i) and x of shape (i, B), contiguous; the result is (o, B).

    Without gradients.
    """
    if x.is_cpu and x.dtype == torch.float32 and x.shape[1] >= WIDE:
        # Row r of the result is a weighted sum of rows of x: what reads a table of word vectors.
        return F.embedding_bag(
            matrix.col_indices(),  # (n,): which rows of x
            x.detach(),  # with a gradient to follow, it would prepare for its own
            matrix.crow_indices(),  # (o + 1,): where each sum begins
            mode="sum",
            per_sample_weights=matrix.values(),  # (n,)
            include_last_offset=True,
        )
    # `matrix @ x` fills the result with zeros and copies it, to add to it. With beta=0 what is in
    # the result counts for nothing.
    y = x.new_empty(matrix.shape[0], x.shape[1])
    return torch.addmm(y, matrix, x, beta=0, out=y)


class Product(torch.autograd.Function):
    """y = W x and its gradients, for a W that a layer stores compressed.

    Inputs are x, (i, B) and contiguous; the values, (n,); and the layer, which has `matrix()`,
    `transpose()`, `keep_dense_gradient` and `collect()`; see `Compressed`.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, values: Tensor, layer: Any) -> Tensor:
        """Shape (o, B)."""
        # The values are not used below. Saved, they make autograd notice a change in place between
        # forward and backward.
        ctx.save_for_backward(x, values)
        ctx.layer = layer
        return multiply(layer.matrix(), x)  # (o, B)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        """Gradients of x, (i, B), and of the values, (n,)."""
        x, _ = ctx.saved_tensors
        layer, dy = ctx.layer, dy.contiguous()
        dx = dvalues = None
        if ctx.needs_input_grad[0]:
            dx = multiply(layer.transpose(), dy)
        if ctx.needs_input_grad[1] and layer.keep_dense_gradient:
            with torch.autocast(x.device.type, enabled=False):  # the sparse products know none
                dense = dy @ x.t()  # (o, i), for a rule that is about to rewire
            layer.collect(dense)
            dvalues = layer.pick(dense)
        elif ctx.needs_input_grad[1]:
            # beta=0: of the first argument only the pattern counts.
            matrix = layer.matrix()
            dvalues = torch.sparse.sampled_addmm(matrix, dy, x.t(), beta=0.0).values()
        return dx, dvalues, None


def _starts(index: Tensor, size: int) -> Tensor:
    """Where each row starts in a sorted list of entries, from the row of each."""
    counts = torch.bincount(index, minlength=size)
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)]).int()


def _csr(start: Tensor, index: Tensor, values: Tensor, size: tuple[int, int]) -> Tensor:
    return torch.sparse_csr_tensor(start, index, values, size, check_invariants=False)
