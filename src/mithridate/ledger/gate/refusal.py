"""Why the gate let nothing through: one code for programs, one sentence for people."""

from __future__ import annotations

from enum import StrEnum

from mithridate.errors import UserError
from mithridate.ledger.fingerprint import Verdict


class RefusalCode(StrEnum):
    """What a refusal is about."""

    UNREADABLE = "unreadable"
    UNKNOWN = "unknown"
    METADATA_EDITED = "metadata-edited"
    MISMATCH = "mismatch"
    REVOKED = "revoked"
    VERDICT = "verdict-not-accepted"
    UNEXPECTED_IDENTITY = "unexpected-identity"
    IDENTITY_MISSING = "identity-missing"
    TWO_IDENTITIES = "two-identities"
    DEVICE = "device-not-allowed"
    LOSSY = "lossy-not-allowed"
    DECODER = "decoder-not-pinned"
    NONCE = "nonce"
    PROOF = "proof"
    QUORUM = "witness-quorum"
    STALE = "stale-checkpoint"
    ROLLBACK = "rollback"
    LEDGER = "ledger-unavailable"
    FAILURE = "gate-failure"


_OF_VERDICTS = {
    Verdict.UNKNOWN: RefusalCode.UNKNOWN,
    Verdict.METADATA_EDITED: RefusalCode.METADATA_EDITED,
    Verdict.MISMATCH: RefusalCode.MISMATCH,
    Verdict.REVOKED: RefusalCode.REVOKED,
}


class GateRefusal(UserError):
    """The image was not admitted, and no pixel of it may reach the model.

    Attributes: code, reason (one sentence), verdict (the ledger's, None when it came to none), attributes (those that
    differ, by name), index (of the record that the image was judged against, if any).
    """

    def __init__(
        self,
        code: RefusalCode,
        reason: str,
        *,
        verdict: Verdict | None = None,
        attributes: tuple[str, ...] = (),
        index: int | None = None,
    ) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.verdict = verdict
        self.attributes = attributes
        self.index = index


def code_of(verdict: Verdict) -> RefusalCode:
    """The code under which an image with this verdict is refused."""
    return _OF_VERDICTS.get(verdict, RefusalCode.VERDICT)
