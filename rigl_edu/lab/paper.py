"""The numbers of the reproduction paper, read from three CSV files, never typed.

The paper is Sundar and Dwaraknath, "[Re] Rigging the Lottery: Making All Tickets Winners",
ReScience C 7(2) #21, 2021. Notes in the files name cells that do not agree with the paper's own
figures or code.

- `paper_tables.csv`: every cell of Tables 2, 3 and 5.
- `paper_more_tables.csv`: Tables 1, 4 and 7, from the paper's LaTeX source; Figure 3, read off the
  vector figure; Figure 4, whose numbers stand in the authors' plot script. "Table1 original" is the
  column that Table 1 quotes from RigL's authors.
- `paper_per_seed.csv`: single runs, read off the vector Figures 1 (CIFAR-10) and 2 (CIFAR-100),
  good to about 0.01 points; runs below a figure's axis are missing.
"""

import csv
import re
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

TABLES = Path(__file__).with_name("paper_tables.csv")
MORE_TABLES = Path(__file__).with_name("paper_more_tables.csv")
SEEDS = Path(__file__).with_name("paper_per_seed.csv")

# Where `published` looks, in this order. Table 1 is no part of it: its runs differ from all others
# in what `Run` does not hold, they train on all 50 000 images.
SOURCES = (
    "Table2 CIFAR-10",
    "Table3 CIFAR-100",
    "Table5 redistribution",
    "Table7 structured",
    "Table4 tuning",
    "Figure4 equal FLOPs",
    "Figure1 CIFAR-10",
    "Figure2 CIFAR-100",
    "Figure3 learning rate",
)

# What the paper calls the methods that recipes name.
NAMES = {
    "dense": "Dense",
    "small_dense": "Small-Dense",
    "static": "Static",
    "set": "SET",
    "snfs": "SNFS",
    "snfs_reproduced": "SNFS",
    "dsr": "DSR",
    "rigl": "RigL",
    "rigl_sg": "RigL-SG",
    "rigl_sm": "RigL-SM",
    "rigl_struct": "RigL-struct",
    "pruning": "Pruning",
    "lottery": "Lottery",
    "snip": "SNIP",
}


class Run(NamedTuple):
    """A run of the paper, as its tables and figures tell runs apart.

    Attributes:
        data: "CIFAR-10" (WRN-22-2) or "CIFAR-100" (ResNet-50).
        method: for example "RigL" or "Small-Dense".
        init: "Random" (uniform), "ERK", "ER", or "-" where the paper has no choice.
        density: 1.0 for dense.
        multiplier: 2 or 3 for longer training.
        lr: peak learning rate.
        alpha: share of a layer's weights that is rewired at first.
        delta_t: steps between rewirings.
    """

    data: str
    method: str
    init: str
    density: float
    multiplier: int = 1
    lr: float = 0.1
    alpha: float = 0.3
    delta_t: int = 100


@dataclass(frozen=True)
class PaperCell:
    """One published result.

    Attributes:
        table: the paper's table or figure, for example "Table 2".
        data: the data set the paper used.
        accuracy: test top-1 accuracy in percent, mean of the paper's seeds.
        sd: sample standard deviation over those seeds, in points; None where it is not known.
        note: what is doubtful about the cell; empty if nothing is known.
    """

    table: str
    data: str
    accuracy: float
    sd: float | None
    note: str

    @property
    def result(self) -> str:
        """For example "92.4 ± 0.06"; without "±" where there is no sd."""
        return f"{self.accuracy}" if self.sd is None else f"{self.accuracy} ± {self.sd}"


def cell(
    source: str, method: str, init: str, density: float, multiplier: int = 1, data: str = "CIFAR-10"
) -> PaperCell:
    """The published result of a run with the paper's usual learning rate, alpha and Delta T.

    Args:
        source: the table as the CSV names it, for example "Table2 CIFAR-10".
        method: see `Run`, as all that follow.
        init: "Random" (uniform), "ERK", "ER" or "-".
        density: 1.0 for dense.
        multiplier: 2 or 3 for longer training.
        data: "CIFAR-10" or "CIFAR-100".

    Raises:
        ValueError: the paper has no such cell.
    """
    wanted = source, Run(data, method, init, density, multiplier)
    if wanted not in cells():
        raise ValueError(f"the paper has no cell {wanted}")
    return cells()[wanted]


def published(run: Run) -> PaperCell | None:
    """The paper's result of a run, from the first of `SOURCES` that has it; None if none has."""
    return next((cells()[s, run] for s in SOURCES if (s, run) in cells()), None)


@cache
def cells() -> dict[tuple[str, Run], PaperCell]:
    """All results, by source and run: the tables' cells, and the means of the figures' dots."""
    found = {}
    for row in (*lines(TABLES), *lines(MORE_TABLES)):
        found[row["source"], run_of(row)] = PaperCell(
            label(row["source"]),
            row["dataset"],
            float(row["acc_mean"]),
            float(row["acc_sd"]) if row["acc_sd"] else None,
            row["note"],
        )
    for run, dots in runs_of_figures().items():
        source = {"CIFAR-10": "Figure1", "CIFAR-100": "Figure2"}[run.data] + f" {run.data}"
        accuracies = [float(dot["test_acc"]) for dot in dots]
        found[source, run] = PaperCell(
            label(source),
            run.data,
            round(statistics.mean(accuracies), 2),
            round(statistics.stdev(accuracies), 2),
            "; ".join(f"seed {dot['seed']}: {dot['note']}" for dot in dots if dot["note"]),
        )
    return found


def label(source: str) -> str:
    """For example "Table 2" of "Table2 CIFAR-10"."""
    return re.sub(r"(\d)", r" \1", source.split()[0])


@cache
def runs_of_figures() -> dict[Run, list[dict[str, str]]]:
    """Of each run in Figures 1 and 2 a line for each seed."""
    found: dict[Run, list[dict[str, str]]] = {}
    for row in lines(SEEDS):
        found.setdefault(run_of(row), []).append(row)
    return found


def seeds(
    method: str, init: str, density: float, multiplier: int = 1, data: str = "CIFAR-10"
) -> list[float]:
    """Test accuracy in percent of each of the paper's runs with these coordinates.

    Arguments as for `cell`; an empty list where the figures show none.
    """
    dots = runs_of_figures().get(Run(data, method, init, density, multiplier), [])
    return [float(dot["test_acc"]) for dot in dots]


def run_of(row: Mapping[str, str]) -> Run:
    """The run of a line in a CSV file; one without lr, alpha and Delta T has the usual ones."""
    run = Run(
        row["dataset"],
        row["method"],
        row["init"],
        float(row["density"]),
        int(row["train_multiplier"]),
    )
    if "lr" not in row:
        return run
    return run._replace(lr=float(row["lr"]), alpha=float(row["alpha"]), delta_t=int(row["delta_t"]))


@cache
def lines(path: Path) -> tuple[dict[str, str], ...]:
    """The lines of a CSV file, each by column name."""
    with path.open(newline="") as file:
        return tuple(csv.DictReader(file))
