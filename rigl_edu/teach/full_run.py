"""The full runs of a chapter: the paper's number and ours in one row, with the record behind it."""

from __future__ import annotations

from html import escape
from statistics import mean

from ..lab.claims import by_place
from ..lab.recipes import RECIPES
from ..lab.records import load_records, published_results
from ..lab.tables import make_row
from .beside_paper import seed_links
from .html import Html, columns

REPOSITORY = "https://github.com/rigl-edu/rigl_edu/blob/main"
HEADER = ("run", "the paper", "ours", "FLOPs", "minutes")
NOT_YET = "not run yet"


def full_run(*names: str) -> Html:
    """One row a recipe, or several if its records are of several data sets or arithmetics.

    Rows of one network stand together, under its name. Accuracy is test accuracy in percent, mean ±
    standard deviation over seeds. Below the paper's stands what is doubtful about it. Below ours
    stand the data it was measured on, the arithmetic if it is not fp32, of a twin its mean
    instability (LII) in points, and the seeds, each a link to its record. FLOPs are of training, as
    a share of dense training; minutes are a run's median. Records of another version of a recipe
    are left out.

    Args:
        names: of recipes, as `python -m rigl_edu list` prints them.

    Raises:
        KeyError: for a name that no recipe has.
    """
    records = load_records(published_results())
    plain: list[tuple[str, ...]] = [HEADER]  # a terminal has no links
    networks: dict[str, list[str]] = {}
    for name in names:
        recipe = RECIPES[name]
        network, _, what = recipe.title.partition(", ")
        run = f"{_narrow(what, 12)}<code>{name}</code>"
        paper: tuple[str, ...] = ("–",)
        if recipe.paper is not None:
            paper = recipe.paper.result, recipe.paper.table
        beside = "<br>".join(paper)
        if recipe.paper is not None and recipe.paper.note:
            paper += (f"({recipe.paper.note})",)
            beside += _narrow(paper[-1], 8)
        lines = networks.setdefault(network, [])
        groups = list(by_place(name, records).values())
        if not groups:
            plain.append((recipe.title, " ".join(paper), NOT_YET, "", ""))
            lines.append(_line(run, beside, f'<td colspan="3">{NOT_YET}</td>'))
        for row in map(make_row, groups):
            lii = (f"LII {mean(row.barriers):.1f}",) if row.barriers else ()
            where = row.data if row.arithmetic == "fp32" else f"{row.data}, {row.arithmetic}"
            ours = row.result, *lii, where
            rest = f"{row.train_flops_ratio:.3f}", f"{row.minutes:.1f}"
            plain.append((recipe.title, " ".join(paper), " ".join(ours), *rest))
            seeds = f"seeds {seed_links(row, REPOSITORY)}"
            cells = "<br>".join([*map(escape, ours), seeds]), *rest
            lines.append(_line(run, beside, "".join(f"<td>{cell}</td>" for cell in cells)))
    return Html(_table(networks), columns(*plain))


def _narrow(text: str, least: int) -> str:
    """Text that may break, in a table whose other cells may not; at least so many em wide."""
    return f'<div style="white-space:normal;min-width:{least}em">{escape(text)}</div>'


def _line(run: str, beside: str, ours: str) -> str:
    head = f'<th scope="row" style="font-weight:400">{run}</th>'
    return f'<tr style="vertical-align:top">{head}<td>{beside}</td>{ours}</tr>'


def _table(networks: dict[str, list[str]]) -> str:
    """Each network's rows below a row with its name."""
    head = "".join(f'<th scope="col">{name}</th>' for name in HEADER)
    bodies = "\n".join(
        f'<tbody><tr><th scope="rowgroup" colspan="{len(HEADER)}">{escape(network)}</th></tr>\n'
        + "\n".join(lines)
        + "</tbody>"
        for network, lines in networks.items()
    )
    table = f"<table>\n<thead><tr>{head}</tr></thead>\n{bodies}\n</table>"
    return f'<div style="white-space:nowrap">{table}</div>'
