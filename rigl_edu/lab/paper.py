"""The numbers of the reproduction paper, read from two CSV files, never typed.

`paper_tables.csv` holds every cell of Tables 2, 3 and 5 of Sundar and Dwaraknath, "[Re] Rigging the
Lottery: Making All Tickets Winners", ReScience C 7(2) #21, 2021. Its notes name cells that do not
agree with the paper's own figures. `paper_per_seed.csv` holds single runs, read off the paper's
vector figures (good to about 0.01 points); runs below a figure's axis are missing.
"""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLES = Path(__file__).with_name("paper_tables.csv")
SEEDS = Path(__file__).with_name("paper_per_seed.csv")


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


@dataclass(frozen=True)
class PaperCell:
    """One published result.

    Attributes:
        table: the paper's table, for example "Table 2".
        data: the data set the paper used.
        accuracy: test top-1 accuracy in percent, mean of the paper's seeds.
        sd: sample standard deviation over those seeds, in points.
        note: what is doubtful about the cell; empty if nothing is known.
    """

    table: str
    data: str
    accuracy: float
    sd: float
    note: str


@cache
def rows() -> tuple[dict[str, str], ...]:
    """The lines of the CSV file, each by column name."""
    with TABLES.open(newline="") as file:
        return tuple(csv.DictReader(file))


def cell(
    source: str, method: str, init: str, density: float, multiplier: int = 1, data: str = "CIFAR-10"
) -> PaperCell:
    """The one published result with these coordinates.

    Args:
        source: the table as the CSV names it, for example "Table2 CIFAR-10".
        method: for example "RigL" or "Small-Dense".
        init: "Random" (uniform), "ERK", or "-" where the paper has no choice.
        density: 0.1 or 0.2; 1.0 for dense.
        multiplier: 2 or 3 for longer training.
        data: "CIFAR-10" or "CIFAR-100".

    Raises:
        ValueError: there is no such cell, or the table has several.
    """
    wanted = (source, data, method, init, multiplier, density)
    found = [row for row in rows() if coordinates(row) == wanted]
    if len(found) != 1:
        raise ValueError(f"{len(found)} cells of the paper match {wanted}, expected one")
    row = found[0]
    number = row["source"].split()[0].removeprefix("Table")
    return PaperCell(
        f"Table {number}", row["dataset"], float(row["acc_mean"]), float(row["acc_sd"]), row["note"]
    )


def coordinates(row: dict[str, str]) -> tuple[str, str, str, str, int, float]:
    """What identifies a line of the CSV file."""
    return (
        row["source"],
        row["dataset"],
        row["method"],
        row["init"],
        int(row["train_multiplier"]),
        float(row["density"]),
    )


def seeds(
    method: str, init: str, density: float, multiplier: int = 1, data: str = "CIFAR-10"
) -> list[float]:
    """Test accuracy in percent of each of the paper's runs with these coordinates.

    Arguments as for `cell`; an empty list where the figures show none.
    """
    with SEEDS.open(newline="") as file:
        return [
            float(row["test_acc"])
            for row in csv.DictReader(file)
            if (row["dataset"], row["method"], row["init"]) == (data, method, init)
            and (int(row["train_multiplier"]), float(row["density"])) == (multiplier, density)
        ]
