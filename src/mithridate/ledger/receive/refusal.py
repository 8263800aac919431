"""Why an object was not taken: one sentence for people, one code for each protocol."""

from __future__ import annotations

from enum import Enum

from mithridate.errors import MithridateError, UserError
from mithridate.ledger.fingerprint.model import FingerprintError
from mithridate.ledger.receipt import LedgerFailure, LedgerRefusal


class Kind(Enum):
    """The kinds of refusal by their status of the storage service (PS3.4 table B.2-1, PS3.7 annex C), which is also
    their failure reason in a STOW-RS response (PS3.18 table I.2-2)."""

    OUT_OF_RESOURCES = 0xA700
    MISMATCH = 0xA900
    CANNOT_UNDERSTAND = 0xC000
    TRANSFER_SYNTAX = 0xC122
    NOT_AUTHORIZED = 0x0124
    FAILURE = 0x0110

    @property
    def may_pass_later(self) -> bool:
        """Whether the same object may be taken when it is sent again."""
        return self in (Kind.OUT_OF_RESOURCES, Kind.FAILURE)


class Refused(UserError):
    """An object was not taken, and nothing of it counts as received."""

    def __init__(self, kind: Kind, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


def refusal_for(error: Exception, name: str) -> Refused:
    """What to tell the sender of `name` about an error that kept it from being taken."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, FingerprintError):
        return Refused(Kind.CANNOT_UNDERSTAND, str(error))
    if isinstance(error, LedgerRefusal):
        return Refused(Kind.NOT_AUTHORIZED, str(error))
    if isinstance(error, LedgerFailure | OSError | MemoryError):
        gist = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return Refused(Kind.OUT_OF_RESOURCES, f"{name} was not logged ({gist}): send it again later")
    gist = str(error) if isinstance(error, MithridateError) else type(error).__name__
    return Refused(Kind.FAILURE, f"{name} was not logged, because of an error inside the receiver ({gist})")
