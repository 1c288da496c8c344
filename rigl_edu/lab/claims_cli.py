"""The ledger as text, Markdown or HTML: `python -m rigl_edu claims`."""

import argparse
import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from . import data
from .claims import Entry, ledger
from .paper_claims import NAMES, NOT_JUDGED, SIMILAR, Claim, Side
from .recipes import RECIPES
from .records import RESULTS, load_records
from .tables import arithmetic, html_of, markdown_of, text_of
from .verdict import Difference, Sample

HEADER = ("density", "runs", "data", "first", "second", "first - second", "verdict", "device")

MARGINS = " and ".join(f"{margin} points on {dataset}" for dataset, margin in SIMILAR.items())
RULE = f"""\
A number after ± in the column "first - second" is half the width of Welch's 90 % interval. A claim
holds if the whole interval lies where the claim says, does not hold if none of it does, and is
undecided otherwise. "Above" means above 0; "matches", "at least" and "no better" allow
{MARGINS}. Fewer than three seeds on a side are not judged.
First and second are mean ± standard deviation (seeds)."""


def text_ledger(entries: Sequence[Entry]) -> str:
    """For a terminal: the rule, a block for each claim, and what is not judged."""
    blocks = [RULE]
    for claim, mine in by_sentence(entries):
        lines = [f"{claim.sentence} ({claim.where})", f"  {sides_title(claim)}"]
        table = text_of(HEADER, [cells(entry) for entry in mine])
        lines += [f"  {line}" for line in table.splitlines()]
        lines += [f"  to run: {text}" for text in commands(mine)]
        blocks.append("\n".join(lines))
    left_out = [f"  {claim} ({where}): {why}" for claim, where, why in NOT_JUDGED]
    blocks.append("\n".join(["Not judged", *left_out]))
    return "\n\n".join(blocks)


def markdown_ledger(entries: Sequence[Entry]) -> str:
    """For a text file."""
    blocks = [RULE]
    for claim, mine in by_sentence(entries):
        blocks.append(f"**{claim.sentence}** ({claim.where})  \n{sides_title(claim)}")
        blocks.append(markdown_of(HEADER, [cells(entry) for entry in mine]))
        blocks += [f"To run: `{text}`" for text in commands(mine)]
    left_out = [f"- {claim} ({where}): {why}" for claim, where, why in NOT_JUDGED]
    blocks += ["**Not judged**", "\n".join(left_out)]
    return "\n\n".join(blocks)


def html_ledger(entries: Sequence[Entry]) -> str:
    """For a page: plain tables with captions, no styles."""
    blocks = [f"<p>{html.escape(RULE)}</p>"]
    for claim, mine in by_sentence(entries):
        lines = [[html.escape(text) for text in cells(entry)] for entry in mine]
        caption = html.escape(f"{claim.sentence} ({claim.where}). {sides_title(claim)}")
        blocks.append(html_of(HEADER, lines, caption))
        blocks += [f"<p>To run: <code>{html.escape(text)}</code></p>" for text in commands(mine)]
    left_out = [html.escape(f"{claim} ({where}): {why}") for claim, where, why in NOT_JUDGED]
    blocks.append("<p>Not judged</p><ul><li>" + "</li><li>".join(left_out) + "</li></ul>")
    return "\n".join(blocks)


def by_sentence(entries: Iterable[Entry]) -> list[tuple[Claim, list[Entry]]]:
    """Entries by what is claimed, with the first claim that says so."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.claim.sentence, []).append(entry)
    return [(group[0].claim, group) for group in groups.values()]


def sides_title(claim: Claim) -> str:
    """Which side is which, and what is claimed of them."""
    first, second = side_title(claim.first), side_title(claim.second)
    return f"first: {first}; second: {second}; claimed: {claim.relation}"


def side_title(side: Side) -> str:
    """For example "RigL 2x, ERK masks"."""
    title = NAMES[side.method] + ("" if side.times == 1 else f" {side.times}x")
    masks = side.masks if side.masks == "uniform" else side.masks.upper()
    return title if masks == "-" else f"{title}, {masks} masks"


def cells(entry: Entry) -> tuple[str, ...]:
    """An entry in the order of `HEADER`."""
    found = entry.difference
    return (
        f"{entry.density:g}",
        entry.whose,
        f"{entry.data}, {arithmetic(entry.precision, entry.processes)}",
        sample_text(entry.first),
        sample_text(entry.second),
        "" if found is None else difference_text(found),
        entry.verdict,
        ", ".join(entry.devices),
    )


def sample_text(side: Sample | None) -> str:
    """For example "92.43 ± 0.06 (3)"; one run has no spread."""
    if side is None:
        return ""
    spread = f" ± {side.sd:.2f}" if side.n > 1 else ""
    return f"{side.mean:.2f}{spread} ({side.n})"


def difference_text(found: Difference) -> str:
    """For example "+0.24 ± 0.10"."""
    return f"{found.mean:+.2f} ± {found.half_width:.2f}"


def commands(entries: Iterable[Entry]) -> list[str]:
    """The commands that make what is missing, one for each protocol, data set and arithmetic."""
    groups: dict[tuple[Any, ...], list[str]] = {}
    for entry in entries:
        if entry.missing:
            place = entry.data, entry.precision, entry.processes
            groups.setdefault((entry.whose, *place), []).extend(entry.missing)
    return [command(names, *place) for (_, *place), names in groups.items()]


def command(names: Iterable[str], data_name: str, precision: str, processes: int) -> str:
    """The command that makes the missing runs of recipes. A directory is looked for in data/.

    Runs that have a record are skipped, those of another version of their recipe are not.
    """
    names = list(dict.fromkeys(names))
    start = "python" if processes == 1 else f"torchrun --nproc-per-node {processes}"
    run = f"{start} -m rigl_edu run {' '.join(names)}"
    if precision != RECIPES[names[0]].precision:
        run += " --fast"
    if data_name == RECIPES[names[0]].data:
        return run
    return f"{run} --data {data_name if data_name in data.NAMES else f'data/{data_name}'}"


FORMATS = {"text": text_ledger, "markdown": markdown_ledger, "html": html_ledger}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m rigl_edu claims`."""
    parser.add_argument("--out", type=Path, default=RESULTS, help="directory of the records")
    parser.add_argument("--format", choices=FORMATS, default="text")


def main(args: argparse.Namespace) -> int:
    """Print the ledger.

    Raises:
        ValueError: a file among the records is none.
    """
    print(FORMATS[args.format](ledger(load_records(args.out))))
    return 0
