"""The tiles follow the database, on a thread of their own, so that no submitter waits for more than one flush.

A batch is durable, and covered by a signed checkpoint, once the database has committed it; the tiles can be written
from there again at any time.  Batches that are committed while tiles are being written are written together next.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from mithridate.ledger.store.rows import EntryRow, Head

PAUSE_SECONDS = 0.2
"""From the end of one writing to the next: lone entries then share files, which else take longer than the entries."""

MAX_BEHIND = 8192
"""Entries that the tiles may lag behind before submitters are held back."""

Publish = Callable[[Head, int, Sequence[EntryRow]], None]
"""Brings the tiles to a head, given the rows of the entries from an index on."""


class TileFollower:
    """Calls `publish` for the newest head.  After an error nothing is committed until the tiles can follow."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._changed = threading.Condition()
        self._head: Head | None = None
        self._rows: list[EntryRow] = []
        self._has_failed = False
        self._is_writing = False
        self._is_pausing = False
        self._is_awaited = False
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def follow(self, head: Head, rows: Sequence[EntryRow]) -> None:
        """The database stands at `head`; `rows` are those that were added last.  Waits while the tiles lag far behind.

        After `close` the tiles are written before this returns.
        """
        with self._changed:
            if not self._is_closed:
                if self._rows and rows and self._rows[-1].position + 1 != rows[0].position:
                    self._rows.clear()  # others wrote in between: what is missing is read from the database
                self._head = head
                self._rows.extend(rows)
                self._start()
                if not self._is_pausing or self._is_urgent():  # else it is only woken to sleep on
                    self._changed.notify_all()
                self._changed.wait_for(lambda: len(self._rows) < MAX_BEHIND or self._has_failed)
                return
        self._publish(head, head.size - len(rows), rows)

    def retry(self, head: Head) -> None:
        """Where the tiles could not be written, write them now up to `head`.  Raises what `publish` raises."""
        with self._changed:
            if not self._has_failed:
                return
        self._publish(head, head.size, ())
        with self._changed:
            self._has_failed = False

    def wait(self) -> None:
        """Return once nothing waits to be written, whether or not it could be."""
        with self._changed:
            self._is_awaited = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._head is None and not self._is_writing)
            self._is_awaited = False

    def close(self) -> None:
        """Write what is left, then stop.  Tiles that cannot be written are made up for when the log is next opened."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ledger-tiles", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._head is not None or self._is_closed)
                head, rows = self._head, self._rows
                self._head, self._rows = None, []
                self._is_writing = head is not None
                if head is None:
                    return
            has_failed = False
            try:
                self._publish(head, head.size - len(rows), rows)
            except Exception:  # told to the next submitter, who tries again and gets the reason
                has_failed = True
            with self._changed:
                self._has_failed = has_failed
                self._is_writing = False
                self._changed.notify_all()
                self._is_pausing = True
                self._changed.wait_for(self._is_urgent, PAUSE_SECONDS)
                self._is_pausing = False

    def _is_urgent(self) -> bool:
        return self._is_closed or self._is_awaited or len(self._rows) >= MAX_BEHIND // 4
