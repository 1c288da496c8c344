"""Notebooks from text twins: build, check and recompute.

Each page is written as MyST text in ``pages/NAME.md`` and published as an executed notebook,
``book/NAME.ipynb``. The site shows the notebook, Colab opens it, nbval recomputes it::

    python tools/notebooks.py build [NAME ...]      execute the twins, write the notebooks
    python tools/notebooks.py words [NAME ...]      take over new words, where no code has changed
    python tools/notebooks.py check                 fail when a notebook is not its twin's
    python tools/notebooks.py test [PYTEST ARGS]    pytest with nbval and this environment

A notebook is executed with ``book/`` as its working directory, as Jupyter and nbval do.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "pages"
BOOK = ROOT / "book"

CELL_TIMEOUT = 300  # seconds; a whole page is to take at most 60 on a free machine

# What fixes a sum of floats from one x86 processor to the next: the number of threads, and the
# instruction set that each numerical library picks.
ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    "TQDM_DISABLE": "1",  # a progress bar shows seconds, which no second run repeats
}

# The same for every page. Colab reads `accelerator` and starts with a GPU, for the full runs.
METADATA = {
    "accelerator": "GPU",
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "pygments_lexer": "ipython3",
    },
}


def read_twin(path: Path) -> NotebookNode:
    """Read a text twin as a notebook without outputs, with the metadata all pages share."""
    notebook = jupytext.read(path, fmt="md:myst")
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    _name_cells(notebook)
    return notebook


def _name_cells(notebook: NotebookNode) -> None:
    """Give each cell an id made from its source, so that only changed cells change ids."""
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        seen[digest] = seen.get(digest, 0) + 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"


def build(path: Path) -> Path:
    """Execute one twin in a fresh kernel and write its notebook.

    Raises:
        CellExecutionError: a cell failed and is not tagged
            ``raises-exception``; the notebook on disk is left as it was.
    """
    notebook = read_twin(path)
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(BOOK)}},
    )
    client.execute(env={**os.environ, **ENVIRONMENT})
    notebook.metadata = nbformat.from_dict(METADATA)
    nbformat.validate(notebook)
    target = BOOK / f"{path.stem}.ipynb"
    nbformat.write(notebook, target)
    return target


def take_words(path: Path) -> Path | None:
    """Write one twin's words into its notebook and keep the outputs; None if a code cell changed.

    Nothing is executed. Whether the outputs are still right is for `test` to say, as always.
    """
    target = BOOK / f"{path.stem}.ipynb"
    twin, notebook = read_twin(path), nbformat.read(target, as_version=4)
    ours, theirs = ([c for c in n.cells if c.cell_type == "code"] for n in (twin, notebook))
    if list(map(_comparable, ours)) != list(map(_comparable, theirs)):
        return None
    for new, old in zip(ours, theirs, strict=True):
        new.outputs, new.execution_count = old.outputs, old.execution_count
    nbformat.validate(twin)
    nbformat.write(twin, target)
    return target


def _comparable(cell: NotebookNode) -> tuple[str, str, dict[str, Any]]:
    return cell.cell_type, cell.source, dict(cell.metadata)


def drift(path: Path) -> list[str]:
    """Say how ``book/NAME.ipynb`` differs from its twin; an empty list means it does not.

    Compares cells, their metadata and the notebook's metadata, and that the outputs come from
    one run from top to bottom. It does not compare outputs: nbval does.
    """
    target = BOOK / f"{path.stem}.ipynb"
    where = f"{target.relative_to(ROOT)}"
    if not target.exists():
        return [f"{where} is missing: run make notebooks NAME={path.stem}"]
    twin, notebook = read_twin(path), nbformat.read(target, as_version=4)
    problems = []
    if len(twin.cells) != len(notebook.cells):
        problems.append(f"{where} has {len(notebook.cells)} cells, its twin {len(twin.cells)}")
    for number, (ours, theirs) in enumerate(zip(twin.cells, notebook.cells, strict=False)):
        if _comparable(ours) != _comparable(theirs):
            first_line = ours.source.partition("\n")[0]
            problems.append(f"{where}: cell {number} differs from its twin ({first_line!r})")
    if twin.metadata != notebook.metadata:
        problems.append(f"{where}: the notebook's metadata are not what make notebooks writes")
    counts = [c.execution_count for c in notebook.cells if c.cell_type == "code"]
    if counts != list(range(1, len(counts) + 1)):
        problems.append(f"{where} was not executed from top to bottom in one run: {counts}")
    return problems


def orphans() -> list[str]:
    """Name the notebooks in ``book/`` that have no twin."""
    twins = {path.stem for path in PAGES.glob("*.md")}
    return [f"book/{p.name} has no twin" for p in BOOK.glob("*.ipynb") if p.stem not in twins]


def twins(names: Sequence[str] = ()) -> list[Path]:
    """List the twins with these names, all of them when none is given.

    Raises:
        SystemExit: a name has no file in ``pages/``.
    """
    found = {path.stem: path for path in sorted(PAGES.glob("*.md"))}
    unknown = [name for name in names if name not in found]
    if unknown:
        sys.exit(f"No such page: {', '.join(unknown)}. There are: {', '.join(found)}.")
    return [found[name] for name in names] if names else list(found.values())


def build_all(paths: Sequence[Path]) -> int:
    """Build twins one after the other; the exit code is 1 when a cell of any failed."""
    failed = 0
    for path in paths:
        try:
            print(f"{path.relative_to(ROOT)} -> {build(path).relative_to(ROOT)}", flush=True)
        except CellExecutionError as error:
            failed = 1
            print(f"{path.relative_to(ROOT)} failed; its notebook stays as it was.\n{error}")
    return failed


def take_all_words(paths: Sequence[Path]) -> int:
    """Take over the words of twins; the exit code is 1 when the code of any has changed."""
    stale = [path.stem for path in paths if take_words(path) is None]
    if stale:
        print(f"Code cells have changed: run make notebooks NAME=... for {', '.join(stale)}.")
    return 1 if stale else 0


def test(arguments: Sequence[str]) -> int:
    """Run pytest with nbval in the environment the notebooks were executed in."""
    options = ["--nbval", "--nbval-current-env", f"--nbval-cell-timeout={CELL_TIMEOUT}"]
    spread = ["--dist", "loadfile"] if "-n" in arguments else []
    command = [sys.executable, "-m", "pytest", *options, *spread, *arguments]
    return subprocess.call(command, cwd=ROOT, env={**os.environ, **ENVIRONMENT})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the commands and return its exit code."""
    parser = argparse.ArgumentParser(description="Build, check and recompute the notebooks.")
    parser.add_argument("command", choices=["build", "words", "check", "test"])
    parser.add_argument("rest", nargs="*", help="names of pages, or arguments for pytest")
    options, more = parser.parse_known_args(arguments)
    rest = options.rest + more
    if options.command == "test":
        return test(rest)
    if options.command == "build":
        return build_all(twins(rest))
    if options.command == "words":
        return take_all_words(twins(rest))
    problems = [problem for path in twins(rest) for problem in drift(path)] + orphans()
    print("\n".join(problems) or "Every notebook is its twin's.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
