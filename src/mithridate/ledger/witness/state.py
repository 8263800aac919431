"""What a witness must never forget: the last checkpoint of each log that it let pass.

One SQLite file, written in full to disk before a change counts.  A change is a compare-and-swap inside a transaction
that locks the file, so that two processes, or one that was killed, never stand at two histories.  The file is made
once, by `create`, and never silently anew: a witness that has forgotten could be led to sign a second history.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from mithridate.errors import MithridateError, UserError
from mithridate.files import flush_folder

_SCHEMA = """
CREATE TABLE heads (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, time INTEGER NOT NULL,
                    note BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE conflicts (origin TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL, seen BLOB NOT NULL,
                        cosigned BLOB NOT NULL, PRIMARY KEY (origin, size, root)) WITHOUT ROWID;
"""
_FORMAT = 1
_PATIENCE = 30.0
MAX_CONFLICTS = 1000
"""Kept for each log; one is enough to convict it."""


class WitnessFailure(MithridateError):
    """The witness cannot read or write what it must remember, so it signs nothing."""


@dataclass(frozen=True)
class Head:
    """The last checkpoint of a log that passed: size and root, the time stated when it was cosigned, and the note with
    the log's signatures."""

    size: int
    root: bytes
    time: int
    note: bytes


@dataclass(frozen=True)
class Conflict:
    """Two checkpoints of one size, both signed by the log: proof, for anyone, that it shows two histories."""

    origin: str
    size: int
    seen: bytes
    cosigned: bytes


class WitnessState:
    """The state of one witness; thread-safe, and safe between processes."""

    def __init__(self, path: Path) -> None:
        """Open the state.  Raises UserError when there is none."""
        if not path.is_file():
            raise UserError(
                f"{path} is absent: a witness that lost its memory must not sign; set up a new one, new key"
            )
        self._path = path
        self._lock = Lock()
        with _translated(path):
            self._connection = _connect(path)
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version != _FORMAT:
            raise UserError(
                f"{path} is of format {version} and this program reads {_FORMAT}: use the program's version"
            )

    @classmethod
    def create(cls, path: Path) -> WitnessState:
        """Make an empty state.  Raises UserError when the file exists or cannot be made."""
        if path.exists():
            raise UserError(f"{path} exists and is never replaced: name another folder")
        partial = path.with_name(f".{path.name}.part")
        with _translated(path):
            partial.unlink(missing_ok=True)
            connection = sqlite3.connect(partial, isolation_level=None)
            connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_FORMAT}; COMMIT;")
            connection.close()
            os.link(partial, path)  # unlike a rename, refuses to replace what another process has made meanwhile
            partial.unlink()
            flush_folder(path.parent)
        return cls(path)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def head(self, origin: str) -> Head | None:
        """The last checkpoint of a log, None when none ever passed."""
        with self._lock, _translated(self._path):
            return Change(self._connection).head(origin)

    def conflicts(self) -> list[Conflict]:
        """Every proof of a split view that was met."""
        with self._lock, _translated(self._path):
            rows = self._connection.execute("SELECT origin, size, seen, cosigned FROM conflicts ORDER BY origin, size")
            return [Conflict(*row) for row in rows]

    @contextmanager
    def change(self) -> Iterator[Change]:
        """A transaction that keeps everybody else out; durable once the block has ended without an error.

        Raises WitnessFailure, with nothing changed, when the disk refuses.
        """
        with self._lock, _translated(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield Change(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a failed commit may have ended the transaction itself
                    self._connection.execute("ROLLBACK")
                raise


class Change:
    """What may be done inside `WitnessState.change`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def head(self, origin: str) -> Head | None:
        """The last checkpoint of a log."""
        query = "SELECT size, root, time, note FROM heads WHERE origin = ?"
        row = self._connection.execute(query, (origin,)).fetchone()
        return None if row is None else Head(*row)

    def advance(self, origin: str, head: Head) -> None:
        """Put a checkpoint in the place of the last one, which the caller has found it to extend."""
        query = "INSERT OR REPLACE INTO heads (origin, size, root, time, note) VALUES (?, ?, ?, ?, ?)"
        self._connection.execute(query, (origin, head.size, head.root, head.time, head.note))

    def convict(self, conflict: Conflict, root: bytes) -> None:
        """Keep the proof of a split view; `root` is that of the checkpoint which did not pass."""
        query = "SELECT count(*) FROM conflicts WHERE origin = ?"
        (known,) = self._connection.execute(query, (conflict.origin,)).fetchone()
        if known < MAX_CONFLICTS:
            query = "INSERT OR IGNORE INTO conflicts (origin, size, root, seen, cosigned) VALUES (?, ?, ?, ?, ?)"
            values = (conflict.origin, conflict.size, root, conflict.seen, conflict.cosigned)
            self._connection.execute(query, values)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise UserError(f"{path} exists and is never replaced: name another folder") from None
    except (sqlite3.Error, OSError) as error:
        raise WitnessFailure(f"{path} cannot be read or written ({error}): the witness signs nothing") from error
