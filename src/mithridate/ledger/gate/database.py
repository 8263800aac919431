"""The gate's own small database: what must survive a restart, and be decided once however many threads ask."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from mithridate.errors import MithridateError, UserError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS nonces (digest BLOB PRIMARY KEY, bound BLOB, expires INTEGER NOT NULL, used INTEGER);
CREATE INDEX IF NOT EXISTS nonces_by_expiry ON nonces (expires);
CREATE TABLE IF NOT EXISTS heads (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL);
"""


class StateError(MithridateError):
    """The gate's database cannot be used, so nothing is admitted."""


class GateDatabase:
    """One SQLite file, or memory for a gate that lives as long as its process; thread-safe.

    Several processes may share the file.  Every transaction is on disk when it returns (WAL with full sync).
    Raises UserError when the file cannot be opened.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._lock = Lock()
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                path or ":memory:", timeout=10, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise UserError(f"{path} cannot be used as the gate's database ({error}): name another file") from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Writes that take effect together; raises StateError when they cannot."""
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                raise StateError(f"the gate's database cannot be written ({error})") from error
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._roll_back()
                raise StateError(f"the gate's database cannot be written ({error})") from error
            except BaseException:
                self._roll_back()
                raise

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
