"""What compressed layers buy: `python -m benchmarks.compressed [--rounds N] [--threads N]`.

Everything is measured against the dense network in the same process. A round takes one of each in
random order, and its ratios compare neighbours in time; the table shows the medians of the
rounds' ratios. Seven parts:

- one linear layer, forward and backward, by width and density, and the density at which compressed
  rows stop paying;
- a training step with the layer behind a compressed one compressed too, against the same with that
  layer masked, by its active weights an input;
- a whole RigL training of an MLP, its rewirings included, and what it holds in memory;
- 1 x 1 convolutions by size and density;
- the same product in the layouts and formats that torch has, right and slow ones among them;
- serving: one forward pass at batch 1 and 128, without gradients;
- the same for a network trained on digits, in every form that `lab.serving` has.
"""

from __future__ import annotations

import argparse
import json
import random
import time
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.step import Work, a_batch, ratios, rounded, sgd
from rigl_edu.lab.models import mlp
from rigl_edu.lab.run import device_name, source_commit, versions
from rigl_edu.lab.serving import forms
from rigl_edu.sparse import (
    RigL,
    compress,
    initialise_per_neuron,
    masked_layers,
    sparse_layers,
    sparsify,
)
from rigl_edu.sparse.csr import multiply
from rigl_edu.teach import practice

RECORD = Path("data/results/benchmarks/compressed-cpu.json")
DENSITIES = (0.3, 0.2, 0.1, 0.05, 0.02, 0.01)
WIDTHS = (256, 512, 1024, 2048)
MLP = (1024, 2048, 2048, 10)
BATCH, EVERY = 128, 100
IN_A_ROW = 5  # passes of one layer, timed together
DIGITS_MLP, DIGITS_DENSITY = (64, 2048, 512, 10), 0.005
CONVOLUTIONS = ((64, 64, 32), (256, 256, 8), (1024, 256, 8), (512, 2048, 4))  # in, out, height
# What the project promises for 1024 x 1024 and for the MLP, on two CPU cores.
LAYER_BOUNDS = {0.1: 0.60, 0.05: 0.35, 0.02: 0.22, 0.01: 0.17}
TRAINING_BOUNDS = {0.05: 3.0, 0.02: 5.0, 0.01: 8.0}


def layer_of(
    model: nn.Module,
    density: float | None,
    shape: tuple[int, ...],
    layout: torch.memory_format = torch.contiguous_format,
) -> Work:
    """Forward and backward of a model on random inputs; compressed unless density is None."""
    torch.manual_seed(0)
    if density is not None:
        sparsify(model, density)
        with warnings.catch_warnings():  # also where it does not pay: that is the question
            warnings.simplefilter("ignore")
            compress(model, list(masked_layers(model)))
    x = torch.randn(shape).to(memory_format=layout).requires_grad_()
    dy = torch.randn_like(model(x))
    wanted = [x, *model.parameters()]

    def work() -> None:
        # Not `backward`: it would copy the input's gradient into `x.grad`, as inside a network
        # it does not.
        torch.autograd.grad(model(x), wanted, dy)

    return work


def linear(width: int, rounds: int, order: random.Random) -> dict[str, dict[str, float]]:
    """A square linear layer by density."""
    works: dict[str, Work] = {}
    for density in (None, *DENSITIES):
        layer = nn.Sequential(nn.Linear(width, width))
        works["dense" if density is None else str(density)] = layer_of(
            layer, density, (BATCH, width)
        )
    return ratios(works, rounds, order, IN_A_ROW)


def convolution(
    size: tuple[int, int, int], rounds: int, order: random.Random
) -> dict[str, dict[str, float]]:
    """A 1 x 1 convolution on 32 images, by density; dense in whichever layout is the faster."""
    inputs, outputs, height = size
    shape = (32, inputs, height, height)

    def made(density: float | None, layout: torch.memory_format) -> Work:
        layer = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False))
        return layer_of(layer.to(memory_format=layout), density, shape, layout)

    layouts = {"dense": torch.contiguous_format, "other": torch.channels_last}
    trial = ratios(
        {name: made(None, layout) for name, layout in layouts.items()}, 8, order, IN_A_ROW
    )
    faster = min(layouts, key=lambda name: trial[name]["ms"])
    works = {"dense": made(None, layouts[faster])}
    works |= {str(d): made(d, torch.contiguous_format) for d in DENSITIES if d <= 0.1}
    return ratios(works, rounds, order, IN_A_ROW)


def crossover(by_density: Mapping[str, Mapping[str, float]]) -> float | None:
    """The density at which the ratio passes 1, on a straight line between measured densities.

    None where no measured density is faster, or all are.
    """
    points = [(d, by_density[str(d)]["ratio"]) for d in DENSITIES if str(d) in by_density]
    for (above, slow), (below, fast) in zip(points, points[1:], strict=False):
        if fast < 1 <= slow:
            return below + (above - below) * (1 - fast) / (slow - fast)
    return None


def behind(rounds: int, order: random.Random) -> dict[str, dict[str, float]]:
    """A training step of 1024-2048-64 with the last layer compressed, masked = 1.

    By the last layer's active weights an input. The layer before it has 2 % and is compressed.
    """
    found = {}
    for an_input in (4, 16, 64):
        works = {
            name: step_behind(an_input, name == "compressed") for name in ("dense", "compressed")
        }
        found[str(an_input)] = ratios(works, rounds, order)["compressed"]
    return found


def step_behind(an_input: int, compressed: bool) -> Work:
    """One training step; "dense", to which `ratios` compares, has the last layer masked."""
    torch.manual_seed(0)
    model = mlp((1024, 2048, 64))
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    first, last = names
    sparsify(model, distribution={first: 0.02, last: an_input / 64})
    with warnings.catch_warnings():  # also where it does not pay
        warnings.simplefilter("ignore")
        compress(model, [first, last] if compressed else [first])
    optimizer, (x, y) = sgd(model), a_batch((1024,), BATCH)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step


class Training:
    """An MLP trained by RigL, a rewiring in `EVERY` steps; dense, by SGD alone, for None."""

    def __init__(self, density: float | None) -> None:
        torch.manual_seed(0)
        self.model = mlp(MLP)
        if density is not None:
            compress(sparsify(self.model, density))
        self.optimizer = sgd(self.model)
        self.rule: Any = self.optimizer
        if density is not None:
            self.rule = RigL(self.model, self.optimizer, every=EVERY, until=10**9)
        self.batch = a_batch((MLP[0],), BATCH)

    def backward(self) -> None:
        """The first half of a step."""
        x, y = self.batch
        self.optimizer.zero_grad()
        F.cross_entropy(self.model(x), y).backward()

    def steps(self, number: int = EVERY) -> None:
        """Whole steps; of `EVERY` the last one rewires."""
        for _ in range(number):
            self.backward()
            self.rule.step()


def trainings(rounds: int, order: random.Random) -> dict[str, dict[str, float]]:
    """The MLP's training by density: how many times faster than dense, and the bytes it holds.

    Between two rewirings a step holds `bytes`. Before one there are dense gradients on top of it.
    """
    made = {"dense" if d is None else str(d): Training(d) for d in (None, *TRAINING_BOUNDS)}
    found = ratios({name: training.steps for name, training in made.items()}, rounds, order)
    for name, training in made.items():
        layers = sparse_layers(training.model).values()
        found[name]["faster"] = 1 / found[name]["ratio"]
        found[name]["active"] = sum(layer.active for layer in layers)
        training.steps(1)
        found[name]["bytes"] = bytes_held(training.model, training.optimizer)
        training.steps(EVERY - 2)
        training.backward()
        found[name]["bytes_rewiring"] = bytes_held(training.model, training.optimizer)
    return found


def bytes_held(model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Parameters, buffers, gradients, optimizer state, and a compressed layer's own tensors."""
    tensors: list[Tensor] = [*model.parameters(), *model.buffers()]
    tensors += [p.grad for p in model.parameters() if p.grad is not None]
    for state in optimizer.state.values():
        tensors += [value for value in state.values() if isinstance(value, Tensor)]
    for layer in sparse_layers(model).values():
        dense = getattr(layer, "_dense", None)  # the gradient that a rule has asked for
        tensors += [] if dense is None else [dense]
        for held in getattr(layer, "_cache", {}).values():
            if isinstance(held, Tensor) and held.layout == torch.sparse_csr:
                tensors += [held.values(), held.crow_indices(), held.col_indices()]
            else:
                pieces = [held] if isinstance(held, Tensor) else held
                tensors += [piece for piece in pieces if isinstance(piece, Tensor)]
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    return sum(storages.values())


def formats(rounds: int, order: random.Random) -> dict[str, dict[str, dict[str, float]]]:
    """One forward product of 1024 x 1024 at batch 128, by density and way to write it in torch."""
    return {str(d): ratios(ways_to_write(d), rounds, order) for d in (0.1, 0.02)}


def ways_to_write(density: float) -> dict[str, Work]:
    """The same product of a sparse matrix with a batch, in the layouts and formats torch has."""
    torch.manual_seed(0)
    layer = sparsify(nn.Sequential(nn.Linear(1024, 1024, bias=False)), density)[0]
    full = layer.weight.detach()
    rows, pairs = full.to_sparse_csr(), full.to_sparse_coo().coalesce()
    x = torch.randn(BATCH, 1024)
    columns = x.t().contiguous()
    return {
        "dense": lambda: F.linear(x, full),
        "mask times weight": lambda: F.linear(x, full * layer.mask),
        "rows of x, summed by F.embedding_bag": partial(multiply, rows, columns),
        "CSR: W @ x.t()": lambda: rows @ columns,
        "CSR: F.linear(x, W)": lambda: F.linear(x, rows),
        "COO: W @ x.t()": lambda: pairs @ columns,
    }


def serving(rounds: int, order: random.Random) -> dict[str, dict[str, dict[str, float]]]:
    """A forward pass of the MLP at batch 1 and 128 by density, nothing but the answer kept."""
    found = {}
    for batch in (1, BATCH):
        works: dict[str, Work] = {}
        for density in (None, *TRAINING_BOUNDS):
            torch.manual_seed(0)
            model = mlp(MLP).eval()
            if density is not None:
                compress(sparsify(model, density))
            x = torch.randn(batch, MLP[0])
            works["dense" if density is None else str(density)] = partial(model, x)
        with torch.inference_mode():
            found[str(batch)] = ratios(works, rounds, order)
    return found


def trained_network() -> nn.Module:
    """A wide MLP that RigL has trained on digits; many of its units have died."""
    torch.manual_seed(0)
    model = sparsify(mlp(DIGITS_MLP), DIGITS_DENSITY, "er")
    initialise_per_neuron(model, 0)
    optimizer = practice.sgd(model)
    rule = RigL(model, optimizer, every=20, until=375)
    practice.train(model, practice.flat_digits(), optimizer, rule, steps=500)
    return model


def serving_forms(rounds: int, order: random.Random) -> dict[str, Any]:
    """A forward pass of the trained network in each form, at batch 1 and 128, and what it holds."""
    found: dict[str, Any] = {}
    candidates = forms(trained_network())
    for batch in (1, BATCH):
        x = torch.randn(batch, DIGITS_MLP[0])
        works: dict[str, Work] = {name: partial(form, x) for name, form in candidates.items()}
        with torch.inference_mode():
            found[str(batch)] = ratios(works, rounds, order)
    found["widths"] = {
        name: [m.out_features for m in form if hasattr(m, "out_features")]
        for name, form in candidates.items()
    }
    return found


def table(result: dict[str, Any]) -> str:
    """The result as text, each promise beside what was measured."""
    names = [str(d) for d in DENSITIES]
    lines = [f"One linear layer, batch {BATCH}, forward and backward: time x dense", ""]
    lines.append("  width " + "".join(f"{name:>9}" for name in names) + "   pays below")
    for width, row in result["linear"].items():
        cells = "".join(f"{row[name]['ratio']:9.2f}" for name in names)
        at = result["crossover"][width]
        lines.append(f"  {width:6}{cells}   {'-' if at is None else f'{at:.2f}'}")
    promised = {str(d): bound for d, bound in LAYER_BOUNDS.items()}
    cells = "".join(f"{promised.get(name, ''):>9}" for name in names)
    lines += [f"  bound {cells}   (1024)", ""]
    lines += ["A layer behind a compressed one, compressed against masked: time of a step", ""]
    lines += [f"  {n:>2} weights an input{r['ratio']:8.2f}" for n, r in result["behind"].items()]
    lines += [
        "",
        f"Training an MLP {'-'.join(map(str, MLP))} with RigL, a rewiring in {EVERY} steps",
        "",
    ]
    heads = f"  {'density':8}{'ms a step':>10}{'faster':>9}{'bound':>7}{'MB':>8}"
    lines.append(f"{heads}{'rewiring':>10}")
    for name, row in result["training"].items():
        bound = TRAINING_BOUNDS.get(float(name), "") if name != "dense" else ""
        lines.append(
            f"  {name:8}{row['ms'] / EVERY:10.2f}{row['faster']:9.2f}{bound:>7}"
            f"{row['bytes'] / 1e6:8.1f}{row['bytes_rewiring'] / 1e6:10.1f}"
        )
    lines += ["", "A 1 x 1 convolution, 32 images, forward and backward: time x dense", ""]
    for size, row in result["convolution"].items():
        cells = "".join(f"{row[name]['ratio']:9.2f}" for name in names if name in row)
        lines.append(f"  {size:18}{cells}")
    lines += ["", "One product, 1024 x 1024, batch 128: time x dense", ""]
    for density, ways in result["formats"].items():
        lines += [f"  {density:6}{way:38}{row['ratio']:8.2f}" for way, row in ways.items()]
    lines += ["", "Serving the MLP: time x dense", "", *served(result["serving"])]
    name = "-".join(map(str, DIGITS_MLP))
    lines += ["", f"Serving {name}, trained on digits at {DIGITS_DENSITY}: time x dense", ""]
    lines += served(result["trained"])
    return "\n".join(lines)


def served(result: Mapping[str, Any]) -> list[str]:
    """A line for each batch size."""
    lines = []
    for batch in ("1", str(BATCH)):
        row = result[batch]
        cells = "".join(f"  {name}: {v['ratio']:.2f}" for name, v in row.items() if name != "dense")
        lines.append(f"  batch {batch:4}{cells}   (dense {row['dense']['ms']:.3f} ms)")
    return lines


def measure(rounds: int, threads: int) -> dict[str, Any]:
    """Everything, with what is needed to read the numbers later."""
    torch.set_num_threads(threads)
    commit, order, begin = source_commit(), random.Random(0), time.perf_counter()
    by_width = {str(width): linear(width, rounds, order) for width in WIDTHS}
    return rounded(
        {
            "benchmark": "compressed-cpu",
            "commit": commit,
            "device": device_name(torch.device("cpu")),
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "threads": threads,
            "rounds": rounds,
            "batch": BATCH,
            "every": EVERY,
            "versions": versions(),
            "bounds": {
                "linear 1024": {str(d): bound for d, bound in LAYER_BOUNDS.items()},
                "training": {str(d): bound for d, bound in TRAINING_BOUNDS.items()},
            },
            "linear": by_width,
            "crossover": {width: crossover(row) for width, row in by_width.items()},
            "behind": behind(rounds, order),
            "training": trainings(max(3, rounds // 5), order),
            "convolution": {
                f"{i} to {o}, {h} x {h}": convolution((i, o, h), max(5, rounds // 3), order)
                for i, o, h in CONVOLUTIONS
            },
            "formats": formats(rounds, order),
            "serving": serving(rounds, order),
            "trained": serving_forms(rounds, order),
            "seconds": time.perf_counter() - begin,
        }
    )


def main() -> None:
    """Measure, print, write the record."""
    parser = argparse.ArgumentParser(description="Time compressed layers against dense ones.")
    parser.add_argument("--rounds", type=int, default=30, help="of each kind (default 30)")
    parser.add_argument("--threads", type=int, default=2, help="of torch (default 2)")
    parser.add_argument("--out", type=Path, default=RECORD, help=f"the record (default {RECORD})")
    arguments = parser.parse_args()
    if arguments.rounds < 5 or arguments.threads < 1:
        parser.error("--rounds must be at least 5 and --threads at least 1")
    result = measure(arguments.rounds, arguments.threads)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))
    print(f"\nwritten to {arguments.out}")


if __name__ == "__main__":
    main()
