"""The investigation itself: gather, judge, compare, count, prove."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.x509 import Certificate

from mithridate.errors import UserError
from mithridate.ledger.bundle import check_bundle
from mithridate.ledger.checkpoint import parse_checkpoint
from mithridate.ledger.entry import read_entry
from mithridate.ledger.errors import EvidenceError
from mithridate.ledger.fingerprint import Verdict
from mithridate.ledger.investigate.attributes import describe_changes
from mithridate.ledger.investigate.case import Case, expand
from mithridate.ledger.investigate.findings import Comparison, ImageFinding, Investigation, LogState, Route, Twin
from mithridate.ledger.investigate.pixels import OpenImage, compare_images
from mithridate.ledger.investigate.sequences import Progress, count_sequences
from mithridate.ledger.judgement import LogJudgement
from mithridate.ledger.merkle import leaf_hash
from mithridate.ledger.note import parse_note
from mithridate.ledger.record import Capture, Derivation

if TYPE_CHECKING:
    from mithridate.ledger.bundle import ProofBundle
    from mithridate.ledger.identity import DeviceIdentity
    from mithridate.ledger.log import Ledger

_NO_ORIGINAL = "The captured image is not among the files given, so it cannot be shown where this one differs."
_NO_PICTURE = "It holds no picture, so what differs must be read in the file itself."


@dataclass(frozen=True)
class _Judged:
    path: Path
    sha256: str
    size: int
    judgement: LogJudgement


def investigate(
    ledger: Ledger,
    case: Case,
    files: Sequence[Path] = (),
    *,
    originals: Sequence[Path] = (),
    stated: Mapping[str, int] | None = None,
    roots: Sequence[Certificate] = (),
    with_identity: bool = False,
    progress: Progress | None = None,
) -> Investigation:
    """Judge the files of a case against the log and say what happened to each.

    `files` are files or folders of images; with a case that names somebody, only those that are of it count.
    `originals` are where images as captured may lie (an archive, a receiver's spool): they are only used once the log
    has found them to be the recorded ones.  `stated` is how many records devices say they have made.  `roots` are the
    certificates under which a time stamp is believed.  `with_identity` shows the values of identity attributes.
    Raises UserError for a path that is not there or a case without anything in it, EvidenceError when the log itself
    does not hold, LedgerFailure when it cannot answer.
    """
    inquiry = _Inquiry(ledger, with_identity)
    records = {index for index in case.records(ledger) if inquiry.is_of_image(index)}
    if not files and case.is_open:
        raise UserError("nothing to investigate: name files, a patient, an accession number, an image or a time range")
    judged, outside = [], 0
    for one, data in inquiry.judge(expand(files), "judging images", progress):
        if case.is_open or one.judgement.index in records or case.claims(data):
            judged.append(one)
        else:
            outside += 1
    for one, _ in inquiry.judge(expand(originals), "looking for captured images", progress):
        inquiry.keep_original(one)
    for one in judged:
        inquiry.keep_original(one)
    presented = {one.judgement.index for one in judged if one.judgement.index is not None}
    proofs = {index: inquiry.prove(index) for index in sorted(records | presented)}
    images = tuple(inquiry.finding(one) for one in judged)
    reader = ledger.reader()
    return Investigation(
        case=_in_words(case, files),
        created=int(time.time()),
        log=_log_state(ledger, roots),
        images=images,
        absent=tuple(inquiry.route(index) for index in sorted(records - presented)) if files else (),
        devices=count_sequences(reader.entries(), reader.size, inquiry.identities, stated, progress),
        outside=outside,
        proofs={index: bundle.encode() for index, bundle in proofs.items()},
    )


class _Inquiry:
    """What has been learned so far, so that nothing is asked twice."""

    def __init__(self, ledger: Ledger, with_identity: bool) -> None:
        self._ledger = ledger
        self._with_identity = with_identity
        self._bundles: dict[int, ProofBundle] = {}
        self._originals: dict[int, _Judged] = {}
        self._named: dict[str, _Judged] = {}
        self.identities: dict[bytes, DeviceIdentity] = {row.device: identity for row, identity in ledger.devices()}

    def judge(self, paths: Sequence[Path], what: str, progress: Progress | None) -> Iterator[tuple[_Judged, bytes]]:
        for number, path in enumerate(paths, 1):
            data = _read(path)
            judgement = self._ledger.judge(data, path.name, known_as=str(path.absolute()))
            yield _Judged(path, hashlib.sha256(data).hexdigest(), len(data), judgement), data
            if progress is not None:
                progress(what, number, len(paths))

    def keep_original(self, one: _Judged) -> None:
        """Remember a file that is, by the log's word, the one recorded."""
        index = one.judgement.index
        if index is not None and one.judgement.verdict in (Verdict.IDENTICAL, Verdict.TRANSCODED, Verdict.DERIVED):
            self._originals.setdefault(index, one)
            self._named.setdefault(one.path.name, one)

    def prove(self, index: int) -> ProofBundle:
        """The proof of a record, checked as whoever receives it will check it."""
        if index not in self._bundles:
            bundle = self._ledger.prove(index)
            check_bundle(bundle, self._ledger.verifier())
            self._bundles[index] = bundle
        return self._bundles[index]

    def is_of_image(self, index: int) -> bool:
        """Whether a record is of an image; others enroll and revoke."""
        return isinstance(read_entry(self.prove(index).record.entry)[0].body, Capture | Derivation)

    def route(self, index: int) -> Route:
        bundle = self.prove(index)
        record, _ = read_entry(bundle.record.entry)
        identity = self.identities[record.device]
        if isinstance(record.body, Capture):
            channel = record.body.channel
        elif isinstance(record.body, Derivation):
            source = self._ledger.position(record.body.source)
            channel = f"{record.body.operation} with {record.body.software}, from record {source}"
        else:
            channel = record.body.kind
        make = " ".join(part for part in (identity.manufacturer, identity.model) if part)
        details = (("serial number", identity.serial_number), ("software", identity.software_version))
        return Route(
            index=index,
            leaf=leaf_hash(bundle.record.entry).hex(),
            kind=record.body.kind,
            device=identity.name,
            make=", ".join(
                [part for part in (make,) if part] + [f"{what} {value}" for what, value in details if value]
            ),
            key=record.device.hex(),
            sequence=record.sequence,
            time=record.time,
            channel=channel,
            revoked=bundle.revocation.index if bundle.revocation is not None else None,
        )

    def finding(self, one: _Judged) -> ImageFinding:
        judgement = one.judgement
        comparison, note, captured, found = self._compare(one)
        names = judgement.attributes
        changes = describe_changes(
            names,
            captured.dataset if captured else None,
            found.dataset if found else None,
            with_identity=self._with_identity,
        )
        twins = tuple(
            Twin(other.index, self.identities[other.device].name, other.attributes)
            for other in judgement.others
            if other.index != judgement.index  # an edited identity is told of already
        )
        return ImageFinding(
            name=one.path.name,
            sha256=one.sha256,
            size=one.size,
            verdict=judgement.verdict,
            reason=judgement.reason,
            attributes=changes,
            route=self.route(judgement.index) if judgement.index is not None else None,
            twins=twins,
            comparison=comparison,
            note=note,
        )

    def _compare(self, one: _Judged) -> tuple[Comparison | None, str | None, OpenImage | None, OpenImage | None]:
        """The image beside the captured one, when it is not that one itself and both can be shown."""
        index, note = one.judgement.index, None
        original = self._named.get(one.path.name) if index is None else self._originals.get(index)
        if one.judgement.is_accepted or (index is None and original is None):
            return None, None, None, None
        if index is None:
            note = "It is shown beside the captured image of the same file name, which is a hint and proves nothing."
        try:
            found = OpenImage(_again(one), one.path.name)
        except UserError as error:
            return None, str(error), None, None
        if not found.is_picture:
            return None, _NO_PICTURE, None, None
        if original is None:  # of a revoked record no file counts as captured
            return None, None if one.judgement.verdict is Verdict.REVOKED else _NO_ORIGINAL, None, found
        try:
            captured = OpenImage(_again(original), original.path.name)
            return compare_images(captured, found), note, captured, found
        except UserError as error:
            return None, str(error), None, found


def _log_state(ledger: Ledger, roots: Sequence[Certificate]) -> LogState:
    """The log as it stands, and what others vouch for: the last checkpoint that witnesses or an authority signed."""
    note = ledger.checkpoint()
    head = parse_checkpoint(parse_note(note).text)
    vouched = ledger.prove(0, with_salt=False)
    opened = parse_note(vouched.checkpoint)
    return LogState(
        origin=head.origin,
        key=str(ledger.verifier()),
        size=head.size,
        root=head.root.hex(),
        checkpoint=note.decode(),
        vouched_size=parse_checkpoint(opened.text).size,
        cosigners=tuple(dict.fromkeys(line.name for line in opened.signatures if line.name != head.origin)),
        timestamp=_stamp_in_words(vouched.checkpoint, vouched.timestamp, roots),
    )


def _stamp_in_words(note: bytes, token: bytes | None, roots: Sequence[Certificate]) -> str | None:
    if token is None:
        return None
    if not roots:
        return "present, and not checked: no authority's certificate was given"
    from mithridate.ledger.timestamp import check_stamp

    try:
        stamp = check_stamp(note, token, roots)
    except EvidenceError as error:
        return f"does not hold: {error}"
    return f"{stamp.time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC by {stamp.authority}"


def _in_words(case: Case, files: Iterable[Path]) -> dict[str, str]:
    words = dict(case.identity)
    for name, moment in (("From", case.begin), ("To", case.end)):
        if moment is not None:
            words[name] = f"{datetime.fromtimestamp(moment / 1e6, UTC):%Y-%m-%d %H:%M:%S} UTC"
    if given := [path.name for path in files]:
        words["Files"] = ", ".join(given[:5]) + (f" and {len(given) - 5} more" if len(given) > 5 else "")
    return words


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from None


def _again(one: _Judged) -> bytes:
    """The bytes that were judged.  Raises UserError when the file has changed since."""
    data = _read(one.path)
    if hashlib.sha256(data).hexdigest() != one.sha256:
        raise UserError(f"{one.path} changed while it was being investigated: leave the files alone and start again")
    return data
