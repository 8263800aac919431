"""What requests and answers look like: JSON with hashes in hexadecimal and bytes in base64."""

from __future__ import annotations

import base64
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from mithridate.ledger.fingerprint import Fingerprint, Verdict
from mithridate.ledger.judgement import LogJudgement, OtherIdentity
from mithridate.ledger.receipt import Receipt
from mithridate.ledger.service.problems import ProblemError

Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="32 bytes in hexadecimal.")]
Base64 = Annotated[str, Field(max_length=100_000, description="Bytes in base64.")]
Index = Annotated[int, Field(ge=0, lt=2**63, description="The entry's place in the log, from 0.")]
Digests = Annotated[dict[str, Hash | None], Field(max_length=2000)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)  # strict: "1" is no number


class EntryBody(_Body):
    """A signed record, and what opens its commitments, which is kept privately."""

    entry: Base64
    salt: Base64 | None = None
    identity: Digests | None = Field(default=None, description="Digests of the identity attributes, by DICOM keyword.")


class EnrolmentBody(_Body):
    """A signed enrolment."""

    entry: Base64


class RevocationBody(_Body):
    """What counts no more from now on."""

    scope: Annotated[str, Field(pattern="^(device|record)$")]
    target: Hash = Field(description="The device's ID or the leaf hash of the entry.")
    reason: str = Field(min_length=1, max_length=500)


class ReceiptBody(_Body):
    """That an entry is durable and covered by a signed checkpoint."""

    index: Index
    leaf: Hash
    device: Hash
    sequence: int = Field(ge=0, lt=2**63)
    checkpoint: str = Field(max_length=1_000_000, description="A signed note.")
    notices: list[str] = Field(default=[], max_length=100)

    @classmethod
    def of(cls, receipt: Receipt) -> Self:
        return cls(
            index=receipt.index,
            leaf=receipt.leaf.hex(),
            device=receipt.device.hex(),
            sequence=receipt.sequence,
            checkpoint=receipt.checkpoint.decode(),
            notices=list(receipt.notices),
        )

    def receipt(self) -> Receipt:
        leaf, device = bytes.fromhex(self.leaf), bytes.fromhex(self.device)
        return Receipt(self.index, leaf, device, self.sequence, self.checkpoint.encode(), tuple(self.notices))


class CheckedBody(_Body):
    """A receipt that was found genuine."""

    genuine: bool
    size: int = Field(description="Entries in the log now.")


class OtherBody(_Body):
    """A record of the same pixels under another identity."""

    index: Index
    device: Hash
    attributes: list[str]


class JudgementBody(_Body):
    """What the log says of an image."""

    verdict: Verdict
    accepted: bool = Field(description="Whether the image may be used as the one that was captured.")
    attributes: list[str] = Field(description="Attributes that differ from the record.")
    reason: str
    index: Index | None
    device: Hash | None
    time: int | None = Field(description="Microseconds since 1970 by the device's clock.")
    others: list[OtherBody]

    @classmethod
    def of(cls, found: LogJudgement) -> Self:
        others = [
            OtherBody(index=other.index, device=other.device.hex(), attributes=list(other.attributes))
            for other in found.others
        ]
        return cls(
            verdict=found.verdict,
            accepted=found.is_accepted,
            attributes=list(found.attributes),
            reason=found.reason,
            index=found.index,
            device=found.device.hex() if found.device is not None else None,
            time=found.time,
            others=others,
        )

    def judgement(self) -> LogJudgement:
        others = tuple(
            OtherIdentity(other.index, bytes.fromhex(other.device), tuple(other.attributes)) for other in self.others
        )
        device = bytes.fromhex(self.device) if self.device is not None else None
        return LogJudgement(self.verdict, tuple(self.attributes), self.reason, self.index, device, self.time, others)


class FingerprintBody(_Body):
    """A fingerprint in the open, so that a gate need not send the image.  It identifies the image: send it by TLS."""

    media: str = Field(max_length=100)
    schema_name: str = Field(max_length=100)
    frames: int = Field(ge=0, lt=2**63)
    file: Hash
    stream: Hash
    pixels: Hash | None
    coding: Digests
    attributes: Digests
    identity: Digests
    fault: str | None = Field(default=None, max_length=10_000)

    @classmethod
    def of(cls, image: Fingerprint) -> Self:
        return cls(
            media=image.media,
            schema_name=image.schema,
            frames=image.frames,
            file=image.file.hex(),
            stream=image.stream.hex(),
            pixels=_hex(image.pixels),
            coding={name: _hex(value) for name, value in image.coding.items()},
            attributes={name: _hex(value) for name, value in image.attributes.items()},
            identity={name: _hex(value) for name, value in image.identity.items()},
            fault=image.fault,
        )

    def fingerprint(self) -> Fingerprint:
        return Fingerprint(
            media=self.media,
            schema=self.schema_name,
            frames=self.frames,
            file=bytes.fromhex(self.file),
            stream=bytes.fromhex(self.stream),
            pixels=_bytes(self.pixels),
            coding=digests(self.coding),
            attributes=digests(self.attributes),
            identity=digests(self.identity),
            fault=self.fault,
        )


class LogBody(_Body):
    """What a client needs to know of the log, to check its proofs."""

    origin: str
    key: str = Field(description="The public key of its checkpoints, name+ID+base64.")
    size: int
    stations: list[str] = Field(description="Stations of this host, under whose names images may be submitted.")


class StatusBody(_Body):
    """That the service works."""

    status: str


def digests(values: dict[str, str | None]) -> dict[str, bytes | None]:
    """Digests from their hexadecimal form."""
    return {name: _bytes(value) for name, value in values.items()}


def from_base64(text: str, what: str) -> bytes:
    """Bytes from base64.  Raises ProblemError."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise ProblemError(422, "invalid", f"the {what} is not in base64") from None


def _hex(value: bytes | None) -> str | None:
    return value.hex() if value is not None else None


def _bytes(value: str | None) -> bytes | None:
    return bytes.fromhex(value) if value is not None else None
