"""The toy in a browser, as a reader has it: keyboard, dark theme, a phone, no JavaScript."""

import re

import pytest

from rigl_edu.sparse import drop, drop_count, grow
from rigl_edu.teach import check, quiz, six_by_six, toys
from tests.teach.in_browser import CONTRASTS, open_page

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser):
    page = open_page(browser, toys.rewire(six_by_six()))
    yield page
    assert page.errors == []
    page.close()


def positions(page, mark, table=0):
    """Where the tiles of a grid carry a mark, as a list of (row, column)."""
    rows = page.locator("table").nth(table).locator("tr").all()[1:]
    marks = [[cell.inner_text().split()[-1] for cell in row.locator("td").all()] for row in rows]
    return [(i, j) for i, row in enumerate(marks) for j, text in enumerate(row) if text == mark]


def expected(scores, fraction=0.3):
    """Dropped, grown and regrown positions as rigl_edu decides them."""
    layer = six_by_six()
    k = drop_count(fraction, int(layer.mask.count_nonzero()))
    kept = drop(layer.weight.abs(), layer.mask, k)
    new = grow(scores.abs(), kept, k) & ~kept
    gone = layer.mask & ~kept
    return [
        [tuple(p) for p in m.nonzero().tolist()] for m in (gone & ~new, new & ~gone, new & gone)
    ]


@pytest.mark.parametrize(
    "rule, field", [("SET", "random"), ("SNFS", "momentum"), ("RigL", "gradient")]
)
def test_drop_then_grow_shows_what_the_package_does(page, rule, field):
    page.get_by_role("radio", name=rule).check()
    page.get_by_role("button", name="drop").click()
    assert positions(page, "dropped") == [(0, 4), (2, 5), (5, 2)]
    page.get_by_role("button", name="grow").click()
    dropped, grown, regrown = expected(getattr(six_by_six(), field))
    assert positions(page, "dropped") == dropped
    assert positions(page, "grown") == grown == positions(page, "grown", table=1)
    assert positions(page, "regrown") == regrown == positions(page, "regrown", table=1)


def test_the_keyboard_alone_is_enough(page):
    status = page.get_by_role("status")
    page.keyboard.press("Tab")  # the chosen radio button
    assert page.evaluate("document.activeElement.value") == "RigL"
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid", "the focus is not visible"
    page.keyboard.press("ArrowUp")
    assert status.inner_text().startswith("SNFS will drop 3 of 12")
    page.keyboard.press("ArrowUp")
    assert status.inner_text().startswith("SET will drop 3 of 12")
    page.keyboard.press("Tab")  # the slider
    page.keyboard.press("ArrowRight")
    assert status.inner_text().startswith("SET will drop 4 of 12")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert status.inner_text().startswith("SET: dropped 4 of 12 active weights with the smallest")
    assert page.evaluate("document.activeElement.textContent") == "drop", "the focus went away"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert status.inner_text().startswith("SET: grew the 4 empty positions")
    assert positions(page, "grown") == expected(six_by_six().random, 0.4)[1]
    page.keyboard.press("Enter")
    assert status.inner_text() == "Grown already. Press reset to start again."
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert status.inner_text().startswith("SET will drop 4 of 12")
    assert positions(page, "grown") == positions(page, "dropped") == []


def test_grow_before_drop_is_refused_with_the_reason(page):
    page.get_by_role("button", name="grow").click()
    assert page.get_by_role("status").inner_text().startswith("Press drop first")
    assert positions(page, "grown") == []


def test_another_rule_at_the_same_stage_can_be_compared_at_once(page):
    page.get_by_role("button", name="drop").click()
    page.get_by_role("button", name="grow").click()
    page.get_by_role("radio", name="SNFS").check()
    assert positions(page, "grown") == expected(six_by_six().momentum)[1]


def test_tables_have_names_and_headers_and_the_status_is_announced(page):
    for table in page.get_by_role("table").all():
        assert table.locator("caption").inner_text()
        assert table.get_by_role("columnheader").count() == 6
        assert table.get_by_role("rowheader").count() == 6
        assert table.get_by_role("cell").count() >= 36
    assert page.get_by_role("status").get_attribute("aria-live") == "polite"
    assert page.get_by_role("form", name="Drop and grow on a 6 by 6 layer").count() == 1
    assert page.get_by_role("slider", name="Fraction").get_attribute("aria-valuetext")
    # sign and state are written, not only coloured
    tiles = page.locator("table").first.locator("td:is(.plus, .minus)").all_inner_texts()
    assert len(tiles) == 12 and all(re.match(r"[+−]0\.\d\d", text) for text in tiles)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_has_enough_contrast(browser, theme):
    questions = quiz([("Is `this` clear?", [("Yes", True, "It is."), ("No", False, "It `is`.")])])
    hints = check.ch11.grow.hints()
    outputs = toys.rewire(six_by_six()), questions, hints
    page = open_page(browser, *outputs, theme=theme, reduced_motion="reduce")
    for summary in page.locator("summary").all():
        summary.click()
    for name in ("reset", "drop", "grow"):
        page.get_by_role("button", name=name).click()
        found = page.evaluate(CONTRASTS)
        assert len(found) > 80
        poor = [(round(ratio, 2), text) for ratio, text in found if ratio < 4.5]
        assert poor == []
    background = page.evaluate(
        "getComputedStyle(document.querySelector('.rigl-toy')).backgroundColor"
    )
    assert (background == "rgb(255, 255, 255)") == (theme == "light")
    page.close()


def test_a_phone_of_400_pixels_shows_all_of_it(browser):
    page = open_page(browser, toys.rewire(six_by_six()), width=400)
    page.get_by_role("button", name="drop").click()
    page.get_by_role("button", name="grow").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    cut = page.evaluate(
        "[...document.querySelectorAll('td')].filter(x => x.scrollWidth > x.clientWidth).length"
    )
    assert cut == 0
    page.close()


def test_without_javascript_it_says_what_it_would_show(browser):
    page = open_page(browser, toys.rewire(six_by_six()), java_script_enabled=False)
    text = page.locator(".rigl-toy").inner_text()
    assert "JavaScript is off" in text
    assert "each rule drops the 3 with the smallest |w|, at (0, 4) (2, 5) (5, 2)" in text
    assert "RigL by |gradient|, at (0, 2) (2, 5) (4, 0)." in text
    page.close()


def test_two_toys_on_a_page_do_not_disturb_each_other(browser):
    page = open_page(browser, toys.rewire(six_by_six()), toys.rewire(six_by_six(), 0.5))
    first, second = page.get_by_role("form").all()
    first.get_by_role("radio", name="SET").check()
    assert second.get_by_role("radio", name="RigL").is_checked()
    assert second.get_by_role("status").inner_text().startswith("RigL will drop 6 of 12")
    page.close()


def test_the_self_test_opens_by_keyboard_and_without_javascript(browser):
    questions = quiz([("Which?", [("A", False, "Because not."), ("B", True, "Because so.")])])
    page = open_page(browser, questions, java_script_enabled=False)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.get_by_text("Not quite. Because not.").is_visible()
    assert not page.get_by_text("Because so.").is_visible()
    page.close()


def test_it_runs_where_the_notebook_inserts_the_html_later(browser):
    """JupyterLab sets innerHTML and then re-creates the scripts; currentScript is of no use."""
    page = open_page(browser)
    page.evaluate(
        """(html) => {
          const output = document.createElement("div");
          output.innerHTML = html;
          document.body.append(output);
          for (const old of output.querySelectorAll("script")) {
            const script = document.createElement("script");
            script.textContent = old.textContent;
            old.replaceWith(script);
          }
        }""",
        toys.rewire(six_by_six()).html,
    )
    page.get_by_role("button", name="drop").click()
    assert page.get_by_role("status").inner_text().startswith("RigL: dropped 3 of 12")
    page.close()
