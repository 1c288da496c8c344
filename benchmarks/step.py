"""What a mask costs in time: `python -m benchmarks.step [--rounds N] [--threads N]`.

A training step (zero_grad, forward, loss, backward, step) of a dense network and of the same
network under each rule, in one process. A round takes one step of each in random order, and its
ratios compare steps that were neighbours in time, so that a machine that slows down for a while
slows both. The table shows the medians of the rounds' ratios. Then one rewiring of WRN-22-2 by
each rule, and the selection it is made of against others. Steps that rewire are not among the
steps timed first.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rigl_edu.lab.models import mlp, wide_resnet
from rigl_edu.lab.run import device_name, source_commit, versions
from rigl_edu.sparse import (
    DSR,
    SET,
    SNFS,
    GradualPruning,
    RigL,
    RigLSG,
    RigLSM,
    SNFSReproduced,
    Static,
    StructuredRigL,
    drop,
    grow,
    random_mask,
    sparsify,
    sparsify_kernels,
)

RECORD = Path("data/results/benchmarks/step-cpu.json")
DENSITY, BATCH = 0.1, 128
RULES: dict[str, Callable[..., Any]] = {
    "Static": Static,
    "SET": SET,
    "RigL": RigL,
    "RigLSG": RigLSG,
    "RigLSM": RigLSM,
    "StructuredRigL": StructuredRigL,
    "DSR": DSR,
    "GradualPruning": partial(GradualPruning, density=DENSITY),
    # These two keep a dense momentum, which costs a pass over all positions at each step.
    "SNFS": SNFS,
    "SNFSReproduced": SNFSReproduced,
}
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "WRN-22-2": (lambda: wide_resnet(22, 2), (3, 32, 32)),
    "MLP 1024-2048-2048-10": (lambda: mlp((1024, 2048, 2048, 10)), (1024,)),
}
# What the project promises, on two CPU cores.
BOUNDS = {"WRN-22-2": 1.03, "MLP 1024-2048-2048-10": 1.08}
REWIRING_BOUND_MS = 20.0
NEVER = 10**9

Work = Callable[[], object]


def milliseconds(work: Work, in_a_row: int = 1) -> float:
    """Wall time of one call, of so many in a row."""
    begin = time.perf_counter()
    for _ in range(in_a_row):
        work()
    return 1e3 * (time.perf_counter() - begin) / in_a_row


def ratios(
    works: Mapping[str, Work], rounds: int, order: random.Random, in_a_row: int = 1
) -> dict[str, dict[str, float]]:
    """Median milliseconds of each, and the medians of its rounds' ratios to "dense".

    Something short is to be called several times in a row: its second call finds the caches as it
    has left them, as in a training of its own, and not as another work has.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    for round_number in range(rounds + 2):  # the first two warm up
        for name in order.sample(list(works), len(works)):
            passed = milliseconds(works[name], in_a_row)
            if round_number >= 2:
                times[name].append(passed)
    found = {}
    for name, mine in times.items():
        each = [t / d for t, d in zip(mine, times["dense"], strict=True)]
        low, _, high = statistics.quantiles(each, n=4)
        found[name] = {
            "ms": statistics.median(mine),
            "ratio": statistics.median(each),
            "ratio_low": low,
            "ratio_high": high,
        }
    return found


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    """The reproduction's optimizer."""
    return torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)


def a_batch(shape: tuple[int, ...], size: int) -> tuple[Tensor, Tensor]:
    """Random inputs and labels of ten classes."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(size, *shape, generator=generator)
    return inputs, torch.randint(10, (size,), generator=generator)


def training_step(rule: str | None, network: str) -> Callable[[], None]:
    """A function that takes one training step; `rule` None for the dense network."""
    make, shape = NETWORKS[network]
    torch.manual_seed(0)
    model = make()
    optimizer: Any = sgd(model)
    stepper = optimizer
    if rule is not None:
        start_masks(model, rule)
        schedule = {} if rule == "Static" else {"every": NEVER, "until": NEVER + 1}
        stepper = RULES[rule](model, optimizer, **schedule)
    inputs, labels = a_batch(shape, BATCH)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), labels).backward()
        stepper.step()

    return step


def start_masks(model: nn.Module, rule: str) -> None:
    """The masks with which the rule begins; an MLP has no kernels, so single weights."""
    if rule == "StructuredRigL" and any(isinstance(m, nn.Conv2d) for m in model.modules()):
        sparsify_kernels(model, DENSITY)
    else:
        sparsify(model, 1.0 if rule == "GradualPruning" else DENSITY)


def steps(network: str, rounds: int, order: random.Random) -> dict[str, dict[str, float]]:
    """Milliseconds and ratios to the dense step, medians over the rounds, by variant."""
    variants = {"dense": training_step(None, network)}
    variants |= {rule: training_step(rule, network) for rule in RULES}
    return ratios(variants, rounds, order)


def rewirings(rounds: int, order: random.Random) -> dict[str, float]:
    """Median milliseconds of one rewiring of WRN-22-2 by each rule."""
    inputs, labels = a_batch((3, 32, 32), 8)
    rules = {}
    for name in [rule for rule in RULES if rule != "Static"]:
        torch.manual_seed(0)
        model = wide_resnet(22, 2)
        start_masks(model, name)
        # Pruning ends within the benchmark, so that each of its steps has weights to take.
        until = 4 * (rounds + 2) if name == "GradualPruning" else NEVER
        rules[name] = model, RULES[name](model, sgd(model), every=2, until=until)
    times: dict[str, list[float]] = {name: [] for name in rules}
    for round_number in range(rounds + 2):
        for name in order.sample(list(rules), len(rules)):
            model, rule = rules[name]
            for rewires in (False, True):
                model.zero_grad()
                F.cross_entropy(model(inputs), labels).backward()
                passed = milliseconds(rule.step)
                if rewires and round_number >= 2:
                    times[name].append(passed)
    return {name: statistics.median(values) for name, values in times.items()}


def selections(rounds: int, order: random.Random) -> dict[str, float]:
    """Median milliseconds to drop and grow 30 % in the largest layers of WRN-22-2, by each way."""
    generator = torch.Generator().manual_seed(0)
    shape, active, k = (128, 128, 3, 3), 14_746, 4_423
    mask = random_mask(shape, active, generator)
    weights = torch.randn(shape, generator=generator).abs()
    gradients = torch.randn(shape, generator=generator).abs()

    def pairs() -> tuple[tuple[Tensor, int], tuple[Tensor, int]]:
        """Both rankings over all positions: those that may not be chosen are -inf."""
        kept = weights.masked_fill(~mask, -torch.inf).flatten()
        grown = gradients.masked_fill(mask, -torch.inf).flatten()
        return (kept, active - k), (grown, k)

    ways: dict[str, Callable[[], object]] = {
        "drop and grow": lambda: grow(gradients, drop(weights, mask, k), k),
        "torch.topk": lambda: [torch.topk(s, n, sorted=False) for s, n in pairs()],
        "torch.sort": lambda: [s.sort(descending=True) for s, _ in pairs()],
        "torch.kthvalue": lambda: [s.kthvalue(s.numel() - n + 1) for s, n in pairs()],
        "numpy.argpartition": lambda: [np.argpartition(s.numpy(), -n) for s, n in pairs()],
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name in order.sample(list(ways), len(ways)):
            times[name].append(milliseconds(ways[name]))
    return {name: statistics.median(values) for name, values in times.items()}


def rounded(value: Any) -> Any:
    """The same structure with floats to four digits after the point."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def table(result: dict[str, Any]) -> str:
    """The result as text, each promise beside what was measured."""
    lines = []
    for network, variants in result["step"].items():
        lines += [f"{network}, batch {BATCH}: one training step", ""]
        lines.append(f"  {'':16}{'ms':>8}{'x dense':>10}   middle half")
        for name, row in variants.items():
            spread = f"{row['ratio_low']:.3f} to {row['ratio_high']:.3f}"
            lines.append(f"  {name:16}{row['ms']:8.1f}{row['ratio']:10.3f}   {spread}")
        lines += [f"  promised: at most {BOUNDS[network]} for the masked step", ""]
    lines += ["WRN-22-2: one rewiring, ms", ""]
    lines += [f"  {name:20}{ms:8.2f}" for name, ms in result["rewiring_ms"].items()]
    lines += [f"  promised: at most {REWIRING_BOUND_MS:.0f}", ""]
    lines += ["A layer of 147 456 weights: select what to drop and what to grow, ms", ""]
    lines += [f"  {name:20}{ms:8.2f}" for name, ms in result["selection_ms"].items()]
    return "\n".join(lines)


def measure(rounds: int, threads: int) -> dict[str, Any]:
    """Everything, with what is needed to read the numbers later."""
    torch.set_num_threads(threads)
    commit = source_commit()
    order = random.Random(0)
    return rounded(
        {
            "benchmark": "step-cpu",
            "commit": commit,
            "device": device_name(torch.device("cpu")),
            "threads": threads,
            "rounds": rounds,
            "batch": BATCH,
            "density": DENSITY,
            "versions": versions(),
            "bounds": {"step": BOUNDS, "rewiring_ms": REWIRING_BOUND_MS},
            "rewiring_ms": rewirings(3 * rounds, order),
            "selection_ms": selections(3 * rounds, order),
            # The fast network gets more rounds: its steps are short and noisier.
            "step": {
                name: steps(name, rounds if name == "WRN-22-2" else 5 * rounds, order)
                for name in NETWORKS
            },
        }
    )


def main() -> None:
    """Measure, print, write the record."""
    parser = argparse.ArgumentParser(description="Time masked training steps against dense ones.")
    parser.add_argument("--rounds", type=int, default=20, help="steps of each kind (default 20)")
    parser.add_argument("--threads", type=int, default=2, help="of torch (default 2)")
    parser.add_argument("--out", type=Path, default=RECORD, help=f"the record (default {RECORD})")
    arguments = parser.parse_args()
    if arguments.rounds < 2 or arguments.threads < 1:
        parser.error("--rounds must be at least 2 and --threads at least 1")
    result = measure(arguments.rounds, arguments.threads)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))
    print(f"\nwritten to {arguments.out}")


if __name__ == "__main__":
    main()
