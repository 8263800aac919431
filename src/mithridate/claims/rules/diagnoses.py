"""Rules about diagnoses: they depend on the codes in order, the patient's age and sex, the day and the claim's kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import combinations

from mithridate.claims.claim import Diagnosis
from mithridate.claims.codes import ICD10_START, Status, dotted, status
from mithridate.claims.rules.conventions import (
    combination_due,
    etiologies,
    excluded_together,
    in_span,
    is_manifestation,
    needed_with,
    stands_alone,
)
from mithridate.claims.rules.reasons import Broken
from mithridate.claims.tables.prefixes import longest, prefix_table

_STATUS_REASONS = {
    Status.UNKNOWN: "DX-UNKNOWN",
    Status.INCOMPLETE: "DX-INCOMPLETE",
    Status.RETIRED: "DX-RETIRED",
    Status.FUTURE: "DX-FUTURE",
    Status.ICD9: "DX-ICD9",
}
_OLDEST = 124
"""The last year of age that CMS's editor knows."""


@dataclass(frozen=True, slots=True)
class Patient:
    """What the diagnosis rules ask of a claim beside its codes: age in years, sex, day of service, whether a stay."""

    age: int
    sex: str
    day: date
    stay: bool


def diagnosis_rules(diagnoses: tuple[Diagnosis, ...], patient: Patient) -> Iterator[Broken]:
    """Every diagnosis rule that is broken, in the order of the codes."""
    codes = tuple(item.code for item in diagnoses)
    for code in codes:
        yield from _alone(code, patient)
    yield from _first(codes[0], patient)
    yield from _together(codes)
    if patient.stay:
        yield from (Broken("POA-MISSING", dotted(item.code)) for item in diagnoses if not item.poa)


@lru_cache(maxsize=200_000)
def _alone(code: str, patient: Patient) -> tuple[Broken, ...]:
    """What is wrong with one code for this patient on this day."""
    state = status(code, patient.day)
    if state is Status.ICD9 and patient.day < ICD10_START:
        return ()
    if state is not Status.VALID:
        return (Broken(_STATUS_REASONS[state], dotted(code)),)
    found = []
    ages = longest(prefix_table("age.csv"), code)
    if ages is not None and not int(ages[0]) <= min(patient.age, _OLDEST) <= int(ages[1]):
        found.append(Broken("DX-AGE", f"{dotted(code)} at {patient.age}"))
    sex = longest(prefix_table("sex.csv"), code)
    if sex is not None and sex[0] != patient.sex:
        found.append(Broken("DX-SEX", f"{dotted(code)} in {patient.sex}"))
    return tuple(found)


def _first(code: str, patient: Patient) -> Iterator[Broken]:
    if is_manifestation(code):
        yield Broken("DX-MANIFESTATION", dotted(code))
    elif patient.stay and longest(prefix_table("principal.csv"), code) is not None:
        yield Broken("DX-PRINCIPAL", dotted(code))


def _together(codes: tuple[str, ...]) -> Iterator[Broken]:
    if len(set(codes)) < len(codes):
        yield from (Broken("DX-DUPLICATE", dotted(code)) for code in dict.fromkeys(codes) if codes.count(code) > 1)
    for place, code in enumerate(codes):
        if stands_alone(code):
            continue
        etiology = etiologies(code)
        if etiology is not None and place > 0 and not _has(codes[:place], etiology):
            yield Broken("DX-SEQUENCE", dotted(code))
        for needs, before in needed_with(code):
            if not _has(codes[:place] if before else codes, needs):
                yield Broken("DX-SEQUENCE", dotted(code))
    for first, second in combination_due(codes):
        yield Broken("DX-COMBINATION", f"{dotted(first)} with {dotted(second)}")
    for first, second in combinations(sorted(set(codes)), 2):
        if excluded_together(first, second):
            yield Broken("DX-EXCLUDES1", f"{dotted(first)} with {dotted(second)}")


def _has(codes: tuple[str, ...], spans: tuple[tuple[str, str], ...]) -> bool:
    """Whether one of the codes lies in one of the ranges; any code that is no manifestation, when no range is named."""
    if not spans:
        return any(not is_manifestation(code) for code in codes)
    return any(in_span(code, span) for code in codes for span in spans)
