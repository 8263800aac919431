"""Group commit: what has come in while a commit was under way is committed together, and everyone is told."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from mithridate.ledger.receipt import LedgerFailure, Receipt
from mithridate.ledger.submission import Submission

MAX_BATCH = 256
MAX_WAITING = 4096
"""Submissions that wait before further submitters are held back, so that memory stays bounded."""

LINGER_SECONDS = 0.002
"""How long a batch waits for the submitters of the one before, which are about to come back."""


class Sequencer:
    """Hands batches to `commit`, which settles every submission's future.

    A lone submission is never delayed: only when the batch before had several is there a short wait, and only until as
    many have come again.
    """

    def __init__(self, commit: Callable[[Sequence[Submission]], None]) -> None:
        self._commit = commit
        self._queue: queue.Queue[Submission | None] = queue.Queue(MAX_WAITING)
        self._is_closed = False
        self._gate = threading.Lock()  # nothing may enter behind the end mark
        self._committing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="ledger-sequencer", daemon=True)
        self._thread.start()

    def put(self, submission: Submission) -> None:
        """Queue a submission; its future is settled later.  Raises LedgerFailure when the ledger is closed."""
        with self._gate:
            if self._is_closed:
                raise LedgerFailure("the ledger is closed")
            self._queue.put(submission)

    def enter(self, submission: Submission) -> bool:
        """Queue a submission, or return True where nobody is at work: the caller must then `commit` it himself.

        To hand it to another thread and be woken again takes about as long as the work itself.  Until `commit`, others
        queue behind it.  Raises LedgerFailure when the ledger is closed.
        """
        with self._gate:
            if self._is_closed:
                raise LedgerFailure("the ledger is closed")
            if self._queue.empty() and self._committing.acquire(blocking=False):
                return True
            self._queue.put(submission)
            return False

    def commit(self, submission: Submission) -> None:
        """Commit, on the caller's thread, a submission for which `enter` returned True; its future is then settled."""
        try:
            self._settle([submission])
        finally:
            self._committing.release()

    def close(self) -> None:
        """Commit what is queued, then stop."""
        with self._gate:
            if not self._is_closed:
                self._is_closed = True
                self._queue.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join()
        with self._committing:  # until whoever commits on a thread of his own is done
            pass

    def _run(self) -> None:
        former = 1
        while (first := self._queue.get()) is not None:
            with self._committing:
                batch, is_last = self._collect(first, former)
                former = len(batch)
                self._settle(batch)
            if is_last:
                return

    def _settle(self, batch: list[Submission]) -> None:
        try:
            self._commit(batch)
        except BaseException as error:  # whatever it is, nobody may wait for ever
            _fail(batch, error)

    def _collect(self, first: Submission, former: int) -> tuple[list[Submission], bool]:
        batch = [first]
        deadline = time.monotonic() + LINGER_SECONDS
        while len(batch) < MAX_BATCH:
            left = deadline - time.monotonic() if len(batch) < former else 0.0
            try:
                item = self._queue.get(timeout=left) if left > 0 else self._queue.get_nowait()
            except queue.Empty:
                break
            if item is None:
                return batch, True
            batch.append(item)
        return batch, False


def _fail(batch: Sequence[Submission], error: BaseException) -> None:
    for submission in batch:
        settle(submission.done, error)


def settle(done: Future[Receipt], outcome: Receipt | BaseException) -> None:
    """Give a future its result, or its exception; one whose waiter gave up is left alone."""
    with contextlib.suppress(Exception):
        if isinstance(outcome, BaseException):
            done.set_exception(outcome)
        else:
            done.set_result(outcome)
