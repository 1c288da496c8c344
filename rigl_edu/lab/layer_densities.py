"""Where the weights are at the end of a run, layer by layer, beside the paper's Figure 5.

The right panel of Figure 5 of Sundar and Dwaraknath (2021) shows the final density of each layer of
WRN-22-2 for four networks of global density 0.1. `paper_figure5.csv` has its 23 bars a network,
read off the vector figure; "random" is the paper's word for uniform.
"""

import csv
import statistics
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from .records import processes_of
from .tables import arithmetic

FIGURE = Path(__file__).with_name("paper_figure5.csv")


@cache
def paper_densities() -> dict[str, dict[str, float]]:
    """By network ("random", "erk", "rigl_sg", "rigl_sm"): a density for each layer."""
    with FIGURE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    networks = [key for key in rows[0] if key != "layer"]
    return {n: {row["layer"]: float(row[n]) for row in rows} for n in networks}


def final_densities(records: Sequence[dict[str, Any]]) -> dict[str, list[float]]:
    """By layer: the density at the end of each run, in the records' order."""
    names = [layer["name"] for layer in records[0]["layers"]]
    return {
        name: [record["layers"][i]["density"] for record in records] for i, name in enumerate(names)
    }


def is_in_figure(recipe: Mapping[str, Any]) -> bool:
    """Whether the figure shows a network with a recipe's fields: method, masks, size and images.

    Its two redistributed networks start from uniform masks. Schedules are not compared: a short run
    stands beside the paper's too.
    """
    args, method = recipe["model_args"], recipe["method"]
    network = recipe["model"], args.get("depth"), args.get("width"), recipe["data"]
    start = recipe["distribution"], recipe["density"]
    theirs = ("wide_resnet", 22, 2, "cifar10"), ("uniform", 0.1)
    return method in ("rigl_sg", "rigl_sm") and (network, start) == theirs


def layer_report(records: Sequence[dict[str, Any]]) -> str:
    """A line for each layer: mean and range over seeds, and the figure's density if it shows it.

    Args:
        records: that differ in the seed alone, see `tables.alike`.
    """
    first, seeds = records[0], [record["seed"] for record in records]
    paper = paper_densities()[first["recipe"]["method"]] if is_in_figure(first["recipe"]) else {}
    how = arithmetic(first["precision"], processes_of(first))
    lines = [
        f"{first['recipe']['name']} on {first['data']['name']}, {how}, "
        f"seeds {', '.join(map(str, seeds))}",
        f"{'layer':<18}{'mean':>8}{'lowest':>8}{'highest':>8}{'paper':>8}",
    ]
    for name, values in final_densities(records).items():
        figure = f"{paper[name]:.3f}" if name in paper else "-"
        numbers = (statistics.mean(values), min(values), max(values))
        lines.append(f"{name:<18}" + "".join(f"{x:>8.3f}" for x in numbers) + f"{figure:>8}")
    return "\n".join(lines)
