"""Judging an image against the log: find the records that may be its own, check that they hold, compare, choose."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from operator import attrgetter, itemgetter

from sqlalchemy import Connection

from mithridate.ledger.entry import UncheckedEntry, parse_entry, read_entry
from mithridate.ledger.errors import EvidenceError
from mithridate.ledger.fingerprint import Fingerprint, Verdict
from mithridate.ledger.identity import DeviceIdentity
from mithridate.ledger.judgement import LogJudgement, OtherIdentity, judge_against
from mithridate.ledger.proving import find_revocation
from mithridate.ledger.record import Derivation, Enrolment, Record
from mithridate.ledger.sealed import SealedFingerprint, commit
from mithridate.ledger.store.rows import EntryRow
from mithridate.ledger.store.store import Store
from mithridate.ledger.store.tables import KEY_SIZE, Lookup
from mithridate.ledger.submission import LookupKeys, fingerprint_of
from mithridate.ledger.view import LogView

MAX_CANDIDATES = 256
"""Records compared for each way of finding them; the newest ones, where an image as common as a black one has more."""

_REVOKED_MATCH, _REVOKED_OTHER = 3, 6
_ORDER = (
    Verdict.IDENTICAL,
    Verdict.TRANSCODED,
    Verdict.DERIVED,
    Verdict.REVOKED,
    Verdict.METADATA_EDITED,
    Verdict.MISMATCH,
)
_WHO = frozenset(
    (
        "PatientID",
        "IssuerOfPatientID",
        "PatientName",
        "PatientBirthDate",
        "AccessionNumber",
        "StudyInstanceUID",
        "SOPInstanceUID",
    )
)
"""Identity attributes that say whose image it is and which one; the others say how and where it was made."""


@dataclass(frozen=True)
class _Found:
    """What the database says of a record: nothing of it is believed yet."""

    row: EntryRow
    entry: UncheckedEntry
    enrolment: EntryRow
    salt: bytes | None
    revoked: int | None


@dataclass(frozen=True)
class _Candidate:
    """A record whose place in the log, device and signature were checked."""

    position: int
    record: Record
    fingerprint: SealedFingerprint
    salt: bytes | None
    revoked: int | None


class Judge:
    """Judges images by the log as it stands when asked; `view` gives a view that covers at least so many entries."""

    def __init__(self, store: Store, keys: LookupKeys, view: Callable[[int], LogView]) -> None:
        self._store = store
        self._keys = keys
        self._view = view
        self._enrolled: dict[tuple[int, bytes], DeviceIdentity] = {}  # proved once: a log only grows

    def judge(self, image: Fingerprint, known_as: str | None = None, entry: int | None = None) -> LogJudgement:
        """The verdict on an image, by the record `entry` if one is named.

        Raises EvidenceError when the log does not hold, DatabaseError when it is away.
        """
        by_name = False
        with self._store.reading() as connection:
            positions = self._positions(connection, image)
            if entry is not None and entry not in positions:
                positions.append(entry)
            if not positions and known_as is not None and not image.identity:
                positions = self._named(connection, known_as)
                by_name = True
            if by_name and len(positions) > 1:
                listed = ", ".join(map(str, positions[:5])) + (", ..." if len(positions) > 5 else "")
                reason = f"the log holds no record of this image, and several of files of its name (entries {listed})"
                return LogJudgement(Verdict.UNKNOWN, (), f"{reason}: say which entry it should be")
            found = [one for one in (self._find(connection, place, entry) for place in positions) if one is not None]
        if not found:
            reason = "the log holds no record of this image" if entry is None else f"entry {entry} records no image"
            return LogJudgement(Verdict.UNKNOWN, (), reason)
        view = self._view(max(one.row.position for one in found) + 1)
        candidates = [self._check(view, one) for one in found]
        judged = [_judge(image, one) for one in candidates if entry is None or one.position == entry]
        if not judged:
            return LogJudgement(Verdict.UNKNOWN, (), f"entry {entry} records no image")
        _, best = min(judged, key=itemgetter(0))
        if by_name:
            best = replace(best, reason=f"{best.reason}, by the record of the file of this name")
        return replace(best, others=_other_identities(image, candidates))

    def _positions(self, connection: Connection, image: Fingerprint) -> list[int]:
        keys = [(Lookup.FILE, image.file[:KEY_SIZE]), (Lookup.STREAM, image.stream[:KEY_SIZE])]
        if image.pixels is not None:
            keys.append((Lookup.PIXELS, image.pixels[:KEY_SIZE]))
        keys += [key for key in self._keys.of_identity(image.identity) if key[0] is Lookup.SOP_INSTANCE]
        found: dict[int, None] = {}
        for kind, key in keys:
            found |= dict.fromkeys(self._store.find(connection, kind, key, MAX_CANDIDATES))
        return list(found)

    def _named(self, connection: Connection, path: str) -> list[int]:
        """The records of a file of this path: the newest of exactly this one, or all that share as much as any do."""
        for number, (kind, key) in enumerate(self._keys.of_name(path)):
            found = self._store.find(connection, kind, key, MAX_CANDIDATES)
            if found:
                return found if number else found[:1]
        return []

    def _find(self, connection: Connection, position: int, wanted: int | None) -> _Found | None:
        """What the database says of an entry; None for one that was asked for, `wanted`, and records no image."""
        row = self._store.entry(connection, position)
        if row is None:
            if position == wanted:
                return None
            raise EvidenceError(f"entry {position} is missing from the database: run  mithridate ledger fsck")
        entry = parse_entry(row.entry)
        record = entry.record
        if position == wanted and fingerprint_of(record) is None:
            return None
        device = self._store.devices(connection, [record.device]).get(record.device)
        enrolment = None if device is None else self._store.entry(connection, device.enrolled)
        if enrolment is None:
            raise EvidenceError(f"the device of entry {position} has no enrolment: run  mithridate ledger fsck")
        revoked = find_revocation(self._store, connection, row, record)
        return _Found(row, entry, enrolment, self._store.salt(connection, position), revoked)

    def _check(self, view: LogView, found: _Found) -> _Candidate:
        """Raises EvidenceError unless record and enrolment are in the log and the enrolled device signed the record."""
        row = found.row
        identity = self._identity(view, found.enrolment)
        view.prove(row.position, row.entry)
        if found.enrolment.position >= row.position:
            raise EvidenceError(f"the device of entry {row.position} was not enrolled before it")
        record = found.entry.check(identity)
        fingerprint = fingerprint_of(record)
        if fingerprint is None:
            raise EvidenceError(f"entry {row.position} is no record of an image: run  mithridate ledger fsck")
        return _Candidate(row.position, record, fingerprint, found.salt, found.revoked)

    def _identity(self, view: LogView, enrolment: EntryRow) -> DeviceIdentity:
        """The identity that an entry enrolls, once the entry is proved."""
        place = (enrolment.position, enrolment.entry)
        if (known := self._enrolled.get(place)) is not None:
            return known
        view.prove(*place)
        body = read_entry(enrolment.entry)[0].body
        if not isinstance(body, Enrolment):
            raise EvidenceError(f"entry {enrolment.position} enrolls no device: run  mithridate ledger fsck")
        self._enrolled[place] = body.identity
        return body.identity


def _judge(image: Fingerprint, candidate: _Candidate) -> tuple[tuple[int, int], LogJudgement]:
    """What one record says of the image, and how it ranks: the lowest counts, the newest among equals."""
    found = judge_against(candidate.record, candidate.fingerprint, image, candidate.salt)
    verdict, reason = found.verdict, found.reason
    rank = _ORDER.index(verdict)
    if candidate.revoked is not None:
        verdict, reason = Verdict.REVOKED, f"entry {candidate.revoked} revoked the record of it ({reason})"
        rank = _REVOKED_MATCH if found.verdict.is_accepted else _REVOKED_OTHER
    record, position = candidate.record, candidate.position
    return (rank, -position), LogJudgement(verdict, found.attributes, reason, position, record.device, record.time)


def _other_identities(image: Fingerprint, candidates: Iterable[_Candidate]) -> tuple[OtherIdentity, ...]:
    """The captures of the same pixels that commit to another identity than the image's."""
    others = []
    for candidate in candidates:
        recorded = candidate.fingerprint
        is_same = recorded.schema == image.schema and (
            recorded.pixels == image.pixels if image.pixels is not None else recorded.stream == image.stream
        )
        if not is_same or candidate.salt is None or isinstance(candidate.record.body, Derivation):
            continue
        sealed = commit(candidate.salt, "identity", image.identity)
        if len(sealed) != len(recorded.identity):  # a fingerprint from outside may name what it likes
            others.append(OtherIdentity(candidate.position, candidate.record.device, tuple(sorted(_WHO))))
            continue
        differing = tuple(
            name
            for name, before, now in zip(image.identity, recorded.identity, sealed, strict=True)
            if before != now and name in _WHO
        )
        if differing:
            others.append(OtherIdentity(candidate.position, candidate.record.device, differing))
    return tuple(sorted(others, key=attrgetter("index")))
