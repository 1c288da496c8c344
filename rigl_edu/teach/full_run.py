"""The full runs of a chapter: the paper's number and ours in one row, with the record behind it."""

from __future__ import annotations

from html import escape
from statistics import mean

from ..lab.claims import by_place
from ..lab.recipes import RECIPES
from ..lab.records import load_records, published_results
from ..lab.tables import html_of, make_row
from .beside_paper import seed_links
from .html import Html, columns

REPOSITORY = "https://github.com/rigl-edu/rigl_edu/blob/main"
HEADER = ("run", "the paper", "ours", "FLOPs", "minutes", "records")
NOT_YET = "not run yet"


def full_run(*names: str) -> Html:
    """One line a recipe, or several if its records are of several data sets or precisions.

    Accuracy is test accuracy in percent, mean ± standard deviation over seeds. Below the paper's
    stands what is doubtful about it. Below ours stand the data it was measured on, the precision if
    it is not fp32, and of a twin its mean instability (LII) in points. FLOPs are of training, as a
    share of dense training. Records of another version of a recipe are left out.

    Args:
        names: of recipes, as `python -m rigl_edu list` prints them.

    Raises:
        KeyError: for a name that no recipe has.
    """
    records = load_records(published_results())
    plain, lines = [HEADER[:-1]], []  # a terminal has no links
    for name in names:
        recipe = RECIPES[name]
        title = f"{escape(recipe.title)}<br><code>{name}</code>"
        title = f'<div style="white-space:normal;min-width:10em">{title}</div>'
        paper: tuple[str, ...] = ("–",)
        if recipe.paper is not None:
            paper = recipe.paper.result, recipe.paper.table
        beside = "<br>".join(paper)
        if recipe.paper is not None and recipe.paper.note:
            paper += (f"({recipe.paper.note})",)
            note = f'<div style="white-space:normal;min-width:8em">{escape(paper[-1])}</div>'
            beside += note
        groups = list(by_place(name, records).values())
        if not groups:
            plain.append((recipe.title, " ".join(paper), NOT_YET, "", ""))
            lines.append((title, beside, NOT_YET, "", "", ""))
        for row in map(make_row, groups):
            lii = (f"LII {mean(row.barriers):.1f}",) if row.barriers else ()
            where = row.data if row.precision == "fp32" else f"{row.data}, {row.precision}"
            links, ours = seed_links(row, REPOSITORY), (row.result, *lii, where)
            rest = (f"{row.train_flops_ratio:.3f}", f"{row.minutes:.1f}")
            plain.append((recipe.title, " ".join(paper), " ".join(ours), *rest))
            lines.append((title, beside, "<br>".join(map(escape, ours)), *rest, links))
    table = html_of(HEADER, lines)
    return Html(f'<div style="white-space:nowrap">{table}</div>', columns(*plain))
