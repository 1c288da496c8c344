"""The built site in a headless Chromium, for the tests and for the eye.

    python tools/browser.py SITE OUT    photograph every page, light and dark, wide and narrow

Nothing is fetched from outside. The theme asks a content network for MathJax; when a copy lies in
``.cache/mathjax`` (``make .cache/mathjax``) it is served in its place, otherwise formulas stay TeX.
"""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

ROOT = Path(__file__).resolve().parent.parent
MATHJAX = ROOT / ".cache" / "mathjax"
WIDTHS = (1200, 400)
THEMES = ("light", "dark")

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str | None:
    """Path of a Chromium on this machine: ``$CHROMIUM``, or the first known name on the path."""
    names = [os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
    return next((found for name in names if name and (found := shutil.which(name))), None)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serve(directory: Path) -> Iterator[str]:
    """Serve a directory on a free local port; yields its address without a final slash."""
    handler = functools.partial(_Quiet, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def launch() -> Iterator[Browser]:
    """Start the machine's Chromium.

    Raises:
        FileNotFoundError: there is no Chromium.
    """
    from playwright.sync_api import sync_playwright

    executable = chromium()
    if executable is None:
        raise FileNotFoundError("No Chromium found: install one, or set CHROMIUM to its path.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def _keep_local(route: Route) -> None:
    """Answer from this machine, serve a copy of MathJax, refuse everything else."""
    url = route.request.url
    copy = MATHJAX / "es5" / url.partition("/mathjax@3/es5/")[2]
    if url.startswith(("http://127.0.0.1:", "data:", "blob:")):
        route.continue_()
    elif "/mathjax@3/es5/" in url and copy.is_file():
        route.fulfill(path=copy, headers={"access-control-allow-origin": "*"})
    else:
        route.abort()


@contextmanager
def visit(
    browser: Browser, url: str, theme: str = "light", width: int = 1200, javascript: bool = True
) -> Iterator[tuple[Page, list[str]]]:
    """Open a page; yields it and the list of its errors, which grows while it is used.

    An error is an uncaught exception or a message at level error, except for what was refused
    because it lies outside this machine.
    """
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if theme == "dark" else "light",
        java_script_enabled=javascript,
    )
    page = context.new_page()
    page.route("**/*", _keep_local)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(f"uncaught: {error}"))

    def note(message) -> None:  # type: ignore[no-untyped-def]
        outside = not message.location.get("url", "").startswith("http://127.0.0.1:")
        if message.type == "error" and not (outside and "ERR_FAILED" in message.text):
            errors.append(f"{message.text} ({message.location.get('url', '')})")

    page.on("console", note)
    # The theme remembers the reader's choice; "auto" would follow the system as well.
    page.add_init_script(
        f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}');"
    )
    try:
        page.goto(url, wait_until="load")
        if javascript and MATHJAX.is_dir():
            page.wait_for_function(
                "!window.MathJax || (MathJax.startup && MathJax.startup.promise)"
            )
            page.evaluate("window.MathJax && MathJax.startup.promise.then(() => true)")
        yield page, errors
    finally:
        context.close()


def pages(site: Path) -> list[str]:
    """Addresses of the book's pages below a built site, such as ``book/welcome.html``."""
    return sorted(str(path.relative_to(site)) for path in site.glob("book/*.html"))


def photograph(site: Path, out: Path) -> None:
    """Write one full-page PNG for each page, theme and width."""
    out.mkdir(parents=True, exist_ok=True)
    with serve(site) as address, launch() as browser:
        for name in pages(site):
            for theme in THEMES:
                for width in WIDTHS:
                    with visit(browser, f"{address}/{name}", theme, width) as (page, errors):
                        target = out / f"{Path(name).stem}-{theme}-{width}.png"
                        page.screenshot(path=target, full_page=True)
                        print(target, *errors, sep="\n    ")


if __name__ == "__main__":
    photograph(Path(sys.argv[1]), Path(sys.argv[2]))
