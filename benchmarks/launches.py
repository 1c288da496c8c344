"""What a GPU would have to do in a training step: `python -m benchmarks.launches`.

No GPU is needed. A step of the paper's WRN-22-2 recipe is taken on the CPU while every operation
that does work is counted: on a GPU each is at least one kernel launch. With it the bytes that the
operations read and write, and the step's FLOPs. From the three and a GPU's data sheet follows what
a run would take if nothing overlapped. That is an expectation, not a measurement, and called so
wherever it is shown.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rigl_edu.lab import cost
from rigl_edu.lab.data import load
from rigl_edu.lab.recipes import RECIPES
from rigl_edu.lab.run import source_commit, versions
from rigl_edu.lab.train import make_job, training_step

RECORD = Path("data/results/benchmarks/launches.json")
NAMES = {"dense": "wrn22-dense", "RigL": "wrn22-rigl-erk-0.1"}
# An H200's data sheet: bytes a second of memory, FLOPs a second of dense bf16 matrix products.
MEMORY, PEAK = 4.8e12, 989e12
# Assumptions: share of the peak that small convolutions reach, seconds of a launch from Python and
# of one kernel after another in a recorded graph.
REACHED, LAUNCH, REPLAYED = 0.1, 6e-6, 1.5e-6
NO_KERNEL = {
    *("aten::empty", "aten::empty_like", "aten::empty_strided", "aten::new_empty"),
    *("aten::_local_scalar_dense", "aten::_unsafe_view"),
}


class Counting(TorchDispatchMode):
    """Counts operations that are no mere views, and the bytes of the tensors they touch."""

    def __init__(self) -> None:
        super().__init__()
        self.launches: Counter[str] = Counter()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        tensors = [t for t in tree_leaves((args, kwargs, out)) if isinstance(t, Tensor)]
        name = func.overloadpacket._qualified_op_name
        aliases = [argument.alias_info for argument in func._schema.returns]
        is_view = any(alias is not None and not alias.is_write for alias in aliases)
        if not is_view and name not in NO_KERNEL:
            self.launches[name] += 1
            distinct = {t.data_ptr(): t.numel() * t.element_size() for t in tensors}
            self.bytes += sum(distinct.values())
        return out


def measured(name: str) -> dict[str, Any]:
    """Counts of one ordinary training step, the one after the first; arithmetic in fp32."""
    recipe = RECIPES[name]
    data = load("digits-3x32x32").head(recipe.batch, 8)
    job = make_job(replace(recipe, held_out=0), 0, data, Path("none.pt"))
    for group in job.optimizer.param_groups:
        group["foreach"] = True  # as on a GPU: many parameters in one launch
    images, labels = data.train_images[: recipe.batch], data.train_labels[: recipe.batch]
    training_step(job, data, images, labels)
    job.step += 1
    with Counting() as counting:
        training_step(job, data, images, labels)
    return {
        "launches": sum(counting.launches.values()),
        "most": dict(counting.launches.most_common(8)),
        "bytes": counting.bytes,
        "flops": cost.dense_training_flops(recipe, 1),  # a mask saves a GPU none
    }


def expected_seconds(counts: dict[str, Any], steps: int) -> dict[str, float]:
    """What a run would take on an H200 if nothing overlapped, part by part.

    Args:
        counts: as `measured` gives them.
        steps: of the run.
    """
    return {
        "arithmetic at a tenth of the peak": steps * counts["flops"] / (REACHED * PEAK),
        "memory, two bytes a number": steps * counts["bytes"] / 2 / MEMORY,
        "launches from Python": steps * counts["launches"] * LAUNCH,
        "launches of a recorded graph": steps * counts["launches"] * REPLAYED,
    }


def main() -> None:
    """Print the counts and what follows; with --record write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help=f"write {RECORD}")
    record = parser.parse_args().record
    counts = {label: measured(name) for label, name in NAMES.items()}
    recipe = RECIPES[NAMES["dense"]]
    steps = cost.total_steps(recipe, recipe.data)
    expected = expected_seconds(counts["dense"], steps)
    for label, found in counts.items():
        print(
            f"{label:5s} {found['launches']} launches, {found['bytes'] / 1e9:.2f} GB, "
            f"{found['flops'] / 1e9:.0f} GFLOP a step"
        )
    print(f"{steps} steps on an H200, expected from its data sheet, not measured:")
    for part, seconds in expected.items():
        print(f"  {part:34s} {seconds:5.0f} s")
    if record:
        about = {"commit": source_commit(), "versions": versions(), "steps": steps}
        assumed = {"memory": MEMORY, "peak": PEAK, "reached": REACHED, "launch": LAUNCH}
        about["assumed"] = assumed | {"replayed": REPLAYED}
        whole = about | {"counts": counts, "expected_seconds": expected}
        RECORD.write_text(json.dumps(whole, indent=1) + "\n")


if __name__ == "__main__":
    main()
