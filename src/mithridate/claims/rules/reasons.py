"""Reason codes: what each says, whether a payer's system denies for it at once, and what it takes to see it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """A reason code.

    Attributes: code, says (one clause), hard (denied at once; else flagged for a person), needs_record (seen only by
    who holds the documentation, which a payer does not at first), source.
    """

    code: str
    says: str
    hard: bool
    source: str
    needs_record: bool = False


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that a claim breaks: the reason's code, and the billed item or pair that it is about ("I11.0")."""

    reason: str
    item: str

    @property
    def message(self) -> str:
        return f"{self.reason} {self.item}: {REASONS[self.reason].says}"


_CM = "ICD-10-CM Official Guidelines"
_MCE = "Medicare Code Editor"
_LIST = (
    Reason("DX-UNKNOWN", "no such diagnosis code in any edition since FY2019", True, _MCE),
    Reason("DX-INCOMPLETE", "a category and not a code: give all characters", True, _MCE),
    Reason("DX-RETIRED", "the code was no longer valid on the date of service", True, _MCE),
    Reason("DX-FUTURE", "the code was not yet valid on the date of service", True, _MCE),
    Reason("DX-ICD9", "an ICD-9 code, on a claim for service after September 2015", True, _MCE),
    Reason("DX-DUPLICATE", "the same diagnosis is listed twice", False, _MCE),
    Reason("DX-AGE", "the diagnosis does not occur at the patient's age", True, _MCE),
    Reason("DX-SEX", "the diagnosis does not occur in the patient's sex", True, _MCE),
    Reason("DX-PRINCIPAL", "the code may not be the principal diagnosis of a stay", True, _MCE),
    Reason("DX-MANIFESTATION", "a manifestation may not come first", True, f"{_MCE}; {_CM} I.A.13"),
    Reason("DX-SEQUENCE", "the code needs another one, before it where the convention says so", False, f"{_CM} I.A.17"),
    Reason("DX-COMBINATION", "the two are coded together by one combination code", False, f"{_CM} I.C.9.a"),
    Reason("DX-EXCLUDES1", "the tabular list forbids the two codes together", False, f"{_CM} I.A.12.a"),
    Reason("POA-MISSING", "a stay must say whether the diagnosis was present on admission", False, f"{_CM} Appendix I"),
    Reason("PX-UNKNOWN", "no such ICD-10-PCS procedure code", True, _MCE),
    Reason("LINE-UNITS", "units and minutes must be above zero", True, "X12 837 TR3"),
    Reason("LINE-DUPLICATE", "the same service twice, and no modifier says why", True, "CMS Manual 100-04, 1.120"),
    Reason("CLAIM-REPEATED", "the same service for the same patient, day and provider as on another claim", True,
           "CMS Manual 100-04, 1.120"),
    Reason("NCCI-PAIR", "the second service is part of the first", True, "CMS NCCI procedure-to-procedure edits"),
    Reason("MUE-UNITS", "more units than one patient can have in a day", True, "CMS NCCI medically unlikely edits"),
    Reason("AN-MINUTES", "anesthesia is billed without its minutes", True, "CMS Manual 100-04, 12.50"),
    Reason("AN-TIME", "more anesthesia minutes are billed than recorded", True, "CMS Manual 100-04, 12.50", True),
    Reason("EM-TIME", "the record holds less time than the level of visit asks", False, "CMS, visits by time", True),
    Reason("STAY-DATES", "the documented length of stay is not that of the dates", False, "UB-04 FL 6", True),
)  # fmt: skip

REASONS = {reason.code: reason for reason in _LIST}
"""Every reason code that a rule can give."""

RECORD_REASONS = frozenset(reason.code for reason in _LIST if reason.needs_record)
HARD_REASONS = frozenset(reason.code for reason in _LIST if reason.hard)
