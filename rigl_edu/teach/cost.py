"""The cost row of a chapter: weights, FLOPs and measured time, so that nobody confuses them."""

from __future__ import annotations

import json

from ..lab.models import wide_resnet
from ..lab.records import published_results
from ..lab.tables import html_of
from ..sparse import forward_flops, layer_table, rigl_flops, snfs_flops, sparsify, static_flops
from .html import Html, columns

BENCHMARK = "benchmarks/step-cpu.json"  # written by `python -m benchmarks.step`
TRAINING = {  # rule -> training FLOPs a sample from (f_s, f_d)
    "Static": lambda f_s, f_d: static_flops(f_s),
    "SET": lambda f_s, f_d: static_flops(f_s),
    "RigL": lambda f_s, f_d: rigl_flops(f_s, f_d, every=100),
    "SNFS": lambda f_s, f_d: snfs_flops(f_s, f_d),  # at the start, before it redistributes
}


def cost_row(*rules: str) -> Html:
    """A table for WRN-22-2 at density 0.1, ERK: what each rule costs against dense training.

    Weights and FLOPs are computed. Times are read from the recorded benchmark.

    Args:
        rules: any of "Static", "SET", "RigL", "SNFS".

    Raises:
        ValueError: for an unknown rule.
    """
    unknown = [rule for rule in rules if rule not in TRAINING]
    if unknown:
        raise ValueError(f"no cost is known for {unknown}; known are {', '.join(TRAINING)}")
    model = sparsify(wide_resnet(22, 2, num_classes=10), density=0.1)
    f_s = forward_flops(model, (3, 32, 32))
    f_d = forward_flops(model, (3, 32, 32), dense=True)
    weights = sum(row.total for row in layer_table(model))
    active = sum(row.active for row in layer_table(model))
    measured = json.loads((published_results() / BENCHMARK).read_text())
    times = measured["step"]["WRN-22-2"]

    header = ("", "weights", "forward FLOPs", "training FLOPs", "time of a step", "one rewiring")
    lines = [("dense", f"{weights:,}", "1", "1", f"1 ({times['dense']['ms']:.0f} ms)", "–")]
    for rule in rules:
        flops = TRAINING[rule](f_s, f_d) / (3 * f_d)
        rewiring = measured["rewiring_ms"].get(rule)
        lines.append(
            (
                rule,
                f"{active:,}",
                f"{f_s / f_d:.3f}",
                f"{flops:.3f}",
                f"{times[rule]['ratio']:.2f}",
                f"{rewiring:.0f} ms" if rewiring else "–",
            )
        )
    note = (
        f"WRN-22-2, density 0.1, ERK, batch {measured['batch']}; FLOPs and times as shares of the "
        f"dense network's. Times: {measured['device']}, {measured['threads']} threads, "
        f"median of {measured['rounds']} rounds."
    )
    return Html(html_of(header, lines, note), f"{columns(header, *lines)}\n{note}")
