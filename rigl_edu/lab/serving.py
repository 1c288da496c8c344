"""A trained network in the fastest form this machine has, and in a file without training code.

Three forms compute the same: the network as it is; with smaller dense layers, where units have died
(`sparse.shrink`); and with compressed rows, where the layers are wide and sparse enough. Which is
fastest depends on the batch: `fastest` measures. `export` writes a `torch.export` program.
"""

from __future__ import annotations

import copy
import statistics
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from ..sparse import CompressedLinear, compress, shrink
from ..sparse.csr import multiply


@torch.library.custom_op("rigl_edu::csr_linear", mutates_args=())
def csr_linear(
    x: Tensor, row_start: Tensor, column: Tensor, values: Tensor, bias: Tensor | None
) -> Tensor:
    """A linear layer, x W^T + b, for a W in compressed rows: an operator that `torch.export` knows.

    Without gradients.

    Args:
        x: (B, in).
        row_start: (out + 1,) int32.
        column: (n,) int32.
        values: (n,).
        bias: (out,) or None.

    Returns:
        (B, out), with the samples as columns in memory.
    """
    size = (len(row_start) - 1, x.shape[1])
    matrix = torch.sparse_csr_tensor(row_start, column, values, size, check_invariants=False)
    y = multiply(matrix, x.t().contiguous())  # (out, B)
    if bias is not None:
        y += bias[:, None]  # in place, as in `Compressed.product`
    return y.t()


@csr_linear.register_fake
def _(x: Tensor, row_start: Tensor, column: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
    return x.new_empty(len(row_start) - 1, x.shape[0]).t()


class ServedLinear(nn.Module):
    """A compressed linear layer that only answers: three lists and a bias, no gradients."""

    def __init__(self, layer: CompressedLinear) -> None:
        super().__init__()
        for name in ("row_start", "column", "values", "bias"):
            held = getattr(layer, name)
            self.register_buffer(name, None if held is None else held.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """(B, in) to (B, out)."""
        return csr_linear(x, self.row_start, self.column, self.values, self.bias)


def forms(model: nn.Module) -> dict[str, nn.Module]:
    """The forms a trained masked network can be served in, by name; the model stays as it was.

    "dense" is the network as it is. "smaller" has the units left out that have died, "compressed"
    has compressed rows wherever they pay, "smaller, compressed" both; a form is left out where it
    changes nothing or cannot be made.
    """
    model = copy.deepcopy(model).eval()
    found = {"dense": model}
    try:
        small = shrink(model) if isinstance(model, nn.Sequential) else model
    except ValueError:
        small = model
    if sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in model.parameters()):
        found["smaller"] = small.eval()
    for name, form in list(found.items()):
        served = _served(form)
        if served is not None:
            found["compressed" if name == "dense" else f"{name}, compressed"] = served
    return found


def fastest(
    model: nn.Module, sample: Tensor, rounds: int = 30
) -> tuple[nn.Module, dict[str, float]]:
    """The fastest form for batches like this one, and the median milliseconds of every form.

    Args:
        model: trained and masked.
        sample: a batch.
        rounds: forward passes to time of each form, taken in turns.
    """
    candidates = forms(model)
    times: dict[str, list[float]] = {name: [] for name in candidates}
    with torch.inference_mode():
        for _ in range(rounds + 2):  # the first two warm up
            for name, form in candidates.items():
                begin = time.perf_counter()
                form(sample)
                times[name].append(1e3 * (time.perf_counter() - begin))
    medians = {name: statistics.median(values[2:]) for name, values in times.items()}
    return candidates[min(medians, key=lambda name: medians[name])], medians


def export(form: nn.Module, sample: Tensor, path: Path) -> None:
    """Write a form as a `torch.export` program for batches of any size.

    `torch.export.load(path).module()` answers. For a compressed form import `rigl_edu.lab.serving`
    before, which defines its operator.

    Args:
        form: of `forms`.
        sample: a batch of at least two; its first dimension stays free.
        path: to write, ending in .pt2.

    Raises:
        ValueError: for a batch of one, from which no free dimension can be told.
    """
    if len(sample) < 2:
        raise ValueError(f"the sample has {len(sample)} rows; give at least 2")
    free = {0: torch.export.Dim("batch")}
    program = torch.export.export(form.eval(), (sample,), dynamic_shapes=(free,))
    torch.export.save(program, path)


def _served(model: nn.Module) -> nn.Module | None:
    """The model with served layers where compressed rows pay; None if that is nowhere."""
    model = compress(copy.deepcopy(model))
    names = [n for n, m in model.named_modules() if isinstance(m, CompressedLinear)]
    for name in names:
        model.set_submodule(name, ServedLinear(model.get_submodule(name)))  # type: ignore[arg-type]
    return model.eval() if names else None
