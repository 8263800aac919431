"""JSON: a list of objects, one object, or one object a line; each is found with the line on which it begins."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Located = tuple[int, Any]
"""A line number and the object that begins there, or an Unreadable."""


class Unreadable:
    """Stands in place of an object that is no JSON: what the parser says."""

    def __init__(self, says: str) -> None:
        self.says = says


def json_objects(path: Path) -> Iterator[Located]:
    """The objects of a JSON or JSON-lines file.  A broken line of JSON lines costs that line; in a list, the rest."""
    content = path.read_text(encoding="utf-8-sig", errors="replace")
    if content.lstrip().startswith("["):
        yield from _listed(content)
        return
    try:
        whole = json.loads(content)
    except ValueError:
        yield from _lines(content)
    else:
        yield 1, whole


def _lines(content: str) -> Iterator[Located]:
    for line, text in enumerate(content.splitlines(), 1):
        if text.strip():
            try:
                yield line, json.loads(text)
            except ValueError as error:
                yield line, Unreadable(f"is not JSON ({error}): correct the line")


def _listed(content: str) -> Iterator[Located]:
    decoder = json.JSONDecoder()
    place = content.index("[") + 1
    line, counted = 1, 0
    while True:
        while place < len(content) and content[place] in " \t\r\n,":
            place += 1
        line, counted = line + content.count("\n", counted, place), place
        if content[place : place + 1] == "]":
            return
        try:
            item, place = decoder.raw_decode(content, place)
        except ValueError as error:
            yield line, Unreadable(f"is not JSON ({error}), and nothing after it in the list was read: correct it")
            return
        yield line, item
