"""The ledger: one folder, one database, and everything that may be asked of them or said to them.

with Ledger.create(Path("hospital"), origin="hospital.example/ledger") as ledger:
    station = ledger.add_station("CT1", manufacturer="Maker", model="Model")
    receipt = ledger.capture(data, "image.dcm", station=station)
    assert ledger.judge(data, "image.dcm").is_accepted
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from mithridate.errors import UserError
from mithridate.ledger.asking import ReadableLedger
from mithridate.ledger.batching import Sequencer
from mithridate.ledger.bulk import submit_all
from mithridate.ledger.bundle import Membership, ProofBundle
from mithridate.ledger.captures import Captures
from mithridate.ledger.endorsing import endorse
from mithridate.ledger.entry import UncheckedEntry, parse_entry
from mithridate.ledger.errors import RecordError
from mithridate.ledger.fingerprint import Fingerprint, fingerprint_image
from mithridate.ledger.folder import LedgerFolder
from mithridate.ledger.fsck import FsckReport
from mithridate.ledger.identity import DeviceIdentity
from mithridate.ledger.judgement import LogJudgement, OtherIdentity
from mithridate.ledger.keys import Signer
from mithridate.ledger.opening import OPERATOR, check_not_behind, start
from mithridate.ledger.publishing import RollbackError
from mithridate.ledger.receipt import LedgerFailure, LedgerRefusal, Receipt, SequenceRefusal
from mithridate.ledger.record import Capture, Derivation, Enrolment, Revocation
from mithridate.ledger.sealed import new_salt
from mithridate.ledger.station import Station
from mithridate.ledger.station_files import check_name
from mithridate.ledger.submission import Submission, check_opening

__all__ = [
    "FsckReport",
    "Ledger",
    "LedgerFailure",
    "LedgerRefusal",
    "LogJudgement",
    "Membership",
    "OtherIdentity",
    "ProofBundle",
    "Receipt",
    "RollbackError",
    "SequenceRefusal",
    "Station",
]


class Ledger(ReadableLedger):
    """A log in a folder (configuration, keys, tiles) and a database (entries, private salts, lookups).

    Thread-safe.  Several processes may hold the same ledger open, on one machine by its folder, on several by folders
    with the same keys and one PostgreSQL database.
    """

    def __init__(self, folder: LedgerFolder, signer: Signer | None = None) -> None:
        """Use `create` or `open`."""
        super().__init__(folder, signer)
        self._sequencer = Sequencer(self._appender.commit)
        self._captures = Captures(self._registry.following, self._prepare, self._sequencer)

    @classmethod
    def create(cls, folder: Path, *, origin: str, database: str | None = None, signer: Signer | None = None) -> Ledger:
        """Make a new ledger and open it.

        `origin` names the log in its checkpoints ("hospital.example/ledger": no spaces, no '+').  `database` is a
        PostgreSQL URL; without one, SQLite in the folder.  Entry 0 enrolls the operator, whose key is made here and
        signs enrolments and revocations.  `signer` is the log's key when it is not to be a file in the folder.  A
        creation that was cut short can be given again.  Raises UserError when the folder or the database holds a
        ledger already.
        """
        ledger = cls(LedgerFolder.create(folder, origin, database, signer), signer)
        try:
            operator = start(ledger._folder, ledger._store, ledger._appender)
            ledger.enroll(operator.sign(operator.enrolment(), 0))
            ledger._view()  # so that the folder shows at once that a log was begun here
        except BaseException:
            ledger.close()
            raise
        return ledger

    @classmethod
    def open(cls, folder: Path, *, witnessed: Iterable[bytes] = (), signer: Signer | None = None) -> Ledger:
        """Open a ledger.  `witnessed` are checkpoints of it that others hold, `signer` is its key when not in a file.

        Raises UserError when there is none, LedgerFailure when the database cannot be reached, and RollbackError (an
        EvidenceError) when it is older than the last published checkpoint, one in `witnessed`, or beside it.
        """
        ledger = cls(LedgerFolder.load(folder), signer)
        try:
            ledger._store.check()
            ledger._publisher.publish(ledger._appender.check(ledger._store.head()))
            for note in witnessed:
                check_not_behind(ledger._view(), ledger._own_checkpoint(note))
        except BaseException:
            ledger.close()
            raise
        return ledger

    def close(self) -> None:
        """Finish what was submitted, then let go of files and connections."""
        self._sequencer.close()
        self._appender.close()
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(
        self, entry: bytes, *, salt: bytes | None = None, identity: Mapping[str, bytes | None] | None = None
    ) -> Receipt:
        """Log a signed record other than an enrolment; blocks until it is durable and covered.

        `salt` opens the commitments in the record and is kept privately; `identity` (`Fingerprint.identity`, needs the
        salt) lets the log find the record by SOP instance UID, patient and accession number.  The same bytes again
        give the receipt they gave.  Raises LedgerRefusal naming why, LedgerFailure when the log cannot answer.
        """
        return self._append(self._prepare(entry, _parse(entry), salt, identity))

    def submit_later(
        self, entry: bytes, *, salt: bytes | None = None, identity: Mapping[str, bytes | None] | None = None
    ) -> Future[Receipt]:
        """`submit` that does not wait: the future holds its receipt, or raises what the log found wrong with it."""
        return self._sequencer.put(self._prepare(entry, _parse(entry), salt, identity))

    def submit_all(self, entries: Iterable[bytes]) -> Generator[Receipt | LedgerRefusal, None, None]:
        """`submit` of many: their receipts or refusals in the order of the entries, each once it is durable.

        Entries are taken from the iterable as answers are taken from here, a batch of a thousand at a time: what was
        taken is logged, also where nobody asks for its answer.  Raises LedgerFailure when the log cannot answer.
        """
        return submit_all(entries, lambda entry: self._prepare(entry, _parse(entry)), self._sequencer)

    def enroll(self, entry: bytes) -> Receipt:
        """Log a signed enrolment: by the operator, or by the device itself as its record number 0.

        This is the operator's road: whoever may call it decides who may sign.  Raises LedgerRefusal naming why.
        """
        parts = _parse(entry)
        if not isinstance(parts.record.body, Enrolment):
            raise LedgerRefusal("this entry is no enrolment: submit it")
        return self._append(self._prepare(entry, parts, may_enroll=True))

    def enroll_device(self, enrolment: Enrolment) -> Receipt:
        """Log an enrolment that a device prepared, signed by the operator."""
        return self._operate(enrolment)

    def revoke(self, scope: str, target: bytes, reason: str) -> Receipt:
        """Revoke a device by its ID (scope "device") or an entry by its leaf hash (scope "record"), as the operator."""
        return self._operate(Revocation(scope, target, reason))

    def stations(self) -> tuple[str, ...]:
        """Names of this host's stations."""
        return self._folder.stations().names()

    def station(self, name: str) -> Station:
        """A station that `add_station` made.  Raises UserError, naming those there are, when there is none."""
        return self._folder.stations().load(name)

    def add_station(
        self, name: str, *, manufacturer: str = "", model: str = "", serial_number: str = "", software_version: str = ""
    ) -> Station:
        """Make a key for a station of this host, keep it in the folder, and enroll it.

        One that was cut short can be given again.  Raises UserError when there is a station of this name.
        """
        if check_name(name) in self.stations():
            raise UserError(f"there is a station {name!r} already: rotate it to give it a new key")
        identity = DeviceIdentity(name, manufacturer, model, serial_number, software_version, bytes(32))
        station = self._enrolled(self._folder.stations().prepare(identity))
        self._folder.stations().settle(name)
        return station

    def rotate_station(self, name: str, *, software_version: str | None = None) -> Station:
        """Give a station a new key, and a new software version if stated; its former identity is revoked.

        One that was cut short can be given again.
        """
        former = self.station(name)
        version = former.identity.software_version if software_version is None else software_version
        files = self._folder.stations()
        station = self._enrolled(files.prepare(replace(former.identity, software_version=version)))
        row = self._registry.device(former.device_id)
        if row is not None and row.revoked is None:
            self.revoke("device", former.device_id, "rotated: the station has a new key")
        files.settle(name)
        return station

    def capture(
        self, data: bytes, name: str, *, station: Station, channel: str = "file", known_as: str | None = None
    ) -> Receipt:
        """Fingerprint an image, sign a record of it as the station, and submit it.

        `name` is what messages call the image.  `known_as`, by default the name, is the path by which a PNG, JPEG or
        TIFF file, which bears no identity, is found again when it was altered; it is kept privately, as a keyed hash.
        Raises FingerprintError when the image cannot be fingerprinted.
        """
        image = fingerprint_image(data, name)
        return self.capture_fingerprint(image, name, station=station, channel=channel, known_as=known_as)

    def capture_fingerprint(
        self,
        fingerprint: Fingerprint,
        name: str,
        *,
        station: Station,
        channel: str = "file",
        known_as: str | None = None,
    ) -> Receipt:
        """`capture` of an image that is fingerprinted already, such as a data set that came without a file header."""
        salt = new_salt()
        body = Capture(fingerprint.seal(salt), channel)
        return self._record(station, body, salt, fingerprint, name, known_as)

    def derive(
        self, data: bytes, name: str, *, source: int, operation: str, software: str, station: Station
    ) -> Receipt:
        """Log that an image was made from the one of entry `source`, by which operation of which software."""
        image, salt = fingerprint_image(data, name), new_salt()
        with self._store.reading() as connection:
            row = self._store.entry(connection, source)
        if row is None:
            raise UserError(f"the log has no entry {source} to derive from: entries are counted from 0")
        body = Derivation(row.leaf, operation, software, image.seal(salt))
        return self._record(station, body, salt, image, name)

    def endorse(self, checkpoint: bytes, *, timestamp: bytes | None = None) -> None:
        """Keep and publish a checkpoint of this log that witnesses cosigned, or its RFC 3161 time stamp.

        Raises EvidenceError unless it is this log's own checkpoint, of a size that it has reached.
        """
        endorse(self._store, self._publisher, self._view(), self._own_checkpoint(checkpoint), checkpoint, timestamp)

    def _record(
        self,
        station: Station,
        body: Capture | Derivation,
        salt: bytes,
        image: Fingerprint,
        name: str,
        known_as: str | None = None,
    ) -> Receipt:
        path = None if image.identity else known_as or name
        try:
            return self._captures.send(station, body, salt=salt, identity=image.identity, known_as=path)
        except RecordError as error:
            raise LedgerRefusal(f"{name} cannot be recorded: {error}") from error

    def _operate(self, body: Enrolment | Revocation) -> Receipt:
        return self._captures.send(self._folder.operators().load(OPERATOR), body, may_enroll=True)

    def _enrolled(self, station: Station) -> Station:
        if self._registry.device(station.device_id) is None:
            self.enroll_device(station.enrolment())
        return station

    def _prepare(
        self,
        entry: bytes,
        parts: UncheckedEntry,
        salt: bytes | None = None,
        identity: Mapping[str, bytes | None] | None = None,
        known_as: str | None = None,
        may_enroll: bool = False,
    ) -> Submission:
        """Check all that does not depend on the log's state.  Raises LedgerRefusal, LedgerFailure."""
        record, body = parts.record, parts.record.body
        is_own = isinstance(body, Enrolment) and body.identity.device_id == record.device
        signer = body.identity if is_own and isinstance(body, Enrolment) else self._registry.identity(record.device)
        try:
            parts.check(signer)
            check_opening(record, salt, identity)
        except RecordError as error:
            raise LedgerRefusal(str(error)) from error
        keys = self._keys.of_identity(identity) if identity is not None else ()
        if known_as is not None:
            keys += self._keys.of_name(known_as)
        return Submission(entry, record, salt, keys, may_enroll)

    def _append(self, submission: Submission) -> Receipt:
        return self._sequencer.receipt(submission, self._sequencer.enter(submission))


def _parse(entry: bytes) -> UncheckedEntry:
    try:
        return parse_entry(entry)
    except RecordError as error:
        raise LedgerRefusal(str(error)) from error
