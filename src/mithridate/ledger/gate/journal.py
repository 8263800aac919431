"""The admission journal: every decision as one line, each line holding the hash of the one before it.

A line is on disk before its image is handed over.  A line that is changed, dropped or moved breaks the chain from there
on; that the newest lines are still there is seen by comparing the last hash with one kept elsewhere, for which
`Journal.head` gives it.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from typing import Any

from mithridate.errors import UserError
from mithridate.files import flush_folder
from mithridate.ledger.errors import EvidenceError
from mithridate.ledger.gate.events import Decision

START = "0" * 64
"""What the first line has in place of the hash of a former one."""


class JournalError(EvidenceError):
    """A line of the journal was changed, dropped or moved."""


class Journal:
    """Appends decisions to a file.  One process at a time; thread-safe within it.

    A line that a crash cut short is removed on opening: its decision was never given out.  Raises UserError when the
    file cannot be written, JournalError when its chain does not hold.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._lock = Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise UserError(f"{path} cannot be written ({error.strerror or error}): choose another place") from error
        try:
            self._head = self._resume()
        except BaseException:
            os.close(self._descriptor)
            raise

    @property
    def head(self) -> str:
        """The hash of the last line, in hexadecimal."""
        return self._head

    def write(self, decision: Decision) -> None:
        """Append a decision; it is on disk when this returns.  Raises UserError when it cannot be written."""
        with self._lock:
            line = _line(decision, self._clock(), self._head)
            end = os.fstat(self._descriptor).st_size
            try:
                if os.write(self._descriptor, line) != len(line):
                    raise OSError("the disk is full")
                os.fsync(self._descriptor)
            except OSError as error:
                os.ftruncate(self._descriptor, end)
                raise UserError(f"{self._path} cannot be written: {error.strerror or error}") from error
            self._head = _hash(line)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            os.close(self._descriptor)

    def _resume(self) -> str:
        """Go on after the last whole line, and give its hash."""
        try:
            _lock(self._descriptor)
            head, whole = START, 0
            for _, line in _follow(self._path):
                head, whole = _hash(line), whole + len(line)
            os.ftruncate(self._descriptor, whole)
            flush_folder(self._path.parent)
        except BlockingIOError:
            raise UserError(f"{self._path} is in use by another gate: name another file for this one") from None
        except OSError as error:
            raise UserError(f"{self._path} cannot be written ({error.strerror or error}): choose another") from error
        return head


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """Every line of a journal, in order, up to one that a crash cut short.

    Raises JournalError at the first that breaks the chain.
    """
    for found, _ in _follow(path):
        yield found


def _follow(path: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Every whole line, as read and as it stands."""
    former = START
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if not line.endswith(b"\n"):
                return
            try:
                found: dict[str, Any] = json.loads(line)
                stated = found["former"]
            except (ValueError, TypeError, KeyError):
                raise JournalError(f"{path}, line {number}: it is no line of a journal") from None
            if stated != former:
                raise JournalError(f"{path}, line {number}: the line before it was changed, dropped or moved")
            former = _hash(line)
            yield found, line


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _lock(descriptor: int) -> None:
    """Keep other processes out, for as long as the file is open.  Raises BlockingIOError when one is in."""
    if os.name == "posix":
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _line(decision: Decision, now: float, former: str) -> bytes:
    values: dict[str, Any] = {"former": former, "time": round(now * 1000)}
    for key, value in vars(decision).items():
        values[key] = value.hex() if isinstance(value, bytes) else getattr(value, "value", value)
    return json.dumps(values, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
