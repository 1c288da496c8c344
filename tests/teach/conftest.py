"""A browser for the tests of what a page shows."""

import pytest

from tools import browser as chromium


@pytest.fixture(scope="module")
def browser():
    if chromium.chromium() is None:
        pytest.skip("Chromium is not on this machine")
    pytest.importorskip("playwright.sync_api")
    with chromium.launch() as browser:
        yield browser
