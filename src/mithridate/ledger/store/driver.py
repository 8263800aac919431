"""Statements of every commit, handed to the database's driver as SQLAlchemy compiled them once.

What SQLAlchemy does around each execution takes longer than a lone entry's small statements themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Dialect, Executable, Table

SIZES = (256, 64, 16, 4, 3, 2, 1)
"""Rows of a statement.  Few sizes, so that drivers find each statement among those that they have prepared; the largest
stays far below the parameters that a statement may have (SQLite 32,766, PostgreSQL 65,535)."""

_MARKS = {"qmark": "?", "pyformat": "%s"}


def run(connection: Connection, statement: Executable, **values: Any) -> Any:
    """The driver's cursor after a statement in the connection's transaction; its rows are tuples.

    The statement is a constant, and its values are of the database's own types: numbers, bytes, texts, booleans.
    Raises what the driver raises.
    """
    text, names, constants = _compiled(statement, connection.dialect)
    every = constants | values
    return _driver(connection).execute(text, every if names is None else [every[name] for name in names])


def insert_rows(connection: Connection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows whose values stand in the order of the table's columns, many a statement.

    The driver then lets go of the interpreter once for all of them, and not once for each.
    """
    mark = _MARKS[connection.dialect.paramstyle]
    place = 0
    for size in SIZES:
        while len(rows) - place >= size:
            values = tuple(chain.from_iterable(rows[place : place + size]))
            _driver(connection).execute(_insertion(table, size, mark), values)
            place += size


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


@lru_cache(maxsize=128)
def _compiled(statement: Executable, dialect: Dialect) -> tuple[str, Sequence[str] | None, dict[str, Any]]:
    """The statement's text, the names of its values in order where its marks have no names, and its own values."""
    compiled: Any = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
    return str(compiled), compiled.positiontup, {**compiled.params}


@lru_cache(maxsize=128)
def _insertion(table: Table, count: int, mark: str) -> str:
    names = [column.name for column in table.columns]
    row = f"({', '.join([mark] * len(names))})"
    return f"INSERT INTO {table.name} ({', '.join(names)}) VALUES {', '.join([row] * count)}"
