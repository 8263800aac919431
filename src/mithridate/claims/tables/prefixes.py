"""Packaged tables that say something about whole families of codes: the longest prefix that is listed decides."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files


@cache
def prefix_table(name: str) -> Mapping[str, tuple[str, ...]]:
    """A packaged CSV table as prefix -> the other cells of its row."""
    text = (files("mithridate.claims.tables") / name).read_text(encoding="utf-8")
    rows = (line.split(",") for line in text.splitlines()[1:])
    return {cells[0]: tuple(cells[1:]) for cells in rows}


def longest(table: Mapping[str, tuple[str, ...]], code: str) -> tuple[str, ...] | None:
    """The row of the longest listed prefix of a code; None when no prefix is listed."""
    for length in range(len(code), 0, -1):
        row = table.get(code[:length])
        if row is not None:
            return row
    return None
