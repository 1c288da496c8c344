"""What a cell shows: text that is the same in every run and needs no notebook to be made.

Own classes, because IPython's print their memory address or their class path as plain text, which
differs between versions; a page's output must not.
"""

from __future__ import annotations

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


def inline(text: str) -> str:
    """Escape text for HTML; `backticks` become code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))
