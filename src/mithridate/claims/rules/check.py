"""All rules of one vintage, asked claim by claim, with answers kept by code set."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib.resources import files

from mithridate.claims.claim import Claim, Diagnosis, ServiceLine
from mithridate.claims.codes import ICD10CM_VINTAGE
from mithridate.claims.rules.cms_files import MedicallyUnlikely, ProcedurePairs
from mithridate.claims.rules.diagnoses import Patient, diagnosis_rules
from mithridate.claims.rules.reasons import Broken
from mithridate.claims.rules.services import line_rules, time_rules
from mithridate.errors import MissingExtra

CACHE_LIMIT = 500_000
"""Answers kept of each kind; beyond it the cache starts afresh."""


@dataclass
class Rules:
    """The rules with the NCCI tables of a user, or the teaching fixtures.

    `with_record` also compares the claim with its documentation, which a payer cannot do before it asks for records.
    """

    pairs: ProcedurePairs = field(default_factory=ProcedurePairs.fixture)
    units: MedicallyUnlikely = field(default_factory=MedicallyUnlikely.fixture)
    with_record: bool = True
    _by_codes: dict[tuple[tuple[Diagnosis, ...], Patient], tuple[Broken, ...]] = field(default_factory=dict, repr=False)
    _by_lines: dict[tuple[tuple[ServiceLine, ...], date], tuple[Broken, ...]] = field(default_factory=dict, repr=False)

    def check(self, claim: Claim) -> tuple[Broken, ...]:
        """Every rule that a claim breaks: diagnoses, procedures, services, record; () when it keeps all."""
        found = self._diagnoses(claim)
        if claim.billed.procedures:
            found += tuple(Broken("PX-UNKNOWN", code) for code in claim.billed.procedures if not is_procedure(code))
        if claim.billed.lines:
            found += self._lines(claim.billed.lines, claim.discharge_date)
        return found + self._record(claim) if self.with_record else found

    def vintages(self) -> dict[str, str]:
        """Which edition of each table the answers rest on."""
        return {"diagnosis codes": ICD10CM_VINTAGE, "pairs": self.pairs.vintage, "units": self.units.vintage}

    def _diagnoses(self, claim: Claim) -> tuple[Broken, ...]:
        diagnoses = claim.billed.diagnoses
        patient = Patient(claim.age, claim.sex, claim.discharge_date, claim.payer_model == "ms-drg")
        known = self._by_codes.get((diagnoses, patient))
        if known is None:
            if len(self._by_codes) >= CACHE_LIMIT:
                self._by_codes.clear()
            known = self._by_codes[diagnoses, patient] = tuple(diagnosis_rules(diagnoses, patient))
        return known

    def _lines(self, lines: tuple[ServiceLine, ...], day: date) -> tuple[Broken, ...]:
        known = self._by_lines.get((lines, day))
        if known is None:
            if len(self._by_lines) >= CACHE_LIMIT:
                self._by_lines.clear()
            known = (*line_rules(lines), *self.pairs.broken(lines, day), *self.units.broken(lines))
            self._by_lines[lines, day] = known
        return known

    def _record(self, claim: Claim) -> tuple[Broken, ...]:
        found = tuple(time_rules(claim.billed.lines, claim.documentation)) if claim.billed.lines else ()
        stayed, admitted = claim.documentation.length_of_stay, claim.admission_date
        if stayed is not None and admitted is not None:
            billed = (claim.discharge_date - admitted).days
            if billed != stayed:
                found += (Broken("STAY-DATES", f"{billed} days billed, {stayed} recorded"),)
        return found


def is_procedure(code: str) -> bool:
    """Whether an ICD-10-PCS code is in the list of package `drg`.  Raises MissingExtra without it."""
    return code in _procedures()


@cache
def _procedures() -> frozenset[str]:
    try:
        listing = files("drg") / "data" / "tuva" / "icd_10_pcs.csv"
    except ModuleNotFoundError:
        raise MissingExtra("checking procedure codes", "claims") from None
    lines = listing.read_text(encoding="utf-8").splitlines()
    return frozenset(line.partition(",")[0].strip('"').upper() for line in lines)
