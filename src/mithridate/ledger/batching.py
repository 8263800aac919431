"""Group commit: what has come in while a commit was under way is committed together, and everyone is told."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from typing import TypeAlias

from mithridate.ledger.receipt import LedgerFailure, Receipt
from mithridate.ledger.submission import Submission

MAX_BATCH = 1024
MAX_WAITING = 4096
"""Submissions that wait before further submitters are held back, so that memory stays bounded."""

LINGER_SECONDS = 0.002
"""How long a batch waits for the next submitters: those of the one before are about to come back."""

MAX_LINGER_SECONDS = 0.02
"""How long it waits at most where they come without end; every commit costs as much as dozens of entries."""

Answer: TypeAlias = Receipt | BaseException
"""What becomes of a submission: a receipt, a refusal (`LedgerRefusal`), or why nobody knows (`LedgerFailure`)."""

_Queued: TypeAlias = tuple[Submission, "Future[Receipt]"]


class Sequencer:
    """Hands batches to `commit`, which gives an answer for each submission, and tells every submitter his own.

    A lone submission is never delayed: only when the batch before had several is there a short wait, until as many have
    come again; and where some came while that batch was committed, for as long as more keep coming.
    """

    def __init__(self, commit: Callable[[Sequence[Submission]], Sequence[Answer]]) -> None:
        self._commit = commit
        self._queue: deque[_Queued] = deque()
        self._changed = threading.Condition()
        self._wanted = 1  # so many must be queued before it is worth waking the thread
        self._former = 1  # the size of the last batch
        self._is_busy = False  # others came while it was committed
        self._is_closed = False
        self._committing = threading.Lock()
        self._alone: int | None = None  # the thread for which `enter` took the lock
        self._thread = threading.Thread(target=self._run, name="ledger-sequencer", daemon=True)
        self._thread.start()

    def put(self, submission: Submission) -> Future[Receipt]:
        """Queue a submission; the future is settled later.  Raises LedgerFailure when the ledger is closed."""
        with self._changed:
            self._await_room()
            return self._put(submission)

    def enter(self, submission: Submission) -> Future[Receipt] | None:
        """Queue a submission, or give None where it is alone: `receipt` then commits it, on the caller's thread.

        To hand it to another thread and be woken again takes about as long as the work itself.  Until `receipt`, others
        queue behind it.  The first to come after a batch of several is not alone: the others are about to come, too.
        Raises LedgerFailure when the ledger is closed.
        """
        with self._changed:
            self._await_room()
            is_alone = self._former == 1 and not self._queue and not self._is_closed
            if is_alone and self._committing.acquire(blocking=False):
                self._alone = threading.get_ident()
                return None
            return self._put(submission)

    def receipt(self, submission: Submission, queued: Future[Receipt] | None) -> Receipt:
        """The receipt, given what `enter` gave.  Raises what the log found wrong with the submission."""
        if queued is not None:
            return queued.result()
        try:
            (answer,) = self._answers((submission,))
        finally:
            self._let_go()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def commit_all(self, submissions: Sequence[Submission]) -> Sequence[Answer]:
        """Commit several together, on the caller's thread, once the batch is through that is being committed.

        They never lie in the queue, so who has many at once needs no future for each.  Raises LedgerFailure when the
        ledger is closed.
        """
        with self._committing:
            with self._changed:
                self._check_open()
            return self._answers(submissions)

    def close(self) -> None:
        """Commit what is queued, then stop."""
        self._let_go()
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        with self._committing:  # until whoever commits on a thread of his own is done
            pass

    def _let_go(self) -> None:
        """Give back what this thread entered: after its commit, or where Ctrl-C came between `enter` and `receipt`."""
        if self._alone == threading.get_ident():
            self._alone = None
            self._committing.release()

    def _await_room(self) -> None:
        while len(self._queue) >= MAX_WAITING and not self._is_closed:
            self._changed.wait()

    def _check_open(self) -> None:
        if self._is_closed:
            raise LedgerFailure("the ledger is closed")

    def _put(self, submission: Submission) -> Future[Receipt]:
        self._check_open()
        done: Future[Receipt] = Future()
        self._queue.append((submission, done))
        if len(self._queue) >= self._wanted:
            self._changed.notify_all()
        return done

    def _run(self) -> None:
        while self._await_first():
            with self._committing:
                self._settle(self._collect())

    def _await_first(self) -> bool:
        """Wait until something is queued; False once all is done and nothing more can come."""
        with self._changed:
            self._wanted = 1
            self._changed.wait_for(lambda: self._queue or self._is_closed)
            return bool(self._queue)

    def _collect(self) -> list[_Queued]:
        with self._changed:
            self._wanted = MAX_BATCH if self._is_busy else self._former
            deadline, seen = time.monotonic() + MAX_LINGER_SECONDS, 0
            while seen < len(self._queue) < self._wanted and time.monotonic() < deadline and not self._is_closed:
                seen = len(self._queue)
                self._changed.wait(LINGER_SECONDS)
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), MAX_BATCH))]
            self._changed.notify_all()  # whoever was held back
            return batch

    def _settle(self, batch: Sequence[_Queued]) -> None:
        self._former = len(batch)
        waiting = [(submission, done) for submission, done in batch if done.set_running_or_notify_cancel()]
        for answer, (_, done) in zip(self._answers([one for one, _ in waiting]), waiting, strict=True):
            settle(done, answer)

    def _answers(self, batch: Sequence[Submission]) -> Sequence[Answer]:
        try:
            return self._commit(batch)
        except BaseException as error:  # whatever it is, nobody may wait for ever
            return [error] * len(batch)
        finally:
            self._is_busy = bool(self._queue)  # before any submitter of this batch can be back


def settle(done: Future[Receipt], answer: Answer) -> None:
    """Give a future its result, or its exception; one whose waiter gave up is left alone."""
    try:
        if isinstance(answer, BaseException):
            done.set_exception(answer)
        else:
            done.set_result(answer)
    except InvalidStateError:
        pass
