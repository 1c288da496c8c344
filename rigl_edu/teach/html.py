"""What a cell shows: text that is the same in every run and needs no notebook to be made.

Own classes, because IPython's print their memory address or their class path as plain text, which
differs between versions; a page's output must not.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


class Html:
    """HTML for a notebook; `plain` is what a terminal shows instead."""

    def __init__(self, html: str, plain: str) -> None:
        self.html, self.plain = html, plain

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.plain


class Markdown:
    """Markdown for a notebook, and the same text for a terminal."""

    def __init__(self, text: str) -> None:
        self.text = text

    def _repr_markdown_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text


def columns(*lines: Sequence[str]) -> str:
    """Rows of cells as aligned text, for a terminal."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [[c.ljust(w) for c, w in zip(line, widths, strict=True)] for line in lines]
    return "\n".join("  ".join(cells).rstrip() for cells in padded)


def inline(text: str) -> str:
    """Escape text for HTML; `backticks` become code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))


def words(html: str, plain: str) -> Html:
    """HTML text with `<details>` in it, legible in the light and the dark theme of every place."""
    return Html(f'<style>{STYLE}</style><div class="rigl-words">{html}</div>', plain)


# The book, Colab, JupyterLab and VS Code each say in their own way that it is dark. The book puts
# HTML outputs on a light card then; these bring their own colours and take the card away.
STYLE = """
.rigl-words{--ink:#1b2129;--line:#c9d0d8;--yes:#00694e;--no:#a3400a;--soft:#f3f5f7;color:var(--ink)}
html[data-theme="dark"] .rigl-words,html[theme="dark"] .rigl-words,
body[data-jp-theme-light="false"] .rigl-words,body.vscode-dark .rigl-words{
--ink:#eef2f6;--line:#465262;--yes:#4fdcae;--no:#ffb072;--soft:#232b36}
html[data-theme="dark"] .cell_output .text_html:has(.rigl-words){
background:none!important;padding:0!important}
.rigl-words ol{margin:0;padding-left:1.4em}.rigl-words li{margin:0 0 1em;padding-left:.2em}
.rigl-words p{margin:0 0 .4em;color:inherit}
.rigl-words details{border:1px solid var(--line);border-radius:7px;margin:.35em 0;padding:0;
background:none;box-shadow:none}
.rigl-words summary{cursor:pointer;padding:.45em .8em;color:inherit;font-weight:400}
.rigl-words summary:focus-visible{outline:3px solid var(--yes);outline-offset:2px;border-radius:7px}
.rigl-words details[open]>summary{background:var(--soft)}
.rigl-words details>div{padding:.5em .8em .6em 1.9em}
.rigl-words .yes{color:var(--yes)}.rigl-words .no{color:var(--no)}
.rigl-words code{color:inherit;background:var(--soft);border:0;padding:0 .25em}
"""
