"""The page in a real browser, opened as a file: it works without a network, by keyboard, at every width."""

from __future__ import annotations

from typing import Any

import pytest

from browser.layout import stays_within
from mithridate.report.html import render
from mithridate.report.study import read_study
from report.runs import build


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = build(tmp_path_factory.mktemp("run"), n=60, kept=2)
    page = folder / "report.html"
    page.write_text(render(read_study(folder)), encoding="utf-8")
    return page.as_uri()


def shown(page: Any, reel: int, film: int) -> dict[str, str]:
    """What one film shows now."""
    frames = page.locator(".reel").nth(reel).locator(".film").nth(film).locator(".frame:visible")
    assert frames.count() == 1
    return {
        "image": frames.locator("img.image").get_attribute("src"),
        "change": frames.locator("img.noise").get_attribute("src"),
        "alt": frames.locator("img.image").get_attribute("alt"),
        "probability": frames.locator(".gauge").inner_text(),
        "answer": frames.locator(".said").inner_text(),
    }


def test_the_slider_moves_by_keyboard_and_says_what_it_shows(page: Any) -> None:
    slider = page.get_by_label("Largest change at any pixel").first
    slider.focus()
    before, text = shown(page, 0, 0), slider.get_attribute("aria-valuetext")
    assert before["answer"].endswith("right")
    page.keyboard.press("ArrowRight")
    after = shown(page, 0, 0)
    assert all(after[key] != before[key] for key in ("image", "change", "alt", "probability"))
    assert slider.get_attribute("aria-valuetext") != text
    page.keyboard.press("End")
    last = shown(page, 0, 0)
    assert last["answer"].endswith("wrong")
    assert last["answer"] != before["answer"]
    assert "wrong" in slider.get_attribute("aria-valuetext")
    assert page.locator(".reel").first.locator("output").inner_text() == "At most 5.1 of 255 gray levels at any pixel."
    page.keyboard.press("Home")
    assert shown(page, 0, 0) == before
    other = shown(page, 1, 0)
    page.keyboard.press("End")
    assert shown(page, 1, 0) == other


def test_every_picture_decodes(page: Any) -> None:
    assert (
        page.evaluate("Promise.all([...document.images].map(i => i.decode())).then(() => [...document.images].length)")
        > 50
    )
    assert page.evaluate("[...document.images].every(i => i.naturalWidth > 0)")


@pytest.mark.parametrize("width", [400, 800, 1400])
def test_the_page_never_scrolls_sideways(page: Any, width: int) -> None:
    stays_within(page, width)


def test_on_paper_the_slider_becomes_a_strip(page: Any) -> None:
    page.emulate_media(media="print")
    frames = page.locator(".reel").first.locator(".film").first.locator(".frame")
    assert frames.count() == 7
    assert all(frames.nth(i).is_visible() for i in range(7))
    assert not page.locator("input[type=range]").first.is_visible()
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")


def test_without_scripts_every_dose_is_shown(browser: Any, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto(address)
    assert opened.locator(".reel").first.locator(".film").first.locator(".frame:visible").count() == 7
    assert not opened.locator("input[type=range]").first.is_visible()
    context.close()


def test_the_keyboard_reaches_everything_and_focus_is_seen(page: Any) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the verdict"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left >= 0")
    assert page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth) >= 2")
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert {"reel-0", "reel-1", "reel-2", "A", "SUMMARY"} <= reached


def test_text_has_the_contrast_that_aa_asks_for(page: Any) -> None:
    faint = page.evaluate(
        """() => {
          const part = x => x <= .03928 * 255 ? x / 255 / 12.92 : ((x / 255 + .055) / 1.055) ** 2.4;
          const lum = c => { const v = c.map(part);
            return .2126 * v[0] + .7152 * v[1] + .0722 * v[2]; };
          const rgb = t => t.match(/[\\d.]+/g).map(Number);
          const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
            if (c.length < 4 || c[3] > 0) return c.slice(0, 3); } return [255, 255, 255]; };
          const bad = [];
          for (const e of document.querySelectorAll('body *')) {
            if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || !e.getClientRects().length) continue;
            const style = getComputedStyle(e), svg = e.closest('svg');
            const a = lum(rgb(svg ? style.fill : style.color).slice(0, 3)), b = lum(ground(e));
            const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
            if (ratio < 4.5) bad.push([e.className.toString(), e.textContent.slice(0, 30), ratio]);
          }
          return bad;
        }"""
    )
    assert faint == []
