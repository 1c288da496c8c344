"""The full runs of a chapter: the paper's number and ours in one row, with the record behind it."""

from __future__ import annotations

from html import escape

from ..lab.claims import by_place
from ..lab.recipes import RECIPES
from ..lab.records import RESULTS, load_records, published_results, record_path
from ..lab.tables import html_of, make_row
from .html import Html, columns

REPOSITORY = "https://github.com/rigl-edu/rigl_edu/blob/main"
HEADER = ("run", "the paper", "ours", "our data", "training FLOPs", "minutes", "records")
NOT_YET = "not run yet"


def full_run(*names: str) -> Html:
    """One line a recipe, or several if its records are of several data sets or precisions.

    Accuracy is test accuracy in percent, mean ± standard deviation over seeds. Training FLOPs are a
    share of dense training. Records of another version of a recipe are left out.

    Args:
        names: of recipes, as `python -m rigl_edu list` prints them.

    Raises:
        KeyError: for a name that no recipe has.
    """
    records = load_records(published_results())
    lines = []
    for name in names:
        recipe = RECIPES[name]
        paper = "–" if recipe.paper is None else f"{recipe.paper.result} ({recipe.paper.table})"
        groups = list(by_place(name, records).values())
        if not groups:
            lines.append((recipe.title, paper, NOT_YET, "", "", "", f"<code>{name}</code>"))
        for row in map(make_row, groups):
            links = " ".join(
                f'<a href="{REPOSITORY}/'
                f'{record_path(RESULTS, row.recipe, row.data, seed).as_posix()}">{seed}</a>'
                for seed in row.accuracies
            )
            spread = "" if row.sd is None else f" ± {row.sd:.2f}"
            flops, minutes = f"{row.train_flops_ratio:.3f}", f"{row.minutes:.1f}"
            ours = f"{row.mean:.2f}{spread}"
            lines.append((recipe.title, paper, ours, escape(row.data), flops, minutes, links))
    plain = columns(*[line[:-1] for line in (HEADER, *lines)])  # a terminal has no links
    return Html(html_of(HEADER, lines), plain)
