"""Records that this host signs itself: it counts each station's sequence, also while other processes sign for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mithridate.ledger.batching import Sequencer
from mithridate.ledger.entry import UncheckedEntry
from mithridate.ledger.receipt import LedgerFailure, Receipt, SequenceRefusal
from mithridate.ledger.record import Body
from mithridate.ledger.station import Station
from mithridate.ledger.submission import Submission

MAX_TRIES = 64
"""Times that a record is signed anew because another process was quicker with its number."""

_PAUSE_SECONDS = 0.002


@dataclass
class _Count:
    """The next number to sign with, None when only the log knows; `era` changes whenever it has to be asked."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    following: int | None = None
    era: int = 0


Prepare = Callable[
    [bytes, UncheckedEntry, bytes | None, Mapping[str, bytes | None] | None, str | None, bool], Submission
]


class Captures:
    """Signs and submits.  Records of one station are in flight together, so that they share a commit."""

    def __init__(
        self,
        following: Callable[[bytes], int],
        prepare: Prepare,
        sequencer: Sequencer,
    ) -> None:
        """`following` gives the number of a device's next record, `prepare` checks an entry before it may wait."""
        self._following = following
        self._prepare = prepare
        self._sequencer = sequencer
        self._counts: dict[bytes, _Count] = {}
        self._lock = threading.Lock()

    def send(
        self,
        station: Station,
        body: Body,
        salt: bytes | None = None,
        identity: Mapping[str, bytes | None] | None = None,
        *,
        known_as: str | None = None,
        may_enroll: bool = False,
    ) -> Receipt:
        """Sign the body as the station's next record and wait for its receipt.

        Raises LedgerRefusal and LedgerFailure as `Ledger.submit` does.
        """
        with self._lock:
            count = self._counts.setdefault(station.device_id, _Count())
        for attempt in range(MAX_TRIES):
            with count.lock:
                if count.following is None:
                    count.following = self._following(station.device_id)
                era = count.era
                entry, parts = station.sign_parts(body, count.following)
                submission = self._prepare(entry, parts, salt, identity, known_as, may_enroll)
                queued = self._sequencer.enter(submission)
                count.following += 1
            try:
                return self._sequencer.receipt(submission, queued)
            except SequenceRefusal:
                self._forget(count, era)
                time.sleep(_PAUSE_SECONDS * attempt)
            except BaseException:
                self._forget(count, era)
                raise
        raise LedgerFailure(f"{MAX_TRIES} times others were quicker to sign as {station.identity.name!r}: try again")

    def _forget(self, count: _Count, era: int) -> None:
        """After a refusal, ask the log again, once for all records that were in flight together."""
        with count.lock:
            if count.era == era:
                count.era, count.following = era + 1, None
