"""Tables from records: mean and spread over seeds, beside the paper's number."""

import html
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rigl_edu.sparse import longer_flops

from .paper import PaperCell
from .recipes import times_as_long
from .records import processes_of

HEADER = (
    "recipe",
    "data",
    "precision",
    "density",
    "seeds",
    "test accuracy %",
    "training FLOPs",
    "minutes a run",
    "paper",
)


@dataclass(frozen=True)
class Row:
    """The runs of one recipe on one data set in one arithmetic; they differ in the seed alone.

    Attributes:
        recipe: name.
        method: "dense", "static", "set", "snfs" or "rigl".
        data: name of the data set.
        precision: "fp32", "bf16" or "fp16".
        density: mean over runs.
        accuracies: test accuracy in percent by seed, in the order of the seeds.
        train_flops_ratio: mean over runs, to dense training of the usual length.
        minutes: median wall time of a run.
        paper: the published result, if the recipe has one.
        barriers: to the runs that these are twins of, in points; empty for other runs.
        processes: that trained each run together.
    """

    recipe: str
    method: str
    data: str
    precision: str
    density: float
    accuracies: dict[int, float]
    train_flops_ratio: float
    minutes: float
    paper: PaperCell | None
    barriers: tuple[float, ...] = ()
    processes: int = 1

    @property
    def mean(self) -> float:
        """Mean test accuracy in percent."""
        return statistics.mean(self.accuracies.values())

    @property
    def sd(self) -> float | None:
        """Sample standard deviation over seeds in points; None for one seed."""
        if len(self.accuracies) < 2:
            return None
        return statistics.stdev(self.accuracies.values())

    @property
    def result(self) -> str:
        """For example "69.79 ± 0.24"; without "±" for one seed."""
        return f"{self.mean:.2f}" if self.sd is None else f"{self.mean:.2f} ± {self.sd:.2f}"

    @property
    def arithmetic(self) -> str:
        """For example "bf16, 2 processes"."""
        return arithmetic(self.precision, self.processes)


def arithmetic(precision: str, processes: int) -> str:
    """In words; one process is not mentioned."""
    return precision if processes == 1 else f"{precision}, {processes} processes"


def table_rows(records: Iterable[dict[str, Any]]) -> list[Row]:
    """A row for each recipe, data set, precision and number of processes.

    Fingerprints count: two versions of a recipe, or two data sets of one name, are never averaged.

    Raises:
        ValueError: two records of one group have the same seed.
    """
    return [make_row(group) for group in alike(records)]


def alike(records: Iterable[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Records that differ in the seed alone, together; groups in the order of their first ones."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for record in records:
        data = record["data"]
        run = record["recipe"]["name"], record["recipe_fingerprint"]
        place = data["name"], data["fingerprint"], record["precision"], processes_of(record)
        groups.setdefault((*run, *place), []).append(record)
    return list(groups.values())


def make_row(group: Sequence[dict[str, Any]]) -> Row:
    """One row from records that differ in the seed alone."""
    first = group[0]
    recipe, paper = first["recipe"], first["recipe"]["paper"]
    once = statistics.mean(r["train_flops_ratio"] for r in group)
    accuracies = {r["seed"]: r["test_accuracy"] for r in sorted(group, key=lambda r: r["seed"])}
    if len(accuracies) != len(group):
        seeds = sorted(r["seed"] for r in group)
        raise ValueError(
            f"several records of {recipe['name']} have one seed; the seeds are {seeds}"
        )
    return Row(
        recipe=recipe["name"],
        method=recipe["method"],
        data=first["data"]["name"],
        precision=first["precision"],
        density=statistics.mean(r["density"] for r in group),
        accuracies=accuracies,
        train_flops_ratio=longer_flops(once, times_as_long(recipe["name"])),
        minutes=statistics.median(r["wall_seconds"] for r in group) / 60,
        paper=PaperCell(**paper) if paper else None,
        barriers=tuple(r["barrier"] for r in group if "barrier" in r),
        processes=processes_of(first),
    )


def cells(row: Row) -> tuple[str, ...]:
    """A row as text, in the order of `HEADER`."""
    paper = "–"
    if row.paper is not None:
        doubt = f"; {row.paper.note}" if row.paper.note else ""
        where = f"{row.paper.table}, {row.paper.data}{doubt}"
        paper = f"{row.paper.result} ({where})"
    return (
        row.recipe,
        row.data,
        row.arithmetic,
        f"{row.density:.3g}",
        str(len(row.accuracies)),
        row.result,
        f"{row.train_flops_ratio:.3f}x",
        f"{row.minutes:.1f}",
        paper,
    )


def text_table(rows: Sequence[Row]) -> str:
    """For a terminal."""
    return text_of(HEADER, [cells(row) for row in rows])


def markdown_table(rows: Sequence[Row]) -> str:
    """For a text file."""
    return markdown_of(HEADER, [cells(row) for row in rows])


def html_table(rows: Sequence[Row]) -> str:
    """For a page: a plain <table> with a header row and scopes, no styles."""
    return html_of(HEADER, [[html.escape(text) for text in cells(row)] for row in rows])


def text_of(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Columns under a ruled header."""
    table = [header, *lines]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    padded = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in table]
    padded.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in padded)


def markdown_of(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    table = [header, ("---",) * len(header), *lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in table)


def html_of(header: Sequence[str], lines: Iterable[Sequence[str]], caption: str = "") -> str:
    """A <table> whose first cells are row headers.

    Args:
        header: names of the columns.
        lines: cells of each row, as HTML.
        caption: HTML above the table.
    """
    head = "".join(f'<th scope="col">{name}</th>' for name in header)
    body = []
    for first, *rest in lines:
        data = "".join(f"<td>{cell}</td>" for cell in rest)
        body.append(f'<tr><th scope="row">{first}</th>{data}</tr>')
    title = f"<caption>{caption}</caption>\n" if caption else ""
    return (
        f"<table>\n{title}<thead><tr>{head}</tr></thead>\n<tbody>\n"
        + "\n".join(body)
        + "\n</tbody>\n</table>"
    )
