"""What the log answers: a receipt, a refusal that names its reason, or a failure that is nobody's mistake."""

from __future__ import annotations

from dataclasses import dataclass

from mithridate.errors import MithridateError, UserError


class LedgerRefusal(UserError):
    """The log does not take this entry, and will not take the same bytes later either unless something else changes."""


class SequenceRefusal(LedgerRefusal):
    """The entry's sequence number is not the device's next one, which is `expected`."""

    def __init__(self, message: str, expected: int) -> None:
        super().__init__(message)
        self.expected = expected


class LedgerFailure(MithridateError):
    """The log could not answer: disk, database, or network.

    Nothing is known about what was submitted; submitting the same bytes again is safe and says.
    """


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a submitter gets, only once the entry is durable and covered by a signed checkpoint.

    Attributes: index (the entry's place in the log), leaf (its hash, 32 bytes), device (who signed it, 32 bytes),
    sequence (the device's own count), checkpoint (the bytes of a signed note that covers it), notices (what the log
    took and yet reports, such as a SOP instance UID that is logged already, one sentence each).
    """

    index: int
    leaf: bytes
    device: bytes
    sequence: int
    checkpoint: bytes
    notices: tuple[str, ...] = ()
