"""The claims page in a real browser, opened as a file: no network, no sideways scrolling, reachable by keyboard."""

from __future__ import annotations

from typing import Any

import pytest

from browser.layout import stays_within
from mithridate.report.claims import render_claims
from report.claims_made import condition, estimate, made


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    naive = condition(attacker="naive", gain=estimate(-400.0, -900.0, 100.0))
    page = tmp_path_factory.mktemp("claims") / "report.html"
    page.write_text(render_claims(made(conditions=(*made().conditions, naive))), encoding="utf-8")
    return page.as_uri()


@pytest.mark.parametrize("width", [400, 800, 1400])
def test_the_page_never_scrolls_sideways(page: Any, width: int) -> None:
    stays_within(page, width)


def test_every_link_of_the_contents_leads_somewhere(page: Any) -> None:
    links = page.locator("nav a")
    assert links.count() == 7
    for number in range(links.count()):
        links.nth(number).click()
        target = page.url.partition("#")[2]
        assert page.locator(f"#{target} h2").is_visible()
        page.wait_for_function(  # it may scroll there smoothly
            "id => { const top = document.getElementById(id).getBoundingClientRect().top;"
            " return top >= -1 && top < innerHeight }",
            arg=target,
        )


def test_the_keyboard_reaches_tables_and_every_condition(page: Any) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the verdict"
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.getAttribute('aria-labelledby') || document.activeElement.tagName")
        )
    assert {"table-defenses-caption", "table-attacks-caption", "table-drift-caption", "SUMMARY"} <= reached
    assert not page.locator("#table-every").is_visible()
    page.locator("summary").focus()
    page.keyboard.press("Enter")
    assert page.locator("#table-every tbody tr:not(.group)").count() == 7


def test_the_chart_is_drawn_and_named(page: Any) -> None:
    chart = page.locator("svg.chart")
    assert chart.get_attribute("role") == "img"
    box = chart.bounding_box()
    for text in chart.locator("text").all():
        inner = text.bounding_box()
        assert inner["x"] >= box["x"] - 1
        assert inner["x"] + inner["width"] <= box["x"] + box["width"] + 1
    assert page.locator(".legend li").count() == 3
