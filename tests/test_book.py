"""The book: notebooks against their twins, and the site built from them.

Outputs are recomputed by nbval (`make test`, `make nbval`), not here.
"""

import ast
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import nbformat
import pytest
import yaml

from tools import browser, notebooks

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"
TWINS = notebooks.twins()
NOTEBOOKS = sorted(BOOK.glob("*.ipynb"))
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
CHAPTERS = [chapter for part in TOC["parts"] for chapter in part["chapters"]]
PAGES = [TOC["root"], *(chapter["file"] for chapter in CHAPTERS)]
MEGABYTE = 1_000_000

by_name = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path: Path) -> list:
    notebook = nbformat.read(path, as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def images(cell) -> int:
    """How many outputs of a cell are pictures."""
    data = [output.get("data", {}) for output in cell.outputs]
    return sum(any(kind.startswith("image/") for kind in bundle) for bundle in data)


# Notebooks


@pytest.mark.parametrize("twin", TWINS, ids=lambda path: path.stem)
def test_notebook_is_its_twins(twin):
    assert notebooks.drift(twin) == []


def test_every_notebook_has_a_twin_and_a_place_in_the_book():
    assert notebooks.orphans() == []
    in_toc = {name for name in PAGES if not (ROOT / f"{name}.md").is_file()}
    assert in_toc == {f"book/{path.stem}" for path in NOTEBOOKS}


@by_name
def test_code_that_is_shown_fits_the_column_of_the_page(path):
    for cell in code_cells(path):
        if not {"hide-input", "remove-input"} & set(cell.metadata.get("tags", [])):
            long = [line for line in cell.source.splitlines() if len(line) > 71]
            assert long == []  # they would scroll


@by_name
def test_page_is_small(path):
    assert path.stat().st_size < MEGABYTE


@by_name
def test_first_cell_is_the_common_one(path):
    first = code_cells(path)[0]
    assert len(first.source.splitlines()) <= 5
    assert first.source == code_cells(NOTEBOOKS[0])[0].source
    assert "\n    %pip install -q" in first.source


@by_name
def test_every_picture_says_what_it_shows(path):
    for cell in code_cells(path):
        if images(cell):
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt.split()) >= 8, f"no alt text that states a finding: {cell.source[:80]!r}"


SHOWN_ONLY_AT_THE_END = {"show_source", "full_run", "cost_row", "quiz", "toys", "Html"}


@by_name
def test_what_a_cell_makes_to_be_shown_is_its_last_line(path):
    """A notebook shows what a cell ends with; an expression before it is made for nothing."""
    for cell in code_cells(path):
        if cell.source.lstrip().startswith(("%", "!")) or "%pip" in cell.source:
            continue
        for statement in ast.parse(cell.source).body[:-1]:
            if isinstance(statement, ast.Expr):
                names = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}
                assert not names & SHOWN_ONLY_AT_THE_END, ast.unparse(statement)


@by_name
def test_no_error_is_shown_that_is_not_meant(path):
    for cell in code_cells(path):
        meant = "raises-exception" in cell.metadata.get("tags", [])
        failed = any(output.output_type == "error" for output in cell.outputs)
        assert failed == meant, cell.source[:80]


@by_name
def test_no_output_needs_a_kernel_or_names_a_machine(path):
    for cell in code_cells(path):
        shown = json.dumps(cell.outputs)
        assert "application/vnd.jupyter.widget" not in shown, "a widget is dead in the page"
        assert str(ROOT) not in shown and sys.prefix not in shown


# The tools that the tests above rely on


PAGE = """---
kernelspec: {name: python3, display_name: any, language: python}
---

# A page

```{code-cell} ipython3
---
tags: [hide-input, nbval-ignore-output]
mystnb:
  image:
    alt: A grey square that stands for any picture at all.
---
import os
print("threads", os.environ["OMP_NUM_THREADS"])
```

```{code-cell} ipython3
:tags: [raises-exception]

raise NotImplementedError
```
"""


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """A project of one page, built by the tool, in a place of its own."""
    root = tmp_path_factory.mktemp("scratch")
    (root / "pages").mkdir()
    (root / "book").mkdir()
    (root / "pages" / "page.md").write_text(PAGE, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(notebooks, "ROOT", root)
        patch.setattr(notebooks, "PAGES", root / "pages")
        patch.setattr(notebooks, "BOOK", root / "book")
        notebooks.build(root / "pages" / "page.md")
        yield root


def test_build_keeps_tags_alt_text_and_accelerator(scratch):
    notebook = nbformat.read(scratch / "book" / "page.ipynb", as_version=4)
    first, second = (cell for cell in notebook.cells if cell.cell_type == "code")
    assert first.metadata.tags == ["hide-input", "nbval-ignore-output"]
    assert first.metadata.mystnb.image.alt.startswith("A grey square")
    assert first.outputs[0].text == f"threads {notebooks.ENVIRONMENT['OMP_NUM_THREADS']}\n"
    assert second.metadata.tags == ["raises-exception"]
    assert notebook.metadata == notebooks.METADATA


def test_build_twice_writes_the_same_bytes(scratch):
    target = scratch / "book" / "page.ipynb"
    before = target.read_bytes()
    notebooks.build(scratch / "pages" / "page.md")
    assert target.read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [
        lambda page: page.replace("# A page", "# Another page"),
        lambda page: page.replace("import os\n", "import os, sys\n"),
        lambda page: page.replace("hide-input, ", ""),
        lambda page: page.replace("A grey square", "A red square"),
        lambda page: page + "\nOne more paragraph.\n",
    ],
    ids=["text", "code", "tag", "alt", "cell"],
)
def test_drift_is_seen(scratch, change):
    twin = scratch / "pages" / "page.md"
    assert notebooks.drift(twin) == []
    try:
        twin.write_text(change(PAGE), "utf-8")
        assert notebooks.drift(twin) != []
    finally:
        twin.write_text(PAGE, "utf-8")


@pytest.mark.parametrize(
    ("old", "new", "taken"),
    [("# A page", "# Another page", True), ("import os\n", "import os, sys\n", False)],
    ids=["words", "code"],
)
def test_new_words_keep_the_outputs_and_new_code_does_not(scratch, old, new, taken):
    twin, target = scratch / "pages" / "page.md", scratch / "book" / "page.ipynb"
    before = target.read_text("utf-8")
    try:
        twin.write_text(PAGE.replace(old, new), "utf-8")
        assert notebooks.take_all_words([twin]) == (0 if taken else 1)
        assert (notebooks.drift(twin) == []) == taken
        outputs = [
            [cell.outputs for cell in nbformat.reads(text, as_version=4).cells[1:]]
            for text in (before, target.read_text("utf-8"))
        ]
        assert outputs[0] == outputs[1]
        assert taken or target.read_text("utf-8") == before
    finally:
        twin.write_text(PAGE, "utf-8")
        target.write_text(before, "utf-8")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"execution_count": 2', '"execution_count": 7', "executed"),
        ('"accelerator": "GPU"', '"accelerator": "TPU"', "metadata"),
    ],
)
def test_an_edited_notebook_is_seen(scratch, old, new, said):
    target = scratch / "book" / "page.ipynb"
    before = target.read_text("utf-8")
    assert old in before
    try:
        target.write_text(before.replace(old, new), "utf-8")
        assert any(said in problem for problem in notebooks.drift(scratch / "pages" / "page.md"))
    finally:
        target.write_text(before, "utf-8")


def test_a_failing_cell_stops_the_build_and_keeps_the_old_notebook(scratch):
    twin, target = scratch / "pages" / "page.md", scratch / "book" / "page.ipynb"
    before = target.read_bytes()
    try:
        twin.write_text(PAGE.replace(":tags: [raises-exception]\n", ""), "utf-8")
        with pytest.raises(Exception, match="NotImplementedError"):
            notebooks.build(twin)
        assert target.read_bytes() == before
    finally:
        twin.write_text(PAGE, "utf-8")


# The built site


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site of a fresh build in which every warning is an error."""
    out = tmp_path_factory.mktemp("site")
    command = [str(Path(sys.executable).parent / "jupyter-book"), "build", str(ROOT)]
    command += ["--path-output", str(out), "--warningiserror", "--keep-going"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return out / "_build" / "html"


class Reader(HTMLParser):
    """Collects a page's links, ids and pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.pictures: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.ids |= {known[key] for key in ("id", "name") if known.get(key)}
        self.links += [known[key] for key in ("href", "src") if known.get(key)]
        if tag == "img":
            self.pictures.append(known)


def read(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text("utf-8"))
    return reader


def test_site_has_every_page(site):
    assert {f"{name}.html" for name in PAGES} == set(browser.pages(site))
    assert PAGES[0] in (site / "index.html").read_text("utf-8")


def test_internal_links_lead_somewhere(site):
    pages = {f"{name}.html": read(site / f"{name}.html") for name in PAGES}
    broken = []
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = urljoin(name, unquote(parts.path)) if parts.path else name
            if not (site / target).is_file():
                broken.append(f"{name}: {link}")
            elif parts.fragment and target in pages and parts.fragment not in pages[target].ids:
                broken.append(f"{name}: {link}")
    assert broken == []


@by_name
def test_colab_button_opens_this_notebook(site, path):
    start = CONFIG["repository"]["url"].replace("github.com", "colab.research.google.com/github")
    links = read(site / "book" / f"{path.stem}.html").links
    found = {link for link in links if link.startswith(start)}
    assert found == {f"{start}/blob/main/book/{path.name}"}
    assert (ROOT / "book" / path.name).is_file()


@by_name
def test_alt_texts_reach_the_page(site, path):
    page = read(site / "book" / f"{path.stem}.html")
    alts = [p.get("alt") for p in page.pictures if "_images/" in (p.get("src") or "")]
    expected = [
        cell.metadata.mystnb.image.alt for cell in code_cells(path) for _ in range(images(cell))
    ]
    # Runs of white space in YAML and in HTML mean the same.
    assert [" ".join(alt.split()) for alt in alts] == [" ".join(alt.split()) for alt in expected]


@by_name
def test_no_directive_is_left_unread(site, path):
    text = re.sub(
        r"<(script|style)\b.*?</\1>|<[^>]+>",
        "",
        (site / "book" / f"{path.stem}.html").read_text("utf-8"),
        flags=re.DOTALL,
    )
    assert not re.findall(r"^:::+\s*\{|\{(?:cite|ref|numref|doc|eq|term)\b[^}]*\}`", text, re.M)


def test_works_cited_are_in_the_bibliography_file():
    keys = set(re.findall(r"^@\w+\{([^,]+),", (BOOK / "references.bib").read_text("utf-8"), re.M))
    roles = re.compile(r"\{cite(?::\w+)?\}`([^`]+)`")
    for twin in TWINS:
        cited = {
            key.strip()
            for group in roles.findall(twin.read_text("utf-8"))
            for key in group.split(",")
        }
        assert cited <= keys, f"{twin.name}: {cited - keys}"


# In a browser


@pytest.fixture(scope="module")
def address(site):
    with browser.serve(site) as url:
        yield url


@pytest.fixture(scope="module")
def chromium():
    if browser.chromium() is None:
        pytest.skip("no Chromium on this machine")
    with browser.launch() as running:
        yield running


@pytest.mark.browser
@pytest.mark.parametrize("theme", browser.THEMES)
@pytest.mark.parametrize("name", PAGES)
def test_page_loads_in_a_browser(chromium, address, name, theme):
    """Each width is loaded in one theme and turned to in the other, as a phone is."""
    widths = browser.WIDTHS if theme == "light" else browser.WIDTHS[::-1]
    url = f"{address}/{name}.html"
    with browser.visit(chromium, url, theme, widths[0]) as (page, errors):
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        assert page.locator("h1").first.inner_text().strip()
        for width in widths:
            page.set_viewport_size({"width": width, "height": 900})
            wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, f"at {width} the page is {wide} pixels wider than the window"
        assert errors == []


@pytest.mark.browser
@pytest.mark.parametrize("name", PAGES)
def test_page_can_be_read_without_javascript(chromium, address, name):
    url = f"{address}/{name}.html"
    with browser.visit(chromium, url, width=400, javascript=False) as (page, _):
        article = page.locator("article.bd-article").inner_text()
        assert len(article.split()) > 20


@pytest.mark.browser
def test_an_error_of_a_page_is_seen(chromium, site, address):
    bad = "<script>throw new Error('planted')</script><div style='width:3000px'>wide</div>"
    (site / "bad.html").write_text(f"<!doctype html><html><body>{bad}</body></html>", "utf-8")
    try:
        with browser.visit(chromium, f"{address}/bad.html", width=400) as (page, errors):
            assert any("planted" in error for error in errors)
            assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") > 0
    finally:
        (site / "bad.html").unlink()
