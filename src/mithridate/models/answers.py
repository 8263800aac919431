"""Answers of an endpoint, kept on disk: a question is asked once, and the budget of questions holds across processes.

One SQLite file serves all workers of a run and survives it, so a run that goes on does not pay again.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mithridate.errors import QueryLimitReached, UserError


class AnswerStore:
    """`identity` tells endpoints and their settings apart; `limit` caps the images that are ever sent."""

    def __init__(self, file: Path, identity: str, limit: int | None) -> None:
        self._file, self._identity, self._limit = file, identity, limit
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(file, timeout=60.0, isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, answer BLOB NOT NULL)")
            self._database.execute("CREATE TABLE IF NOT EXISTS spent (identity TEXT PRIMARY KEY, n INTEGER NOT NULL)")
            self._database.execute("CREATE TABLE IF NOT EXISTS pace (identity TEXT PRIMARY KEY, at REAL NOT NULL)")
            self._database.execute("INSERT OR IGNORE INTO spent VALUES (?, 0)", (identity,))
        except (sqlite3.Error, OSError) as error:
            raise UserError(f"{file} cannot keep the endpoint's answers: {error}; name another 'cache'") from error

    @property
    def spent(self) -> int:
        """Images sent so far, by all processes and earlier runs."""
        return int(self._database.execute("SELECT n FROM spent WHERE identity = ?", (self._identity,)).fetchone()[0])

    def charge(self, images: int) -> None:
        """Raises QueryLimitReached, and charges nothing, when fewer questions are left."""
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            used = self.spent
            if self._limit is not None and used + images > self._limit:
                raise QueryLimitReached(
                    f"the endpoint's query budget of {self._limit:,} images is spent ({used:,} sent)"
                )
            self._database.execute("UPDATE spent SET n = n + ? WHERE identity = ?", (images, self._identity))

    def turn(self, per_second: float) -> float:
        """Seconds to wait for the next request, so that all processes together keep to the rate."""
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            query = "SELECT at FROM pace WHERE identity = ?"
            row = self._database.execute(query, (self._identity,)).fetchone()
            now = time.time()
            # A turn far ahead was left by a clock that has been set back.
            at = max(now, row[0]) if row and row[0] < now + 3600 else now
            self._database.execute("INSERT OR REPLACE INTO pace VALUES (?, ?)", (self._identity, at + 1 / per_second))
        return float(at - now)

    def key(self, image: NDArray[np.float32]) -> bytes:
        digest = hashlib.sha256(self._identity.encode() + str(image.shape).encode())
        digest.update(np.ascontiguousarray(image).tobytes())
        return digest.digest()

    def get(self, key: bytes) -> NDArray[np.float64] | None:
        row = self._database.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
        return None if row is None else np.frombuffer(row[0], dtype=np.float64)

    def put(self, keys: Sequence[bytes], answers: Sequence[NDArray[np.float64]]) -> None:
        rows = [
            (key, np.ascontiguousarray(a, dtype=np.float64).tobytes()) for key, a in zip(keys, answers, strict=True)
        ]
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", rows)
