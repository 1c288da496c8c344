"""Outputs of a page in a browser, as a reader has them."""

from pathlib import Path

# For each text on the page: its contrast with the colours that lie behind it, and the text.
CONTRASTS = (Path(__file__).parents[1] / "js" / "contrasts.js").read_text(encoding="utf-8")


def open_page(browser, *outputs, theme="light", width=1000, **options):
    dark = "background:#14181e;color:#ced6dd" if theme == "dark" else ""
    cards = "".join(f'<div class="card">{output.html}</div>' for output in outputs)
    page = browser.new_page(viewport={"width": width, "height": 900}, **options)
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(error))
    page.set_content(
        f'<!doctype html><html lang="en" data-theme="{theme}"><title>t</title>'
        f'<body style="font-family:sans-serif;margin:16px;{dark}">{cards}</body></html>'
    )
    return page
