"""The API page: every public name with its signature and docstring, as Markdown.

    python tools/api.py          write book/api.md
    python tools/api.py check    fail when it is not what the docstrings say

The docstrings are plain text with the sections of Google's style. Sphinx's autodoc would read
them as reStructuredText, where |w| is a substitution and an indented formula a quotation.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

PAGE = Path(__file__).resolve().parent.parent / "book" / "api.md"
SECTIONS = ("Args:", "Returns:", "Yields:", "Raises:", "Attributes:")

INTRO = """# API

Every public name of `rigl_edu.sparse`, file by file, and the networks of `rigl_edu.lab.models`.
Names are imported from the package itself: `from rigl_edu.sparse import drop`. Those most often
needed are also on the package's face: `from rigl_edu import RigL, sparsify`.

This page is made from the docstrings in the code (`python tools/api.py`).
"""

# The order of reading; a test holds that no file is missing.
GROUPS = {
    "Masks and masked layers": "masks layers sparsify structured distributions report",
    "Update rules": "rule rules rule_checks methods criteria rewire optimizer_state schedule "
    "moving_average snfs_reproduced dsr",
    "Pruning and lottery tickets": "pruning gradual rewinding lottery repellent",
    "Greedy forward selection": "selection greedy greedy_global units unit_responses imitation",
    "Starting well": "initialisation",
    "Diagnostics": "gradient_flow interpolation batch_norm function_space curvature "
    "largest_weights angle ticket_verdict",
    "Cost": "flops training_flops",
    "Kernels that skip zeros": "csr rows compressed compressed_layers compress shrink",
}


def page() -> str:
    """The whole page."""
    import rigl_edu.lab.models as models
    import rigl_edu.sparse as sparse

    parts = [INTRO]
    for group, names in GROUPS.items():
        parts.append(f"## {group}\n")
        for name in names.split():
            module = importlib.import_module(f"rigl_edu.sparse.{name}")
            parts += module_text(module, public_names(module, sparse.__all__))
    parts.append("## Networks\n\n### lab.models\n")
    parts.append(markdown(models.__doc__))
    parts += [entry(name, getattr(models, name)) for name in ("small_dense", *models.BUILDERS)]
    return "\n".join(parts).rstrip() + "\n"


def public_names(module: ModuleType, exported: list[str]) -> list[str]:
    """The package's public names that this file defines, in the file's order."""
    source = inspect.getsource(module)
    defined = re.findall(r"^(?:class|def) (\w+)|^([A-Z_]+) =", source, re.MULTILINE)
    return [name for pair in defined for name in pair if name in exported]


def module_text(module: ModuleType, names: list[str]) -> list[str]:
    """A file's heading, its docstring and its names."""
    parts = [f"### {module.__name__.removeprefix('rigl_edu.')}\n", markdown(module.__doc__)]
    return parts + [entry(name, getattr(module, name)) for name in names]


def entry(name: str, value: object) -> str:
    """One name: signature and docstring; a constant with its type and length."""
    if not callable(value):
        numbers = len(value)  # type: ignore[arg-type]
        return f"#### {name}\n\n{numbers} numbers; the text above says which.\n"
    text = f"#### {name}\n\n```python\n{call_of(name, value)}\n```\n\n{markdown(value.__doc__)}"
    if inspect.isclass(value):
        for method, member in vars(value).items():
            if not method.startswith("_") and inspect.isfunction(member) and member.__doc__:
                call = call_of(f"{name}.{method}", member)
                text += f"\n```python\n{call}\n```\n\n{markdown(member.__doc__)}"
    return text


def call_of(name: str, value: Callable[..., object]) -> str:
    """How it is called, one argument a line where a line would be wider than the page."""
    signature = str(inspect.signature(value))
    signature = re.sub(r"\(self(, )?", "(", signature)
    signature = re.sub(r": '([^']*)'|-> '([^']*)'", unquoted, signature)
    signature = re.sub(r"ForwardRef\('([^']*)'\)", r"\1", signature)
    signature = signature.removesuffix(" -> None")
    # A function as default prints with its address, another one each time.
    call = name + re.sub(r"<function (\w+) at 0x\w+>", r"\1", signature)
    if len(call) <= 76:
        return call
    return re.sub(r", (?=[\w*]+(?::|=|,|\)))", ",\n    ", call.replace("(", "(\n    ", 1))


def unquoted(match: re.Match[str]) -> str:
    """An annotation that the module keeps as a string."""
    return f": {match[1]}" if match[1] else f"-> {match[2]}"


def markdown(docstring: str | None) -> str:
    """A docstring as Markdown: sections as lists, indented blocks as text."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    out: list[str] = []
    section, block = "", False
    for line in lines:
        if line in SECTIONS:
            out += ["", f"**{line[:-1]}**", ""]
            section = line
            continue
        if not line.startswith(" "):
            section = "" if line else section
        if section:
            item = re.match(r"^    (\w[\w, ]*): (.*)", line)
            if item and section in ("Args:", "Raises:", "Attributes:"):
                out.append(f"- `{item[1]}`: {escaped(item[2])}")
            else:
                out.append("  " + escaped(line.strip()) if line else "")
            continue
        indented = line.startswith("    ")
        if indented and not block:
            out.append("```text")
            block = True
        if not indented and block and line:
            while out[-1] == "":
                out.pop()
            out += ["```", ""]
            block = False
        out.append(line[4:] if indented else line if block else escaped(line))
    if block:
        out.append("```")
    return "\n".join(out).strip() + "\n"


def escaped(line: str) -> str:
    """The line with Markdown's signs made plain, except within backticks."""
    parts = line.replace("``", "`").split("`")
    parts[::2] = [re.sub(r"([_<\[\]$#|\\]|\*(?!\w+\*)(?<!\w\*))", r"\\\1", p) for p in parts[::2]]
    return "`".join(parts)


if __name__ == "__main__":
    text = page()
    if sys.argv[1:] == ["check"]:
        if not PAGE.exists() or PAGE.read_text() != text:
            sys.exit("book/api.md is not what the docstrings say; run: python tools/api.py")
    else:
        PAGE.write_text(text)
