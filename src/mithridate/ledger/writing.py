"""The write path: a batch is committed with the signed checkpoint that covers it, then its submitters are answered."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from mithridate.errors import UserError
from mithridate.ledger.batching import Answer
from mithridate.ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from mithridate.ledger.errors import EvidenceError
from mithridate.ledger.following import TileFollower
from mithridate.ledger.merkle import EMPTY_ROOT
from mithridate.ledger.note import NoteSigner
from mithridate.ledger.note_keys import VerifierKey
from mithridate.ledger.publishing import Publisher, RollbackError
from mithridate.ledger.receipt import LedgerFailure, Receipt
from mithridate.ledger.rules import Admission, Outcome
from mithridate.ledger.store.rows import EntryRow, Head
from mithridate.ledger.store.store import Conflict, Store
from mithridate.ledger.submission import Submission

PAUSES = (0.05, 0.2)
SERVER_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 4.0)
"""Seconds before each new try; a server may take that long to come back."""


class Appender:
    """Adds batches to one ledger.  Trying a batch again is safe: what is in the log already is found there."""

    def __init__(
        self, store: Store, publisher: Publisher, verifier: VerifierKey, signer: NoteSigner, *, on_server: bool
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._tiles = TileFollower(publisher.publish)
        self._verifier = verifier
        self._signer = signer
        self._pauses = SERVER_PAUSES if on_server else PAUSES
        self._known: Head | None = None
        self._lock = threading.Lock()

    def commit(self, submissions: Sequence[Submission]) -> list[Answer]:
        """For every submission a receipt, a refusal, or the reason why the log could not take it."""
        reason: Exception = LedgerFailure("the entry was not confirmed")
        for pause in (0.0, *self._pauses):
            if pause:
                time.sleep(pause)
            try:
                head, outcomes = self._write(submissions)
            except EvidenceError as error:  # the log itself does not hold: trying again cannot help
                reason = error
                break
            except (Conflict, LedgerFailure, UserError) as error:
                reason = LedgerFailure(f"the entry was not confirmed: {error or 'others were quicker'}")
            else:
                return _answers(submissions, outcomes, head)
        return [reason] * len(submissions)

    def _write(self, submissions: Sequence[Submission]) -> tuple[Head, list[Outcome]]:
        with self._store.writing() as connection:
            old = self.check(self._store.lock_head(connection))
            self._publisher.check_not_behind(old)
            self._tiles.retry(old)
            admission = Admission(self._store, connection, old)
            outcomes = admission.decide(submissions)
            rows = admission.batch.entries
            new = self._extend(old, rows) if rows else old
            if rows:
                self._store.append(connection, old, new, admission.batch)
        self._remember(new)
        if rows:
            self._tiles.follow(new, rows)
        return new, outcomes

    def wait(self) -> None:
        """Return when the tiles have caught up, or cannot."""
        self._tiles.wait()

    def close(self) -> None:
        """Let the tiles catch up, then stop."""
        self._tiles.close()

    def _extend(self, old: Head, rows: Sequence[EntryRow]) -> Head:
        frontier = old.frontier()
        for row in rows:
            frontier.append(row.leaf)
        return self.sign(Head(old.origin, frontier.size, frontier.root(), tuple(frontier.peaks), b""))

    def sign(self, head: Head) -> Head:
        """The head with its signed checkpoint.  The caller knows that it extends every one signed before."""
        checkpoint = Checkpoint(head.origin, head.size, head.root)
        return Head(head.origin, head.size, head.root, head.peaks, sign_checkpoint(checkpoint, [self._signer]))

    def is_own(self, head: Head) -> bool:
        """Whether this log's key signed the head."""
        try:
            return open_checkpoint(head.checkpoint, [self._verifier], origin=self._verifier.name)[0].root == head.root
        except EvidenceError:
            return False

    def check(self, head: Head) -> Head:
        """The head itself, if this log signed it and it does not lie before or beside what was seen.

        Raises EvidenceError: nothing may then be signed.
        """
        with self._lock:
            known = self._known
        if head == known:
            return head
        checkpoint, _ = open_checkpoint(head.checkpoint, [self._verifier], origin=self._verifier.name)
        if checkpoint != Checkpoint(head.origin, head.size, head.root) or head.frontier().root() != head.root:
            raise EvidenceError("the head in the database is not the one that the log signed: it was changed by hand")
        if known is not None and (head.size < known.size or (head.size == known.size and head.root != known.root)):
            raise RollbackError(
                f"the database went from {known.size} entries back to {head.size}, or to another history: restore it; "
                f"nothing was signed"
            )
        self._remember(head)
        return head

    def _remember(self, head: Head) -> None:
        with self._lock:
            if self._known is None or head.size >= self._known.size:
                self._known = head


def empty_head(origin: str) -> Head:
    """The head, unsigned, of a log without entries."""
    return Head(origin, 0, EMPTY_ROOT, (), b"")


def _answers(submissions: Sequence[Submission], outcomes: Sequence[Outcome], head: Head) -> list[Answer]:
    return [
        outcome.refusal
        or Receipt(
            outcome.position,
            submission.leaf,
            submission.record.device,
            submission.record.sequence,
            head.checkpoint,
            outcome.notices,
        )
        for submission, outcome in zip(submissions, outcomes, strict=True)
    ]
