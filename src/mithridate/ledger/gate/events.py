"""What the gate tells others: every decision, and every alert."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from mithridate.ledger.fingerprint import Verdict
from mithridate.ledger.judgement import OtherIdentity

logger = logging.getLogger("mithridate.gate")


@dataclass(frozen=True)
class Decision:
    """One request that was decided.

    Attributes: admitted, code ("admitted" or the refusal's), reason, name (what the caller called the image), verdict,
    index, device and file (SHA-256 of the bytes) as far as it came to them, tensor (F5), preprocessing and decoder of
    an admitted one, size (of the log at the checkpoint that proved it).  No patient's data.
    """

    admitted: bool
    code: str
    reason: str
    name: str
    verdict: Verdict | None = None
    index: int | None = None
    device: bytes | None = None
    file: bytes | None = None
    tensor: bytes | None = None
    preprocessing: str | None = None
    decoder: str | None = None
    size: int | None = None


@dataclass(frozen=True)
class TwoIdentitiesAlert:
    """The same pixels are logged under another identity: a copy passed off as another patient's, or a blank image."""

    name: str
    index: int | None
    others: tuple[OtherIdentity, ...]

    def __str__(self) -> str:
        where = ", ".join(f"entry {other.index} ({', '.join(other.attributes)})" for other in self.others)
        own = f"entry {self.index}" if self.index is not None else self.name
        return f"the pixels of {own} are logged under another identity too: {where}"


Event: TypeAlias = Decision | TwoIdentitiesAlert
Listener: TypeAlias = Callable[[Event], None]


def log_event(event: Event) -> None:
    """One line in the program's log: alerts as warnings, refusals and admissions as information."""
    if isinstance(event, TwoIdentitiesAlert):
        logger.warning("alert two-identities: %s", event)
    else:
        logger.info("%s %s: %s", "admitted" if event.admitted else "refused", event.code, event.reason)
