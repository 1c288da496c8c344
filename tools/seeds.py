"""Do a page's claims hold for other seeds? Run its cells with others and see what they assert.

    python tools/seeds.py NAME 100 200    run pages/NAME.md with the seeds 100 to 104, 200 to 204

A page trains with ``SEEDS = range(5)`` and asserts its claims with room to spare. A claim that
fails for another group of seeds was luck. One line a group; the exit code counts the failures.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SEEDS = re.compile(r"^(.*\bSEEDS\b.*=.*)range\(5\)", re.MULTILINE)


def script(page: str, first: int) -> str:
    """A page's cells as one program, with the seeds first, ... first + 4.

    Raises:
        ValueError: for a page that does not train with ``range(5)`` as its ``SEEDS``.
    """
    cells = re.findall(r"^```\{code-cell\} python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    code = [re.sub(r"\A---\n.*?\n---\n", "", cell, flags=re.DOTALL) for cell in cells]
    program = "\n\n".join(cell for cell in code if "%pip" not in cell)
    program, found = SEEDS.subn(rf"\1range({first}, {first + 5})", program)
    if not found:
        raise ValueError("the page has no line with SEEDS and range(5)")
    return program


def main(arguments: list[str]) -> int:
    """Run a page with each group of seeds."""
    name, *firsts = arguments
    page = (ROOT / "pages" / f"{name}.md").read_text("utf-8")
    failed = 0
    for first in map(int, firsts):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script(page, first)],
            cwd=ROOT / "book",
            env={**os.environ, "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        failed += done.returncode != 0
        last = done.stderr.strip().splitlines()[-3:] if done.returncode else ["holds"]
        print(f"{name} from {first}: " + " | ".join(last), flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
