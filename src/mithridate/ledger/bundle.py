"""Proof bundles: all that is needed to judge a file against its record, offline, with only the log's key.

A bundle is one canonical value after a line that says what it is.  With the salt in it, it is as private as the image.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mithridate.ledger import canonical, merkle
from mithridate.ledger.canonical import Value
from mithridate.ledger.checkpoint import Checkpoint, open_checkpoint
from mithridate.ledger.entry import open_entry, read_entry
from mithridate.ledger.errors import EvidenceError, ProofError, RecordError
from mithridate.ledger.fields import read_bytes, read_digest_or_none, read_integer, read_list, read_map
from mithridate.ledger.fingerprint import Fingerprint, Verdict, fingerprint_image
from mithridate.ledger.fingerprint.model import FingerprintError
from mithridate.ledger.identity import DeviceIdentity
from mithridate.ledger.judgement import LogJudgement, judge_against
from mithridate.ledger.note import Endorsement, NoteVerifier
from mithridate.ledger.note_keys import VerifierKey
from mithridate.ledger.record import Enrolment, Record, Revocation
from mithridate.ledger.status import open_status
from mithridate.ledger.submission import fingerprint_of

MAX_BUNDLE_BYTES = 4_000_000
MAX_PROOF_HASHES = 64

_TITLE = b"mithridate/bundle/1\n"
_KEYS = ("record", "enrolment", "checkpoint", "status", "revocation", "salt", "timestamp")


@dataclass(frozen=True)
class Membership:
    """An entry, its place, and the proof that it stands there in the tree of the bundle's checkpoint."""

    index: int
    entry: bytes
    proof: tuple[bytes, ...]

    def to_value(self) -> Value:
        return {"index": self.index, "entry": self.entry, "proof": self.proof}

    @classmethod
    def from_value(cls, value: Value) -> Membership:
        entries = read_map(value, ("index", "entry", "proof"), "membership")
        hashes = read_list(entries["proof"], "inclusion proof")
        if len(hashes) > MAX_PROOF_HASHES:
            raise RecordError(f"the inclusion proof has {len(hashes)} hashes, above the limit of {MAX_PROOF_HASHES}")
        proof = tuple(read_bytes(item, "hash of the inclusion proof", merkle.HASH_SIZE) for item in hashes)
        return cls(read_integer(entries["index"], "index"), _read_blob(entries["entry"], "entry"), proof)

    def check(self, checkpoint: Checkpoint) -> bytes:
        """The entry's leaf hash, once it is proved to stand in the tree.  Raises ProofError when it does not."""
        leaf = merkle.leaf_hash(self.entry)
        merkle.verify_inclusion(self.index, checkpoint.size, leaf, self.proof, checkpoint.root)
        return leaf


@dataclass(frozen=True)
class ProofBundle:
    """Attributes: record (the entry in question), enrolment (of the device that signed it), checkpoint (a signed note,
    with the witnesses' cosignatures if there are any), status (a note signed by the log: revoked or not as of the
    checkpoint), revocation (the entry that revokes it, or None), salt (private: opens the record's commitments; None
    when destroyed or withheld), timestamp (an RFC 3161 token over the checkpoint, or None)."""

    record: Membership
    enrolment: Membership
    checkpoint: bytes
    status: bytes
    revocation: Membership | None = None
    salt: bytes | None = None
    timestamp: bytes | None = None

    def encode(self) -> bytes:
        """The bundle's one encoding."""
        return _TITLE + canonical.encode(
            {
                "record": self.record.to_value(),
                "enrolment": self.enrolment.to_value(),
                "checkpoint": self.checkpoint,
                "status": self.status,
                "revocation": None if self.revocation is None else self.revocation.to_value(),
                "salt": self.salt,
                "timestamp": self.timestamp,
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> ProofBundle:
        """The inverse of `encode`.  Raises EvidenceError for any other bytes; nothing in it is checked yet."""
        if not data.startswith(_TITLE) or len(data) > MAX_BUNDLE_BYTES:
            raise EvidenceError(f"this is not a proof bundle of at most {MAX_BUNDLE_BYTES:,} bytes")
        entries = read_map(canonical.decode(data[len(_TITLE) :]), _KEYS, "bundle")
        revocation, timestamp = entries["revocation"], entries["timestamp"]
        return cls(
            record=Membership.from_value(entries["record"]),
            enrolment=Membership.from_value(entries["enrolment"]),
            checkpoint=_read_blob(entries["checkpoint"], "checkpoint"),
            status=_read_blob(entries["status"], "status"),
            revocation=None if revocation is None else Membership.from_value(revocation),
            salt=read_digest_or_none(entries["salt"], "salt"),
            timestamp=None if timestamp is None else _read_blob(timestamp, "time stamp"),
        )


@dataclass(frozen=True)
class CheckedBundle:
    """What a bundle proves: the record, its index and leaf hash, the identity of its device, the checkpoint, who signed
    that (log and witnesses), and the index of the entry that revoked the record, None when none did."""

    index: int
    leaf: bytes
    record: Record
    identity: DeviceIdentity
    checkpoint: Checkpoint
    endorsements: tuple[Endorsement, ...]
    revoked: int | None
    salt: bytes | None


def check_bundle(bundle: ProofBundle, log: VerifierKey, witnesses: Iterable[NoteVerifier] = ()) -> CheckedBundle:
    """Check every signature and every proof in a bundle.

    `log` must have signed the checkpoint; which of the `witnesses` did is told, and how many are enough is the caller's
    policy.  The time stamp is not looked at.  Raises EvidenceError when anything does not hold.
    """
    witnesses = tuple(witnesses)
    open_checkpoint(bundle.checkpoint, [log], origin=log.name)
    checkpoint, endorsements = open_checkpoint(bundle.checkpoint, [log, *witnesses], origin=log.name)
    bundle.enrolment.check(checkpoint)
    leaf = bundle.record.check(checkpoint)
    enrolment = read_entry(bundle.enrolment.entry)[0].body
    if not isinstance(enrolment, Enrolment):
        raise ProofError("what the bundle gives as the device's enrolment is none")
    if bundle.enrolment.index > bundle.record.index:
        raise ProofError("the device signed before it was enrolled")
    record = open_entry(bundle.record.entry, enrolment.identity)
    status = open_status(bundle.status, [log])
    if status.checkpoint != replace(checkpoint, extensions=()) or status.leaf != leaf:
        raise ProofError("the status in the bundle is of another record or another checkpoint")
    _check_revocation(bundle, status.revoked, checkpoint)
    return CheckedBundle(
        bundle.record.index, leaf, record, enrolment.identity, checkpoint, endorsements, status.revoked, bundle.salt
    )


def judge_offline(
    bundle: ProofBundle, log: VerifierKey, data: bytes, name: str, witnesses: Iterable[NoteVerifier] = ()
) -> LogJudgement:
    """Check everything in the bundle and judge the file against its record; a file that cannot be read is UNKNOWN.

    Raises EvidenceError when anything in the bundle does not hold.
    """
    checked = check_bundle(bundle, log, witnesses)
    try:
        image = fingerprint_image(data, name)
    except FingerprintError as error:
        return LogJudgement(Verdict.UNKNOWN, (), str(error))
    return judge_checked(checked, image)


def judge_checked(checked: CheckedBundle, image: Fingerprint) -> LogJudgement:
    """Judge an image against the record of a bundle that was checked."""
    recorded = fingerprint_of(checked.record)
    if recorded is None:
        raise EvidenceError(f"entry {checked.index} is no record of an image but a {checked.record.body.kind}")
    found = judge_against(checked.record, recorded, image, checked.salt)
    verdict, reason = found.verdict, found.reason
    if checked.revoked is not None:
        verdict, reason = Verdict.REVOKED, f"entry {checked.revoked} revoked the record of it ({reason})"
    record = checked.record
    return LogJudgement(verdict, found.attributes, reason, checked.index, record.device, record.time)


def _check_revocation(bundle: ProofBundle, revoked: int | None, checkpoint: Checkpoint) -> None:
    """The entry that revokes must be there when the status names one; a revocation is what it must be."""
    if bundle.revocation is None:
        if revoked is not None:
            raise ProofError(f"the status says that entry {revoked} revokes the record, and the entry is not there")
        return
    bundle.revocation.check(checkpoint)
    body = read_entry(bundle.revocation.entry)[0].body
    if revoked != bundle.revocation.index or not isinstance(body, Revocation):
        raise ProofError("the entry given as a revocation is none, or not the one that the status names")


def _read_blob(value: Value, what: str) -> bytes:
    if not isinstance(value, bytes):
        raise RecordError(f"the {what} in the bundle is not a string of bytes")
    return value
