"""The chapters keep to one pattern, and no result is typed by hand."""

import re
from pathlib import Path

import pytest

from tools import seeds

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted((ROOT / "pages").glob("[0-9][0-9]_*.md"))
# Pages with a table of another paper's numbers, and where the page says they are from.
QUOTED = {"05_why_tickets_win": "read off their plots by eye"}
by_chapter = pytest.mark.parametrize("page", CHAPTERS, ids=lambda path: path.stem)


def prose(page: Path) -> str:
    """A page without its cells and fenced code."""
    return re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def test_there_are_seventeen_chapters():
    assert [int(page.stem[:2]) for page in CHAPTERS] == list(range(1, 18))


@by_chapter
def test_it_has_the_parts_of_a_page_in_their_order(page):
    text = page.read_text("utf-8")
    parts = [
        f"\n# {int(page.stem[:2])} · ",
        "{admonition} This page",
        "**Goals.**",
        "**You need.**",
        "**Minutes.**",
        "\n## The question",
        "**What you should see.**",
        "\n## Exercises",
        "\n## Test yourself",
        "\n## Summary",
        "\n## Cited on this page",
    ]
    places = [text.find(part) for part in parts]
    assert -1 not in places, [part for part, at in zip(parts, places, strict=True) if at < 0]
    assert places == sorted(places)
    assert "**What it does not show.**" in text or "\n## What it does not show" in text


@by_chapter
def test_three_exercises_or_more_each_with_minutes_difficulty_checker_hints_and_solution(page):
    part = page.read_text("utf-8").split("\n## Exercises")[1].split("\n## Test yourself")[0]
    titles = re.findall(r"^### (.+)$", part, re.MULTILINE)
    shape = re.compile(r"\d · .+ · \d+ minutes · (easy|medium|hard|open)")
    assert [title for title in titles if not shape.fullmatch(title)] == []
    chapter = f"ch{page.stem[:2]}"
    checked = set(re.findall(rf"check\.{chapter}\.(\w+)\(", part))
    closed = [title for title in titles if not title.endswith("open")]
    assert len(checked) == len(closed) >= 3
    for name in checked:
        assert f"check.{chapter}.{name}.hints()" in part
    assert len(re.findall(r"fold=\"Solution", part)) >= len(closed)


@by_chapter
def test_no_result_is_typed_into_a_table(page):
    """An accuracy in a table of the text would be a result that no cell and no record made."""
    if page.stem in QUOTED:
        assert QUOTED[page.stem] in prose(page)
        return
    rows = [line for line in prose(page).splitlines() if line.startswith("|")]
    assert [row for row in rows if re.search(r"\d\d\.\d", row)] == []


@by_chapter
def test_it_cites_something_and_lists_it(page):
    text = page.read_text("utf-8")
    assert re.search(r"\{cite(:t)?\}`", text)
    assert ":filter: docname in docnames" in text


@by_chapter
def test_its_claims_can_be_tried_with_other_seeds(page):
    if page.stem == "15_reproduction":
        pytest.skip("it trains nothing")
    program = seeds.script(page.read_text("utf-8"), 100)
    compile(program, page.stem, "exec")
    assert "range(100, 105)" in program and "%pip" not in program
