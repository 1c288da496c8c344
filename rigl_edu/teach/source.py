"""Show a page the package's own code: the function that runs, not a copy of it."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .html import Markdown

PACKAGE = Path(__file__).parent.parent


def show_source(
    *things: Callable[..., Any] | type, docstring: bool = True, fold: str = ""
) -> Markdown:
    """The source of functions or classes, highlighted, each under the path of its file.

    Args:
        things: functions, methods or classes of this package. A notebook shows what a cell ends
            with and nothing before it, so several belong in one call.
        docstring: False leaves out its docstrings.
        fold: a title; the code is then folded away under it.

    Raises:
        ValueError: for something that this package did not define.
    """
    text = "\n\n".join(_listing(thing, docstring) for thing in things)
    if fold:
        text = f"<details><summary>{fold}</summary>\n\n{text}\n\n</details>"
    return Markdown(text)


def _listing(thing: Callable[..., Any] | type, docstring: bool) -> str:
    thing = inspect.unwrap(thing)  # through decorators such as torch.no_grad()
    file = Path(inspect.getfile(thing))
    if PACKAGE not in file.parents:
        raise ValueError(f"{thing!r} is not part of rigl_edu")
    code = textwrap.dedent(inspect.getsource(thing)).rstrip()
    if not docstring:
        code = _without_docstrings(code)
    # No line number: it would change with every edit above.
    path = file.relative_to(PACKAGE.parent).as_posix()
    return f"`{path}`\n\n```python\n{code}\n```"


def _without_docstrings(code: str) -> str:
    lines: list[str | None] = list(code.splitlines())
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            first = node.body[0]
            if ast.get_docstring(node) is not None and len(node.body) > 1:
                end = first.end_lineno or first.lineno
                lines[first.lineno - 1 : end] = [None] * (end - first.lineno + 1)
                if end < len(lines) and lines[end] == "":  # the blank line that set it apart
                    lines[end] = None
    return "\n".join(line for line in lines if line is not None)
