"""The one road into the ledger: every door hands what it received to an `Intake`, and says what the intake says."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pydicom.uid import UID

from mithridate.ledger.fingerprint import Fingerprint, Verdict
from mithridate.ledger.fingerprint.dicom import OpenedDicom
from mithridate.ledger.fingerprint.image import open_image
from mithridate.ledger.fingerprint.model import FingerprintError, Limits
from mithridate.ledger.fingerprint.raster import OpenedRaster
from mithridate.ledger.receipt import Receipt
from mithridate.ledger.receive.body import Room
from mithridate.ledger.receive.limits import ReceiveLimits
from mithridate.ledger.receive.part10 import Stated, read_stated, stated_in
from mithridate.ledger.receive.quarantine import Quarantine
from mithridate.ledger.receive.refusal import Kind, Refused, refusal_for
from mithridate.ledger.receive.spool import Spool
from mithridate.ledger.station import Station

if TYPE_CHECKING:
    from mithridate.ledger.log import Ledger

_log = logging.getLogger("mithridate.ledger.receive")

_COPIES = 4
"""How many times an object's bytes may be in memory while it is fingerprinted: as received, parsed, decoded, hashed."""


@dataclass(frozen=True)
class Arrival:
    """An object as a door received it.

    Attributes: data (the bytes of a file), name (for messages), peer (who sent it, for messages), channel ("dimse",
    "stow" or "file", as recorded), expected (what the sender announced: an object that says otherwise is refused;
    empty texts are not compared), digest (SHA-256 of the data, None where it is still to be made).
    """

    data: bytes
    name: str
    peer: str
    channel: str
    expected: Stated = field(default_factory=Stated)
    digest: bytes | None = None


Observer: TypeAlias = Callable[[Arrival, Receipt | Refused], None]
"""Is told of every object once it is settled, on the thread that settled it."""


class Intake:
    """Fingerprints, logs and keeps objects.  Thread-safe.

    An object counts as received when `take` has returned: it is then logged, durable and covered by a checkpoint, and
    where there is a spool it is on disk as well.  `on_spooled` is called when another object waits to be forwarded.
    """

    def __init__(
        self,
        ledger: Ledger,
        station: Station,
        *,
        limits: ReceiveLimits | None = None,
        spool: Spool | None = None,
        quarantine: Quarantine | None = None,
        observer: Observer | None = None,
        on_spooled: Callable[[], None] | None = None,
    ) -> None:
        self.limits = limits or ReceiveLimits()
        self.station = station
        self._ledger = ledger
        self._spool = spool
        self._quarantine = quarantine
        self._observer = observer
        self._on_spooled = on_spooled
        self._room = Room(self.limits.memory_bytes)

    @property
    def folder(self) -> Path | None:
        """Where doors may put what is still coming in, None for the system's own place."""
        return self._spool.incoming if self._spool is not None else None

    def take(self, arrival: Arrival) -> Receipt:
        """Log an object; blocks until it is durable.

        Raises Refused when it is not logged: it is then in quarantine, if there is one and sending the same object
        again would not help.
        """
        try:
            with self._room.hold(_COPIES * len(arrival.data)):
                receipt = self._take(arrival)
        except Exception as error:  # whatever it is, the sender must hear that its object was not taken
            refused = refusal_for(error, arrival.name)
            refused.__cause__ = error if refused is not error else None
            raise self.refuse(arrival, refused) from refused.__cause__
        notices = "".join(f"; {notice}" for notice in receipt.notices)
        _log.info("logged %d: %s from %s by %s%s", receipt.index, arrival.name, arrival.peer, arrival.channel, notices)
        if self._observer is not None:
            self._observer(arrival, receipt)
        return receipt

    def refuse(self, arrival: Arrival, refused: Refused) -> Refused:
        """Say in the log that an object was not taken, and quarantine it; returns the refusal."""
        level, defect = (logging.ERROR, refused.__cause__) if refused.kind is Kind.FAILURE else (logging.WARNING, None)
        where = f"{arrival.name} from {arrival.peer}"
        _log.log(level, "refused %#06x: %s: %s", refused.kind.value, where, refused, exc_info=defect)
        if self._quarantine is not None and arrival.data and not refused.kind.may_pass_later:
            self._quarantine.put(arrival.data, arrival.name, arrival.peer, refused)
        if self._observer is not None:
            self._observer(arrival, refused)
        return refused

    def knows(self, data: bytes, name: str) -> bool:
        """Whether the ledger holds a record of exactly these bytes that still counts."""
        return self._ledger.judge(data, name).verdict is Verdict.IDENTICAL

    def recover(self) -> int:
        """Settle what a crash left in the spool; returns how many objects were rescued."""
        if self._spool is None:
            return 0
        found = self._spool.recover(lambda data: self.knows(data, "an object left by a crash"))
        if found:
            _log.info("%d objects that a crash had left behind go on", found)
        return found

    def _take(self, arrival: Arrival) -> Receipt:
        opened = self._open(arrival)
        fingerprint = opened.fingerprint
        check_stated(arrival, stated_in(opened.file) if isinstance(opened, OpenedDicom) else Stated())
        if self._spool is None:
            return self._capture(fingerprint, arrival)
        path = self._spool.write(arrival.data, fingerprint.file)
        try:
            receipt = self._capture(fingerprint, arrival)
        except Exception:
            self._spool.discard(path)
            raise
        self._spool.accept(path)
        if self._on_spooled is not None:
            self._on_spooled()
        return receipt

    def _open(self, arrival: Arrival) -> OpenedDicom | OpenedRaster:
        limits = self.limits.fingerprint
        try:
            opened = open_image(arrival.data, arrival.name, limits, digest=arrival.digest)
        except FingerprintError as error:
            syntax = state(arrival.data, limits).syntax
            known = not syntax or UID(syntax).is_transfer_syntax
            raise Refused(Kind.CANNOT_UNDERSTAND if known else Kind.TRANSFER_SYNTAX, str(error)) from error
        if opened.fingerprint.fault is not None:
            raise Refused(Kind.CANNOT_UNDERSTAND, opened.fingerprint.fault)
        return opened

    def _capture(self, fingerprint: Fingerprint, arrival: Arrival) -> Receipt:
        return self._ledger.capture_fingerprint(
            fingerprint, arrival.name, station=self.station, channel=arrival.channel
        )


def state(data: bytes, limits: Limits) -> Stated:
    """What an object that may be damaged says it is, as far as that can be read."""
    try:
        return read_stated(data, limits)
    except Exception:
        return Stated()


def check_stated(arrival: Arrival, stated: Stated) -> None:
    """Raise Refused when an object is not what its sender announced."""
    pairs = (
        ("SOP Class UID", arrival.expected.sop_class, stated.sop_class),
        ("SOP Instance UID", arrival.expected.sop_instance, stated.sop_instance),
        ("Study Instance UID", arrival.expected.study, stated.study),
    )
    for what, announced, found in pairs:
        if announced and announced != found:
            raise Refused(
                Kind.MISMATCH,
                f"{arrival.name} was announced with the {what} {announced} and holds {found or 'none'}",
            )
