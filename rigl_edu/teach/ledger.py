"""The ledger on a page: a table for each topic, and its intervals as a picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from matplotlib.axes import Axes

from ..lab.claims import Entry, by_place
from ..lab.claims_cli import by_sentence, commands, difference_text, html_ledger, side_title
from ..lab.paper_claims import region
from ..lab.recipes import RECIPES
from ..lab.tables import arithmetic, html_of, make_row
from ..lab.verdict import FAILS, HOLDS, NOT_RUN, UNDECIDED
from .beside_paper import seed_links
from .html import Html, columns
from .style import BLUE, INK, MUTED, ORANGE

HEADER = ("claim", "the paper's runs", "our runs")
# Shape and fill tell the verdicts apart without the colour.
MARKS = {HOLDS: ("o", BLUE, BLUE), UNDECIDED: ("o", "white", MUTED), FAILS: ("X", ORANGE, INK)}


def ledger_table(entries: Iterable[Entry], topic: str) -> Html:
    """A row for each claim and data set: by density the difference, its interval, the verdict.

    Args:
        entries: of `lab.claims.ledger`.
        topic: a key of `lab.paper_claims.TOPICS`.
    """
    lines, plain = [], []
    for claim, group in by_sentence(entry for entry in entries if entry.claim.topic == topic):
        for dataset in dict.fromkeys(entry.dataset for entry in group):
            mine = [entry for entry in group if entry.dataset == dataset]
            paper, full, mini = (
                cell([e for e in mine if e.whose == whose]) for whose in ("paper", "full", "mini")
            )
            where = f'<span style="font-weight:400">{dataset}; {escape(claim.where)}</span>'
            title = f'<div style="min-width:13em">{escape(claim.sentence)}<br>{where}</div>'
            lines.append((title, paper or "–", full + mini or "–"))
            plain += [(claim.sentence, f"{e.density:g}", e.whose, e.data, *result(e)) for e in mine]
    return Html(html_of(HEADER, lines), columns(*plain))


def cell(entries: Sequence[Entry]) -> str:
    """Entries of one claim, data set and protocol: a line a density, and the command for the rest.

    Our lines stand under the name of their protocol and of their data, because both may be others
    than the paper's. Without entries the text is empty.
    """
    lines = []
    judged = [entry for entry in entries if entry.verdict != NOT_RUN]
    places: dict[str, list[Entry]] = {}
    for entry in judged:
        how = arithmetic(entry.precision, entry.processes)
        places.setdefault(f"{entry.data}, {how}", []).append(entry)
    for place, mine in places.items():
        if judged[0].whose != "paper":
            lines.append(escape(f"{judged[0].whose}, {place}"))
        lines += [f"{entry.density:g}: {' '.join(result(entry))}" for entry in mine]
    text = "".join(f'<div style="white-space:nowrap">{line}</div>' for line in lines)
    for command in commands(entries):
        missing = f"<summary>{entries[0].whose}: not run yet</summary>"
        text += f"<details>{missing}<code>{escape(command)}</code></details>"
    return text


def whole_ledger(entries: Sequence[Entry]) -> Html:
    """Every entry with both means, seeds and devices, folded away."""
    title = f"All {len(entries)} entries, with both means, seeds and devices"
    text = f"<details><summary>{title}</summary>{html_ledger(entries)}</details>"
    return Html(text, f"{title}: python -m rigl_edu claims")


def result(entry: Entry) -> tuple[str, str]:
    """Difference with its interval, and verdict."""
    found = entry.difference
    return ("" if found is None else difference_text(found), entry.verdict)


def draw_intervals(entries: Iterable[Entry], ax: Axes, reach: float = 3.0) -> Axes:
    """Judged entries from top to bottom: the interval of each, on the region that its claim names.

    Args:
        entries: those that were not run are left out.
        ax: where to draw.
        reach: points to show on either side of 0; longer intervals are cut off.
    """
    judged = [entry for entry in entries if entry.difference is not None]
    for y, entry in enumerate(judged):
        found, (low, high) = entry.difference, region(entry.claim.relation, entry.dataset)
        assert found is not None
        left, right = max(low, -reach), min(high, reach)
        ax.barh(y, right - left, left=left, height=0.8, color="#e8f1f7", zorder=1)
        marker, face, edge = MARKS[entry.verdict]
        ax.plot([found.low, found.high], [y, y], color=edge, linewidth=1.5, zorder=2)
        ax.plot(found.mean, y, marker, color=face, markeredgecolor=edge, markersize=7, zorder=3)
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.set_yticks(range(len(judged)), [label(entry) for entry in judged], fontsize=8)
    ax.set(xlim=(-reach, reach), ylim=(len(judged) - 0.4, -0.6))
    ax.set_xlabel("first - second, points of test accuracy")
    ax.grid(axis="y", visible=False)
    return ax


def label(entry: Entry) -> str:
    """For example "RigL, ERK masks - SET, ERK masks, 0.1"."""
    first, second = side_title(entry.claim.first), side_title(entry.claim.second)
    return f"{first} - {second}, {entry.density:g}"


def record_links(records: Iterable[dict[str, Any]], protocol: str, repository: str) -> Html:
    """The records behind a protocol's entries, folded: a line a recipe, data set and arithmetic.

    Args:
        records: all there are; those of another version of their recipe are left out.
        protocol: how the recipes' names begin, for example "mini-".
        repository: address of the repository's main branch.
    """
    records = list(records)
    names = [name for name in RECIPES if name.startswith(protocol)]
    groups = [runs for name in names for runs in by_place(name, records).values()]
    lines = []
    for row in map(make_row, groups):
        links = seed_links(row, repository)
        lines.append((row.recipe, escape(row.data), row.arithmetic, row.result, links))
    header = ("recipe", "data", "precision", "test accuracy %", "records, by seed")
    title = f"{sum(map(len, groups))} records of {len(groups)} recipes"
    text = f"<details><summary>{title}</summary>{html_of(header, lines)}</details>"
    return Html(text, columns(*[line[:-1] for line in (header, *lines)]))
