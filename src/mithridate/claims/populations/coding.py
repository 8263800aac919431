"""From what a patient has to how a careful coder writes it: combination codes, exclusions, order.

Abusive providers have careful coders too, so both their honest and their inflated claims pass through here, and no
rule tells the two apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mithridate.claims.claim import Diagnosis
from mithridate.claims.rules.conventions import excluded_together

MOST_DIAGNOSES = 25
"""As many as a claim form holds (UB-04 FL 67)."""

_HISTORY = ("Z",)


def code_diagnoses(first: str, others: Iterable[str]) -> tuple[str, ...]:
    """Codes for a claim: the reason of the encounter, then the rest in the order given, without what may not be coded.

    Hypertension is joined with heart failure and kidney disease (guideline I.C.9.a), diabetes with kidney disease
    (I.A.15); a code that an Excludes1 note forbids beside an earlier one is dropped.
    """
    wanted = _joined(list(dict.fromkeys([first, *others])))
    kept: list[str] = []
    for code in wanted:
        if not any(excluded_together(code, other) for other in kept):
            kept.append(code)
    return tuple(kept[:MOST_DIAGNOSES])


def with_presence(codes: Sequence[str]) -> tuple[Diagnosis, ...]:
    """Diagnoses of a stay: present on admission, or exempt from the question (history codes)."""
    return tuple(Diagnosis(code, "1" if code.startswith(_HISTORY) else "Y") for code in codes)


def _joined(codes: list[str]) -> list[str]:
    failing = next((code for code in codes if code.startswith("I50")), None)
    kidney = next((code for code in codes if code.startswith("N18")), None)
    severe = kidney in ("N185", "N186")
    if "I10" in codes and (failing or kidney):
        if failing and kidney:
            combined = "I132" if severe else "I130"
        elif failing:
            combined = "I110"
        else:
            combined = "I120" if severe else "I129"
        codes.remove("I10")
        # The combination code comes before the codes that it needs (use-additional-code notes).
        place = min(codes.index(code) for code in (failing, kidney) if code)
        codes.insert(place, combined)
    if kidney and "E119" in codes:
        codes[codes.index("E119")] = "E1122"
    return codes
