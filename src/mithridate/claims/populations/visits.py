"""Visits: members of a risk contract, whose diagnoses are paid for, and office patients, whose services are."""

from __future__ import annotations

from functools import partial

import numpy as np

from mithridate.claims.budget import VISIT_MINUTES
from mithridate.claims.claim import Diagnosis, Documentation, ServiceLine
from mithridate.claims.populations.coding import code_diagnoses
from mithridate.claims.populations.encounter import (
    Calendar,
    Encounter,
    active,
    billed_as,
    encounter,
    priced,
    tries_abuse,
)
from mithridate.claims.populations.patients import considered, draw_patients, measurements, true_codes, with_slips
from mithridate.claims.populations.profile import Provider
from mithridate.claims.populations.services import ordered_tests, split_panels
from mithridate.claims.populations.temptation import risk_score
from mithridate.claims.populations.upcoding import upcode

NEW_PATIENT = 0.2
THERAPY_PRACTICE, THERAPY_SHARE = 0.25, 0.8
"""Share of offices that mostly give therapy by the quarter of an hour, and share of their claims for it."""

_WELL = "Z0000"


def draw_members(rng: np.random.Generator, provider: Provider, count: int, calendar: Calendar) -> list[Encounter]:
    """Visits of members, whose diagnoses set the payment of the year (CMS-HCC)."""
    patients = draw_patients(rng, count, calendar.days, "member", provider.mix)
    found = []
    for row in range(count):
        true = true_codes(patients.rung[row]) or [_WELL]
        minutes = _minutes(rng, 18.0 + 2.0 * len(true))
        codes = with_slips(rng, true)
        steps = 1 if provider.scheme == "spread-thin" else 1 + int(rng.random() < 0.5)
        inflate = tries_abuse(rng, provider, calendar, int(patients.day[row]))
        sex, age = "F" if patients.woman[row] else "M", int(patients.age[row])
        written = upcode(rng, codes, steps, partial(risk_score, age=age, sex=sex)) if inflate else codes
        lines = [priced(_level(minutes, False))]
        honest, billed = (billed_as(_listed(codes_), lines) for codes_ in (codes, written))
        record = Documentation(
            active(code_diagnoses(true[0], true[1:])) + considered(rng, patients.rung[row]),
            labs=measurements(patients.rung[row], patients.measured[row]),
            encounter_minutes=minutes,
        )
        day = calendar.day(int(patients.day[row]))
        found.append(encounter(provider, row, day, age, sex, honest, billed, record))
    return found


def draw_office(rng: np.random.Generator, provider: Provider, count: int, calendar: Calendar) -> list[Encounter]:
    """Office visits with tests, or therapy, paid by the service."""
    patients = draw_patients(rng, count, calendar.days, "office", provider.mix)
    therapist = rng.random() < THERAPY_PRACTICE
    found = []
    for row in range(count):
        true = true_codes(patients.rung[row]) or [_WELL]
        diagnoses = _listed(true)
        inflate = tries_abuse(rng, provider, calendar, int(patients.day[row]))
        if rng.random() < (THERAPY_SHARE if therapist else 0.03):
            minutes, lines = _therapy(rng)
            written = _more_units(rng, lines) if inflate and provider.scheme != "unbundling" else lines
        else:
            new = bool(rng.random() < NEW_PATIENT)
            minutes = _minutes(rng, (36.0 if new else 20.0) + 3.0 * len(true), 15 if new else 10)
            tests = ordered_tests(rng)
            lines = [priced(_level(minutes, new)), *map(priced, tests)]
            written = lines
            if inflate and provider.scheme == "unbundling":
                written = [lines[0], *map(priced, split_panels(rng, tests))]
            elif inflate:
                written = [priced(_raised(rng, lines[0].hcpcs)), *lines[1:]]
        record = Documentation(
            active(code_diagnoses(true[0], true[1:])),
            labs=measurements(patients.rung[row], patients.measured[row]),
            encounter_minutes=minutes,
        )
        honest, billed = billed_as(diagnoses, lines), billed_as(diagnoses, written)
        sex = "F" if patients.woman[row] else "M"
        day = calendar.day(int(patients.day[row]))
        found.append(encounter(provider, row, day, int(patients.age[row]), sex, honest, billed, record))
    return found


def _listed(codes: list[str]) -> tuple[Diagnosis, ...]:
    """Diagnoses of a visit, where presence on admission is not reported."""
    return tuple(Diagnosis(code, "") for code in code_diagnoses(codes[0], codes[1:]))


def _minutes(rng: np.random.Generator, mean: float, least: int = 10) -> float:
    return float(max(least, round(float(rng.gamma(6.0, mean / 6.0)))))


def _level(minutes: float, new: bool) -> str:
    """The highest level of visit that the time supports."""
    levels = VISIT_MINUTES["new office visit" if new else "established office visit"]
    return max((code for code, least in levels.items() if least <= minutes), default=min(levels))


def _raised(rng: np.random.Generator, code: str) -> str:
    """A level higher, sometimes two."""
    levels = next(sorted(levels) for levels in VISIT_MINUTES.values() if code in levels)
    place = levels.index(code) + 1 + int(rng.random() < 0.25)
    return levels[min(place, len(levels) - 1)]


def _therapy(rng: np.random.Generator) -> tuple[float, list[ServiceLine]]:
    exercise, manual = int(rng.choice([1, 2, 3, 4], p=[0.25, 0.4, 0.23, 0.12])), int(rng.random() < 0.4)
    lines = [priced("97110", (), exercise)] + [priced("97140", (), manual)] * bool(manual)
    return 15.0 * (exercise + manual), lines


def _more_units(rng: np.random.Generator, lines: list[ServiceLine]) -> list[ServiceLine]:
    units = min(6.0, lines[0].units + 1 + int(rng.random() < 0.4))
    return [priced(lines[0].hcpcs, (), units), *lines[1:]]
