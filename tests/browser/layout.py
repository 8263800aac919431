"""What every page owes a narrow screen."""

from __future__ import annotations

from typing import Any


def stays_within(page: Any, width: int) -> None:
    """On a screen this wide, with everything unfolded, the page never scrolls sideways."""
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    outside = page.evaluate(
        "w => [...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll')"
        " && getComputedStyle(e).position !== 'absolute' && e.getBoundingClientRect().right > w + 1)"
        ".map(e => e.outerHTML.slice(0, 80))",
        width,
    )
    assert outside == []
