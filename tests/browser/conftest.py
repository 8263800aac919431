"""A real browser, and a page opened in it as a file; each module says by `address` which page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = str(CHROMIUM) if CHROMIUM.exists() else shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as play:
        found = play.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The open page; whatever it complains about or asks the network for fails the test."""
    faults: list[str] = []
    opened = browser.new_page(viewport={"width": 1400, "height": 900}, accept_downloads=True)
    opened.on("console", lambda message: faults.append(message.text))
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("request", lambda request: faults.append(request.url) if not _inside(request.url, address) else None)
    opened.goto(address)
    yield opened
    opened.close()
    assert not faults, faults


def _inside(url: str, address: str) -> bool:
    return url.startswith("data:") or url.split("#")[0] == address
