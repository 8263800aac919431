"""Records: what a device says, once, in one encoding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from mithridate.ledger import canonical
from mithridate.ledger.canonical import Value
from mithridate.ledger.errors import RecordError
from mithridate.ledger.fields import read_bytes, read_integer, read_map, read_text
from mithridate.ledger.identity import DeviceIdentity
from mithridate.ledger.keys import SIGNATURE_SIZE, Signer, is_signature
from mithridate.ledger.sealed import SealedFingerprint

VERSION = 1

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
