"""Anesthesia for operations, paid by base units and minutes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

import numpy as np

from mithridate.claims.claim import Diagnosis, Documentation, ServiceLine
from mithridate.claims.payments.anesthesia import BaseUnits
from mithridate.claims.populations.encounter import Calendar, Encounter, active, billed_as, encounter, tries_abuse
from mithridate.claims.populations.profile import Provider

_STATUS = ("P1", "P2", "P3", "P4")
_STATUS_SHARES = (0.2, 0.45, 0.29, 0.06)
_DOLLARS_A_UNIT = 75.0


@dataclass(frozen=True)
class Operation:
    """An anesthesia code with a diagnosis that leads to it, who has it, its usual minutes and its weight."""

    hcpcs: str
    diagnosis: str
    sex: str
    youngest: int
    oldest: int
    minutes: float
    weight: float


def draw_operations(rng: np.random.Generator, provider: Provider, count: int, calendar: Calendar) -> list[Encounter]:
    """Operations with the minutes of the anesthesia record; the exaggerated ones are rounded up too."""
    weights = np.array([item.weight for item in operations()])
    kinds = rng.choice(len(weights), size=count, p=weights / weights.sum())
    days = np.sort(rng.integers(0, calendar.days, count))
    pace = float(rng.lognormal(0.0, 0.1))
    found = []
    for row in range(count):
        operation = operations()[kinds[row]]
        age = int(rng.integers(operation.youngest, operation.oldest + 1))
        sex = operation.sex or ("F" if rng.random() < 0.53 else "M")
        recorded = float(max(10, round(operation.minutes * pace * float(rng.lognormal(0.0, 0.25)))))
        directed = "QK" if rng.random() < 0.3 else "AA"
        status = str(rng.choice(_STATUS, p=_STATUS_SHARES))
        honest = _line(operation.hcpcs, (directed, status), recorded)
        written = honest
        inflate = tries_abuse(rng, provider, calendar, int(days[row]))
        growth = float(rng.uniform(1.08, 1.2) if provider.scheme == "spread-thin" else rng.uniform(1.15, 1.5))
        if inflate:
            written = _line(operation.hcpcs, honest.modifiers, 5.0 * np.ceil(recorded * growth / 5.0))
        diagnoses = (Diagnosis(operation.diagnosis, ""),)
        record = Documentation(active([operation.diagnosis]), anesthesia_minutes=recorded)
        day = calendar.day(int(days[row]))
        truth, billed = billed_as(diagnoses, [honest]), billed_as(diagnoses, [written])
        found.append(encounter(provider, row, day, age, sex, truth, billed, record))
    return found


@cache
def operations() -> tuple[Operation, ...]:
    """The operations of the table."""
    text = (files("mithridate.claims.tables") / "surgeries.csv").read_text(encoding="utf-8")
    rows = (line.split(",") for line in text.splitlines()[1:])
    return tuple(Operation(a, b, c, int(d), int(e), float(f), float(g)) for a, b, c, d, e, f, g in rows)


def _line(hcpcs: str, modifiers: tuple[str, ...], minutes: float) -> ServiceLine:
    line = ServiceLine(hcpcs, modifiers, 1.0, float(minutes))
    return replace(line, charge=round(_DOLLARS_A_UNIT * _base_units().line_units(line), 2))


@cache
def _base_units() -> BaseUnits:
    return BaseUnits.fixture()
