"""What an inflated claim would pay, which is what an abusive provider looks at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cache

from mithridate.claims.claim import Billed, Claim, Diagnosis
from mithridate.claims.payment import Pricer
from mithridate.claims.populations.coding import code_diagnoses

_ANY_DAY = date(2026, 1, 1)


def stay_weight(codes: Sequence[str], sex: str) -> float:
    """DRG weight of a stay with these diagnoses, coded with care."""
    return _units(codes, 65, sex, "ms-drg")


def risk_score(codes: Sequence[str], age: int, sex: str) -> float:
    """Risk score of a member with these diagnoses, coded with care."""
    return _units(codes, age, sex, "cms-hcc-v28")


def _units(codes: Sequence[str], age: int, sex: str, payer_model: str) -> float:
    diagnoses = tuple(Diagnosis(code) for code in code_diagnoses(codes[0], codes[1:]))
    billed = Billed(diagnoses[0], diagnoses[1:])
    return _pricer().price(Claim("", "", age, sex, payer_model, _ANY_DAY, billed)).units


@cache
def _pricer() -> Pricer:
    return Pricer()
