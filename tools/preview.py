"""One page of the book by itself, photographed: to look at it while it is written.

    python tools/preview.py NAME OUT    build book/NAME.ipynb as a site of one page, light and dark,
                                        wide and narrow pictures in OUT

A warning of the build is an error, as in the tests.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

try:
    from tools import browser
except ImportError:  # run as a script
    import browser  # type: ignore[no-redef]

ROOT = Path(__file__).resolve().parent.parent


def preview(name: str, out: Path) -> None:
    """Build and photograph one page; a few seconds."""
    with TemporaryDirectory() as folder:
        site = Path(folder)
        (site / "book").mkdir()
        shutil.copytree(ROOT / "book/_static", site / "book/_static")
        page = next(ROOT.glob(f"book/{name}.*"))
        for file in (page, ROOT / "book/references.bib", ROOT / "book/bibliography.md"):
            shutil.copy(file, site / "book" / file.name)
        shutil.copy(ROOT / "_config.yml", site)
        toc = {"format": "jb-book", "root": f"book/{name}"}
        toc["chapters"] = [{"file": "book/bibliography"}]  # type: ignore[assignment]
        (site / "_toc.yml").write_text(yaml.safe_dump(toc), "utf-8")
        build = Path(sys.executable).parent / "jupyter-book"
        command = [str(build), "build", str(site), "--warningiserror", "--keep-going", "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stdout[-3000:] + done.stderr[-3000:])
        (site / "_build/html/book/bibliography.html").unlink()
        browser.photograph(site / "_build/html", out)


if __name__ == "__main__":
    preview(sys.argv[1], Path(sys.argv[2]))
