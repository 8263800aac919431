"""What a sender may ask of a receiver before it is refused."""

from __future__ import annotations

from dataclasses import dataclass, field

from mithridate.ledger.fingerprint.model import Limits


@dataclass(frozen=True)
class ReceiveLimits:
    """Bounds of one receiver.

    Attributes: object_bytes of one object, counted while it streams in; memory_bytes that objects at work may take
    together, beyond which the next one waits; pdu_bytes of one protocol data unit; associations at the same time;
    idle_seconds without a byte before a connection is closed; handshake_seconds for TLS and the association request;
    request_bytes of one HTTP request; quarantine_bytes of everything kept because it was refused; fingerprint, the
    limits of the image itself (inflated size, samples, frames).
    """

    object_bytes: int = 1 << 30
    memory_bytes: int = 4 << 30
    pdu_bytes: int = 256 << 10
    associations: int = 64
    idle_seconds: float = 60.0
    handshake_seconds: float = 30.0
    request_bytes: int = 4 << 30
    quarantine_bytes: int = 1 << 30
    fingerprint: Limits = field(default_factory=Limits)
