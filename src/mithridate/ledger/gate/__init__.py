"""The gate before the model: the array that was verified, or a refusal that says why.

gate = Gate(Policy(log_key=key), source=ledger)
admitted = gate.admit(path, expected=Expected(patient="12345"))
model(admitted.array)
"""

from __future__ import annotations

from mithridate.ledger.gate.admission import Admitted, Gate
from mithridate.ledger.gate.database import GateDatabase
from mithridate.ledger.gate.events import Decision, TwoIdentitiesAlert
from mithridate.ledger.gate.evidence import Source
from mithridate.ledger.gate.expected import Expected
from mithridate.ledger.gate.journal import Journal, read_journal
from mithridate.ledger.gate.policy import Policy, load_gate_policy
from mithridate.ledger.gate.preprocessing import DISPLAY, STORED, Preprocessing
from mithridate.ledger.gate.refusal import GateRefusal, RefusalCode

__all__ = [
    "DISPLAY",
    "STORED",
    "Admitted",
    "Decision",
    "Expected",
    "Gate",
    "GateDatabase",
    "GateRefusal",
    "Journal",
    "Policy",
    "Preprocessing",
    "RefusalCode",
    "Source",
    "TwoIdentitiesAlert",
    "load_gate_policy",
    "read_journal",
]
