"""Records: what a device says, once, in one encoding, under its signature.

A record is a canonical value; an entry, which is what the log holds, is the record's bytes with the device's signature
over a digest of them that no other part of the program signs.  Every byte of an entry matters: change one, and either
it is no entry any more or its signature is false.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, TypeAlias

from mithridate.ledger import canonical
from mithridate.ledger.canonical import Value
from mithridate.ledger.errors import RecordError
from mithridate.ledger.fields import read_bytes, read_integer, read_list, read_map, read_text
from mithridate.ledger.identity import DeviceIdentity
from mithridate.ledger.keys import SIGNATURE_SIZE, Signer, is_signature
from mithridate.ledger.sealed import SealedFingerprint

VERSION = 1
MAX_ENTRY_BYTES = 65_535

_RECORD_DOMAIN = b"mithridate/record/1\x00"
_POSSESSION_DOMAIN = b"mithridate/possession/1\x00"
_KEYS = ("version", "kind", "device", "sequence", "time", "body")


@dataclass(frozen=True, slots=True)
class Capture:
    """An image as it was when the device captured it; `channel` says how it came in: "file", "dimse", "stow"."""

    kind: ClassVar[str] = "capture"
    fingerprint: SealedFingerprint
    channel: str = "file"

    def to_value(self) -> Value:
        return {"fingerprint": self.fingerprint.to_value(), "channel": self.channel}

    @classmethod
    def from_value(cls, value: Value) -> Capture:
        entries = read_map(value, ("fingerprint", "channel"), "capture")
        return cls(SealedFingerprint.from_value(entries["fingerprint"]), read_text(entries["channel"], "channel"))


@dataclass(frozen=True, slots=True)
class Derivation:
    """An image made from a logged one: `source` is the leaf hash of its entry, `operation` what was done to it."""

    kind: ClassVar[str] = "derivation"
    source: bytes
    operation: str
    software: str
    fingerprint: SealedFingerprint

    def to_value(self) -> Value:
        return {
            "source": self.source,
            "operation": self.operation,
            "software": self.software,
            "fingerprint": self.fingerprint.to_value(),
        }

    @classmethod
    def from_value(cls, value: Value) -> Derivation:
        entries = read_map(value, ("source", "operation", "software", "fingerprint"), "derivation")
        return cls(
            read_bytes(entries["source"], "source of the derivation"),
            read_text(entries["operation"], "operation"),
            read_text(entries["software"], "software"),
            SealedFingerprint.from_value(entries["fingerprint"]),
        )


@dataclass(frozen=True, slots=True)
class Revocation:
    """From this entry's index on, by index and not by clock, the target counts no more.

    `target` is a device's ID ("device") or the leaf hash of an entry ("record"), as `scope` says.
    """

    kind: ClassVar[str] = "revocation"
    SCOPES: ClassVar[tuple[str, ...]] = ("device", "record")
    scope: str
    target: bytes
    reason: str

    def to_value(self) -> Value:
        return {"scope": self.scope, "target": self.target, "reason": self.reason}

    @classmethod
    def from_value(cls, value: Value) -> Revocation:
        entries = read_map(value, ("scope", "target", "reason"), "revocation")
        scope = read_text(entries["scope"], "scope of the revocation")
        if scope not in cls.SCOPES:
            raise RecordError(f"the revocation is of a {scope!r}: only devices and records can be revoked")
        return cls(scope, read_bytes(entries["target"], "revoked target"), read_text(entries["reason"], "reason"))


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A device that may sign from now on; `possession` is its key's own signature over its identity."""

    kind: ClassVar[str] = "enrolment"
    identity: DeviceIdentity
    possession: bytes

    @classmethod
    def create(cls, identity: DeviceIdentity, signer: Signer) -> Enrolment:
        """The enrolment that the device itself prepares.  Raises RecordError when the key is another's."""
        if signer.public_key != identity.public_key:
            raise RecordError(f"the key given is not that of the device {identity.name!r}")
        return cls(identity, signer.sign(_POSSESSION_DOMAIN + identity.device_id))

    def __post_init__(self) -> None:
        message = _POSSESSION_DOMAIN + self.identity.device_id
        if not is_signature(self.identity.public_key, message, self.possession):
            raise RecordError(f"the device {self.identity.name!r} has not shown that it holds its key")

    def to_value(self) -> Value:
        return {"identity": self.identity.to_value(), "possession": self.possession}

    @classmethod
    def from_value(cls, value: Value) -> Enrolment:
        entries = read_map(value, ("identity", "possession"), "enrolment")
        identity = DeviceIdentity.from_value(entries["identity"])
        return cls(identity, read_bytes(entries["possession"], "signature of the device", SIGNATURE_SIZE))


Body: TypeAlias = Capture | Derivation | Revocation | Enrolment

_BODIES: dict[str, type[Capture] | type[Derivation] | type[Revocation] | type[Enrolment]] = {
    "capture": Capture,
    "derivation": Derivation,
    "revocation": Revocation,
    "enrolment": Enrolment,
}


@dataclass(frozen=True, slots=True)
class Record:
    """One statement of one device.

    Attributes: device (the ID of the identity that signs), sequence (counts the device's records from 0 without a gap),
    time (microseconds since 1970, UTC, by the device's clock, so a claim and not a proof), body (what it says).
    """

    device: bytes
    sequence: int
    time: int
    body: Body

    def encode(self) -> bytes:
        """The record's one encoding."""
        return canonical.encode(
            {
                "version": VERSION,
                "kind": self.body.kind,
                "device": self.device,
                "sequence": self.sequence,
                "time": self.time,
                "body": self.body.to_value(),
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Record:
        """The inverse of `encode`.  Raises RecordError for any bytes that `encode` would not give.

        Nothing is encoded again to make sure: `canonical.decode` takes no second spelling of a value, and every reader
        keeps all of the value that it reads.
        """
        entries = read_map(canonical.decode(data), _KEYS, "record")
        if entries["version"] is True or entries["version"] != VERSION:
            raise RecordError(f"the record is of version {entries['version']!r}: this program reads version {VERSION}")
        kind = read_text(entries["kind"], "kind of the record")
        if kind not in _BODIES:
            raise RecordError(f"the record is of the kind {kind!r}, which is not known: it may need a newer program")
        return cls(
            read_bytes(entries["device"], "device's ID"),
            read_integer(entries["sequence"], "sequence number"),
            read_integer(entries["time"], "time"),
            _BODIES[kind].from_value(entries["body"]),
        )


def sign_record(record: Record, identity: DeviceIdentity, signer: Signer) -> bytes:
    """The log entry of a record.

    Raises RecordError when the record is not this device's, cannot be read back, or makes an entry of more than 65,535
    bytes.
    """
    return sign_entry(record, identity, signer)[0]


def sign_entry(record: Record, identity: DeviceIdentity, signer: Signer) -> tuple[bytes, UncheckedEntry]:
    """`sign_record`, with the entry's parts as `parse_entry` would give them."""
    if record.device != identity.device_id or signer.public_key != identity.public_key:
        raise RecordError(f"the record is not by the device {identity.name!r} or the key is not its own")
    encoded = record.encode()
    read = Record.decode(encoded)
    signature = signer.sign(_signed_message(encoded))
    entry = canonical.encode((VERSION, encoded, signature))
    if len(entry) > MAX_ENTRY_BYTES:
        raise RecordError(f"the entry has {len(entry):,} bytes, above the limit of {MAX_ENTRY_BYTES:,}")
    return entry, UncheckedEntry(read, encoded, signature)


@dataclass(frozen=True, slots=True)
class UncheckedEntry:
    """An entry taken apart: nobody is known to have signed the record yet."""

    record: Record
    encoded: bytes
    signature: bytes

    def check(self, identity: DeviceIdentity) -> Record:
        """The record, once this device is known to have signed it.  Raises RecordError when it has not."""
        if not is_signature(identity.public_key, _signed_message(self.encoded), self.signature):
            raise RecordError(f"the record was not signed by the device {identity.name!r}, or was changed since")
        if self.record.device != identity.device_id:
            raise RecordError(f"the record names another device than {identity.name!r}, whose key signed it")
        return self.record


@lru_cache(maxsize=256)
def parse_entry(entry: bytes) -> UncheckedEntry:
    """Take an entry apart, which is enough to learn whose it claims to be.  Raises RecordError when it is malformed.

    The last ones are remembered: to judge, prove and check one image takes its record apart four times.
    """
    encoded, signature = _parts(entry)
    return UncheckedEntry(Record.decode(encoded), encoded, signature)


def read_entry(entry: bytes) -> tuple[Record, bytes]:
    """The record in an entry and its signature, unchecked.  Raises RecordError when the entry is malformed."""
    parsed = parse_entry(entry)
    return parsed.record, parsed.signature


def open_entry(entry: bytes, identity: DeviceIdentity) -> Record:
    """The record in an entry that this device signed.  Raises RecordError when it is malformed or by anyone else."""
    return parse_entry(entry).check(identity)


def _parts(entry: bytes) -> tuple[bytes, bytes]:
    if len(entry) > MAX_ENTRY_BYTES:
        raise RecordError(f"the entry has {len(entry):,} bytes, above the limit of {MAX_ENTRY_BYTES:,}")
    version, encoded, signature = read_list(canonical.decode(entry), "entry", 3)
    if read_integer(version, "entry's version") != VERSION:
        raise RecordError(f"the entry is of version {version!r}: this program reads version {VERSION}")
    if not isinstance(encoded, bytes):
        raise RecordError("the entry's record is not a string of bytes")
    return encoded, read_bytes(signature, "signature", SIGNATURE_SIZE)


def _signed_message(encoded: bytes) -> bytes:
    return _RECORD_DOMAIN + hashlib.sha256(encoded).digest()
