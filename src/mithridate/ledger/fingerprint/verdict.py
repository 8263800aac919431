"""What became of an image since it was recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

from mithridate.ledger.fingerprint.model import Fingerprint
from mithridate.ledger.sealed import Digests, SealedFingerprint


class Verdict(Enum):
    """IDENTICAL: the same file.  TRANSCODED: other bytes, the same pixels, attributes and identity.
    METADATA_EDITED: the same pixels or the same stream under changed attributes.  MISMATCH: other pixels.
    DERIVED, UNKNOWN and REVOKED are the log's to say: a signed derivation, no record, a record that counts no more.
    """

    IDENTICAL = "IDENTICAL"
    TRANSCODED = "TRANSCODED"
    DERIVED = "DERIVED"
    METADATA_EDITED = "METADATA-EDITED"
    MISMATCH = "MISMATCH"
    UNKNOWN = "UNKNOWN"
    REVOKED = "REVOKED"

    @property
    def is_accepted(self) -> bool:
        """Whether an image with this verdict may be used as the one that was captured."""
        return self in (Verdict.IDENTICAL, Verdict.TRANSCODED, Verdict.DERIVED)


@dataclass(frozen=True)
class Judgement:
    """A verdict, the names of the attributes that differ, and one sentence that says why."""

    verdict: Verdict
    attributes: tuple[str, ...]
    reason: str


def compare(recorded: SealedFingerprint, candidate: Fingerprint, salt: bytes) -> Judgement:
    """Judge an image against the record of one, with the record's salt.

    Raises RecordError for a salt of the wrong length; a wrong salt makes every attribute differ.
    """
    if recorded.file == candidate.file:
        return Judgement(Verdict.IDENTICAL, (), "every byte is as recorded")
    if recorded.schema != candidate.schema:
        reason = f"the record is of an image of the kind {recorded.schema}, this one is of the kind {candidate.schema}"
        return Judgement(Verdict.MISMATCH, (), reason)
    sealed = replace(candidate, fault=None).seal(salt)
    same_stream = recorded.stream == sealed.stream
    edited = _differing(recorded, sealed, candidate, with_coding=same_stream)
    matter, verb = ("content", "is") if recorded.frames == 0 else ("pixels", "are")  # no frames: no image
    if _same_pixels(recorded, sealed, candidate.fault):
        if edited:
            return Judgement(
                Verdict.METADATA_EDITED, edited, f"the {matter} {verb} as recorded, but not {', '.join(edited)}"
            )
        same = "content" if recorded.frames == 0 else "pixels, attributes"
        return Judgement(Verdict.TRANSCODED, (), f"{same} and identity are as recorded in another encoding")
    if same_stream and edited:
        reason = f"the pixel data are as recorded, but would be read differently: {', '.join(edited)}"
        return Judgement(Verdict.METADATA_EDITED, edited, reason)
    return Judgement(Verdict.MISMATCH, edited, candidate.fault or _difference(recorded, sealed))


def _same_pixels(recorded: SealedFingerprint, candidate: SealedFingerprint, fault: str | None) -> bool:
    if fault is not None or recorded.frames != candidate.frames:
        return False
    if recorded.pixels is None or candidate.pixels is None:
        return recorded.pixels is candidate.pixels and recorded.stream == candidate.stream
    return recorded.pixels == candidate.pixels


def _differing(
    recorded: SealedFingerprint, sealed: SealedFingerprint, candidate: Fingerprint, *, with_coding: bool
) -> tuple[str, ...]:
    """The names under which the two differ, each once; labels of the coding count only while the stream is the same."""
    names: dict[str, None] = {}
    if with_coding:
        names |= dict.fromkeys(_names(candidate.coding, recorded.coding, sealed.coding))
    names |= dict.fromkeys(_names(candidate.attributes, recorded.attributes, sealed.attributes))
    names |= dict.fromkeys(_names(candidate.identity, recorded.identity, sealed.identity))
    return tuple(names)


def _names(names: Mapping[str, object], recorded: Digests, found: Digests) -> list[str]:
    """Names whose digests differ; a record with another number of them is of no schema that this program knows."""
    if len(recorded) != len(found):
        return list(names)
    return [name for name, before, after in zip(names, recorded, found, strict=True) if before != after]


def _difference(recorded: SealedFingerprint, candidate: SealedFingerprint) -> str:
    if recorded.frames != candidate.frames:
        return f"{recorded.frames} frames were recorded, here are {candidate.frames}"
    if recorded.frames == 0:
        return "the content is not what was recorded"
    if recorded.pixels is None:
        return (
            "a lossy image was recorded, and this is not its stream: decoded or compressed anew, it cannot be compared"
        )
    if candidate.pixels is None:
        return "an image without loss was recorded, and this one is lossy"
    return "the pixels are not those that were recorded"
