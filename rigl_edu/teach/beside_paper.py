"""Our runs beside the paper's, in one table that says of each number what it is."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from statistics import mean, stdev

from ..lab import paper
from ..lab.records import RESULTS, record_path
from ..lab.tables import Row, html_of
from .html import Html, columns

HEADER = ("", "density", "paper", "ours", "data of ours", "FLOPs", "minutes", "records")


def beside_paper(rows: Sequence[Row], repository: str) -> Html:
    """One line a recipe: the paper's accuracy with ERK masks, ours, and links to our records.

    The two are different networks on different data, so the table puts no difference between them.

    Args:
        rows: of `lab.table_rows`, one for each recipe, data set and precision.
        repository: address of the repository's main branch, to link the records.
    """
    lines = []
    for row in rows:
        lines.append(
            (
                paper.NAMES[row.method],
                f"{row.density:.2g}",
                published(row.method, round(row.density, 2)),
                row.result,
                escape(row.data),
                f"{row.train_flops_ratio:.3f}",
                f"{row.minutes:.1f}",
                seed_links(row, repository),
            )
        )
    table = html_of(HEADER, lines)
    plain = columns(*[line[:-1] for line in (HEADER, *lines)])  # a terminal has no links
    return Html(f'<div style="white-space:nowrap">{table}</div>', plain)


def seed_links(row: Row, repository: str) -> str:
    """The records behind a row, as HTML: each seed leads to its file.

    Args:
        row: of `lab.tables`.
        repository: address of the repository's main branch.
    """
    paths = {
        seed: record_path(RESULTS, row.recipe, row.data, seed, row.processes).as_posix()
        for seed in row.accuracies
    }
    return " ".join(f'<a href="{repository}/{path}">{seed}</a>' for seed, path in paths.items())


def published(method: str, density: float) -> str:
    """The paper's CIFAR-10 accuracy with ERK masks: Table 2's, else the mean of its figure's dots.

    The latter is marked by a star. "–" where it published neither.
    """
    name = paper.NAMES[method]
    try:
        init = "-" if method == "dense" else "ERK"
        cell = paper.cell("Table2 CIFAR-10", name, init, density)
        return f"{cell.accuracy} ± {cell.sd}"
    except ValueError:
        dots = paper.seeds(name, "ERK", density)
        return f"{mean(dots):.1f} ± {stdev(dots):.2f}*" if len(dots) > 1 else "–"
