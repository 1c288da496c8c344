"""What every toy owes its reader: words without JavaScript, keyboard, contrast, a phone's width."""

from pathlib import Path

import pytest

from rigl_edu.teach import toys
from tests.teach.in_browser import CONTRASTS, open_page
from tests.teach.toys_shown import SHOWN

by_toy = pytest.mark.parametrize("name", SHOWN)


def open_toy(browser, name, **options):
    return open_page(browser, SHOWN[name](), **options)


def test_every_toy_is_shown():
    files = {path.stem for path in Path(toys.__file__).parent.glob("*.js")} - {"toy"}
    assert files == set(SHOWN)


@by_toy
def test_the_same_html_each_time_and_little_of_it(name):
    html = SHOWN[name]().html
    assert html == SHOWN[name]().html
    assert len(html) < 45_000
    assert len(toys.source(f"{name}.js")) < 8_000


@by_toy
@pytest.mark.browser
def test_without_javascript_it_says_what_it_would_show(browser, name):
    page = open_toy(browser, name, java_script_enabled=False)
    text = page.locator(".rigl-toy").inner_text()
    assert "JavaScript is off" in text and len(text.split()) > 30
    page.close()


@by_toy
@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_legible_has_names_and_raises_nothing(browser, name, theme):
    page = open_toy(browser, name, theme=theme, reduced_motion="reduce")
    assert page.get_by_role("form").get_attribute("aria-label")
    controls = page.locator("button, input").all()
    assert controls
    for control in controls:
        assert control.evaluate(
            "x => x.tagName === 'BUTTON' ? x.textContent : x.labels[0]?.textContent"
        )
    for table in page.get_by_role("table").all():
        assert table.locator("caption").inner_text()
    for drawing in page.locator("svg").all():
        assert len(drawing.get_attribute("aria-label").split()) >= 4
    assert page.get_by_role("status").count() >= 1
    for press in [None, *page.get_by_role("button").all()]:
        if press:
            press.click()
        found = page.evaluate(CONTRASTS)
        assert len(found) > 10
        assert [(round(ratio, 2), text) for ratio, text in found if ratio < 4.5] == []
    assert page.errors == []
    page.close()


@by_toy
@pytest.mark.browser
def test_a_phone_of_400_pixels_shows_all_of_it(browser, name):
    page = open_toy(browser, name, width=400)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.close()
