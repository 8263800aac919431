"""Connections that keep their word: committed means on disk, and writers take turns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from mithridate.errors import MissingExtra, UserError
from mithridate.ledger.receipt import LedgerFailure

LOCK_SECONDS = 30.0
"""How long a writer waits for another process's transaction before it gives up."""

_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "trusted_schema=OFF",
    "wal_autocheckpoint=8192",  # pages: moving them costs flushes of its own, so not after every large batch
    "cache_size=-16384",  # KiB: the indices' pages that a batch touches, so that none is written twice for it
)

_WRITES = "mithridate_writes"


class DatabaseError(LedgerFailure):
    """The database did not do what was asked; the transaction is undone, or its end unknown when the link broke."""


def parse_url(url: str) -> URL:
    """A PostgreSQL URL with its driver.  Raises UserError for any other database, and when the driver is absent."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise UserError("the database is not a URL: give postgresql://USER@HOST/NAME, or none for SQLite") from None
    if parsed.drivername not in ("postgresql", "postgresql+psycopg"):
        raise UserError(f"a database of the kind {parsed.drivername!r} is not known: give postgresql://USER@HOST/NAME")
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise MissingExtra("a ledger on PostgreSQL", "postgresql") from None
    return parsed.set(drivername="postgresql+psycopg")


def connect(url: URL) -> Engine:
    """An engine whose transactions are durable when `COMMIT` returns."""
    try:
        if url.get_backend_name() == "sqlite":
            engine = create_engine(url, connect_args={"timeout": LOCK_SECONDS, "check_same_thread": False})
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        else:
            engine = create_engine(url, connect_args={"connect_timeout": 10}, pool_pre_ping=True)
            event.listen(engine, "connect", _prepare_postgresql)
    except (ArgumentError, NoSuchModuleError) as error:
        raise UserError(f"the database cannot be used: {error}") from error
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads.  Raises DatabaseError."""
    with _translated(engine), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that no other writer's overlaps, once it has locked the head (`Store.lock_head`).

    Raises DatabaseError; then the connections are closed, because after a failed write none of their state is sure.
    """
    try:
        with (
            _translated(engine),
            engine.connect().execution_options(**{_WRITES: True}) as connection,
            connection.begin(),
        ):
            yield connection
    except DatabaseError:
        engine.dispose()
        raise


@contextmanager
def _translated(engine: Engine) -> Iterator[None]:
    errors: tuple[type[BaseException], ...] = (SQLAlchemyError, *_driver_errors(engine))
    try:
        yield
    except errors as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        where = engine.url.render_as_string(hide_password=True)
        raise DatabaseError(f"the ledger's database {where} failed: {reason}") from error


def _driver_errors(engine: Engine) -> tuple[type[BaseException], ...]:
    """What the driver raises where SQLAlchemy is not between."""
    driver: Any = engine.dialect.dbapi
    return () if driver is None else (driver.Error,)


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # the driver begins no transactions of its own: `_begin_sqlite` does
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _prepare_postgresql(connection: Any, _: object) -> None:
    autocommit, connection.autocommit = connection.autocommit, True
    connection.execute("SET synchronous_commit = on")
    connection.execute(f"SET lock_timeout = '{int(LOCK_SECONDS)}s'")
    connection.autocommit = autocommit
