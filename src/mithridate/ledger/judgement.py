"""What the log says of an image."""

from __future__ import annotations

from dataclasses import dataclass

from mithridate.ledger.fingerprint import Fingerprint, Judgement, Verdict, compare
from mithridate.ledger.record import Derivation, Record
from mithridate.ledger.sealed import SealedFingerprint


@dataclass(frozen=True)
class OtherIdentity:
    """A record of the same pixels under another identity: its index, its device, and the identity attributes (DICOM
    keywords) in which it differs from the image judged."""

    index: int
    device: bytes
    attributes: tuple[str, ...]


@dataclass(frozen=True)
class LogJudgement:
    """A verdict on an image.

    Attributes: verdict, attributes (names of those that differ from the record), reason (one sentence), index, device
    and time (microseconds since 1970) of the record that it was judged against, None when there is none, others (the
    same pixels logged under other identities).
    """

    verdict: Verdict
    attributes: tuple[str, ...]
    reason: str
    index: int | None = None
    device: bytes | None = None
    time: int | None = None
    others: tuple[OtherIdentity, ...] = ()

    @property
    def is_accepted(self) -> bool:
        """Whether the image may be used as the one that was captured."""
        return self.verdict.is_accepted


def judge_against(record: Record, recorded: SealedFingerprint, image: Fingerprint, salt: bytes | None) -> Judgement:
    """Compare an image with one record; without the record's salt, which may have been destroyed, only byte by byte."""
    if salt is not None:
        found = compare(recorded, image, salt)
    elif recorded.file == image.file:
        found = Judgement(Verdict.IDENTICAL, (), "every byte is as recorded")
    else:
        reason = "the bytes are not those recorded, and the record's salt, which would show more, was destroyed"
        found = Judgement(Verdict.MISMATCH, (), reason)
    if isinstance(record.body, Derivation) and found.verdict.is_accepted:
        made = f"made by {record.body.operation} with {record.body.software}, as a signed record says"
        return Judgement(Verdict.DERIVED, (), f"{made}; {found.reason}")
    return found
