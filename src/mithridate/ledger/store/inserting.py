"""Many rows a statement: the driver then lets go of the interpreter once for all of them, and not once for each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Table

SIZES = (256, 64, 16, 4, 3, 2, 1)
"""Rows of a statement.  Few sizes, so that drivers find each statement among those that they have prepared; the largest
stays far below the parameters that a statement may have (SQLite 32,766, PostgreSQL 65,535)."""

_MARKS = {"qmark": "?", "pyformat": "%s"}


def insert_rows(connection: Connection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows whose values stand in the order of the table's columns."""
    mark = _MARKS[connection.dialect.paramstyle]
    place = 0
    for size in SIZES:
        while len(rows) - place >= size:
            values = tuple(chain.from_iterable(rows[place : place + size]))
            connection.exec_driver_sql(_insertion(table, size, mark), values)
            place += size


@lru_cache(maxsize=128)
def _insertion(table: Table, count: int, mark: str) -> str:
    names = [column.name for column in table.columns]
    row = f"({', '.join([mark] * len(names))})"
    return f"INSERT INTO {table.name} ({', '.join(names)}) VALUES {', '.join([row] * count)}"
