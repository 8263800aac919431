"""One audit event, before it is written in one of the two forms that hospitals collect.

Neither form protects itself: whoever can write the file can change it.  What must hold stands in the ledger; audit
events say who asked for what.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

DCM = "DCM"


@dataclass(frozen=True)
class Code:
    """A code of a code system, with its meaning in words."""

    value: str
    meaning: str
    system: str = DCM


class Kind(Enum):
    """What happened: the event's code and type (PS3.15 table A.5.2, PS3.16 CID 400 and 401), and the action, which is
    C, R, U, D or E."""

    START = (Code("110100", "Application Activity"), Code("110120", "Application Start"), "E")
    STOP = (Code("110100", "Application Activity"), Code("110121", "Application Stop"), "E")
    SUBMISSION = (Code("110107", "Import"), None, "C")
    JUDGE = (Code("110112", "Query"), None, "E")
    PROOF = (Code("110106", "Export"), None, "R")
    ENROLMENT = (Code("110113", "Security Alert"), Code("110137", "User Security Attributes Changed"), "E")
    REVOCATION = (Code("110113", "Security Alert"), Code("110135", "Object Security Attributes Changed"), "E")
    DENIED = (Code("110113", "Security Alert"), Code("110126", "Node Authentication"), "E")

    def __init__(self, event: Code, event_type: Code | None, action: str) -> None:
        self.event = event
        self.event_type = event_type
        self.action = action


class Outcome(Enum):
    """How it ended; the value is the indicator of RFC 3881, which both forms share."""

    SUCCESS = "0"
    MINOR_FAILURE = "4"
    SERIOUS_FAILURE = "8"


@dataclass(frozen=True)
class AuditEvent:
    """Who did what, when, from where, and how it ended.

    Attributes: kind, outcome, time (with its zone), user (name of the principal), address (of the caller, None for the
    service itself), source (the service's own name), detail (one sentence, empty where there is nothing to say),
    entry (index of the log entry concerned, if any).  Patients are not named: the entry leads to them for whoever may
    see them.
    """

    kind: Kind
    outcome: Outcome
    time: datetime
    user: str
    address: str | None
    source: str
    detail: str = ""
    entry: int | None = None
