"""What every page shares: its templates, its style and how it is kept small enough to be mailed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.resources import files
from typing import Any, TypeVar

import jinja2

G = TypeVar("G")


def environment(**filters: Callable[..., Any]) -> jinja2.Environment:
    """The templates of this package: autoescaped, strict about names, with the given filters."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("mithridate.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= filters
    return made


def asset(name: str) -> str:
    """The text of a style sheet or script, which pages carry inside them."""
    return files("mithridate.report").joinpath("templates", name).read_text(encoding="utf-8").strip()


def smallest_fitting(levels: Iterable[G], render: Callable[[G], str], largest: int) -> str:
    """The page at the first, most generous, level that makes at most `largest` bytes, else at the last level."""
    html = ""
    for generosity in levels:
        html = render(generosity)
        if len(html.encode()) <= largest:
            break
    return html
