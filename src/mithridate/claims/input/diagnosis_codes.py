"""Diagnosis codes of a claim that is read: valid on the day, mapped from ICD-9, or refused, and said which."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from mithridate.claims.claim import Claim, Diagnosis
from mithridate.claims.codes import ICD10_START, Status, below, dotted, map_icd9, status, windows
from mithridate.claims.input.parsed import Refused

_SHOWN = 6


@dataclass(frozen=True)
class CodePolicy:
    """What happens to codes that are not valid ICD-10-CM codes on the date of service.

    `icd9`: "map" replaces an ICD-9 code that has one successor and says so, "refuse" leaves its claim out.
    `invalid`: "refuse" leaves the claim out, "keep" lets the rules report the code.
    """

    icd9: Literal["map", "refuse"] = "map"
    invalid: Literal["refuse", "keep"] = "refuse"


def settle_codes(claim: Claim, policy: CodePolicy) -> tuple[Claim, list[str]]:
    """The claim with its codes settled, and a note for each that was replaced.  Raises Refused as the policy says."""
    notes: list[str] = []
    settled = tuple(_settle(item, claim.discharge_date, policy, notes) for item in claim.billed.diagnoses)
    if settled == claim.billed.diagnoses:
        return claim, notes
    return claim.with_billed(principal=settled[0], secondary=settled[1:]), notes


def _settle(diagnosis: Diagnosis, day: date, policy: CodePolicy, notes: list[str]) -> Diagnosis:
    code = diagnosis.code
    state = status(code, day)
    if state is Status.VALID:
        return diagnosis
    if state is Status.ICD9 and policy.icd9 == "map":
        mapped = map_icd9(code, day)
        if mapped.code is not None:
            kind = "approximately " if mapped.approximate else ""
            notes.append(f"{_as_icd9(code)} is an ICD-9 code and was mapped to {kind}{dotted(mapped.code)}: check it")
            return replace(diagnosis, code=mapped.code)
    if policy.invalid == "keep":
        return diagnosis
    raise Refused("diagnosis", _why_not(code, state, day))


def _why_not(code: str, state: Status, day: date) -> str:
    name = dotted(code)
    if state is Status.ICD9:
        if day < ICD10_START:
            return f"{_as_icd9(code)} is an ICD-9 code; this program prices ICD-10 claims: map it first"
        choices = map_icd9(code, day).candidates
        listed = f"choose among {_some(choices)}" if choices else "it has no ICD-10-CM successor"
        return f"{_as_icd9(code)} is an ICD-9 code and was refused: {listed}"
    if state is Status.RETIRED:
        until = windows()[code].end
        parts = below(code, day)
        return f"{name} was retired on {until}" + (f": use one of {_some(parts)}" if parts else ": use its successor")
    if state is Status.FUTURE:
        return (
            f"{name} is valid only from {windows()[code].start}, and the service was on {day}: correct one of the two"
        )
    if state is Status.INCOMPLETE:
        return f"{name} is incomplete: use a code below it, such as {_some(below(code, day))}"
    return f"'{name}' is no ICD-10-CM code: correct it"


def _as_icd9(code: str) -> str:
    """An ICD-9 code with its dot: after the third character, of E codes after the fourth."""
    place = 4 if code.startswith("E") else 3
    return f"{code[:place]}.{code[place:]}" if len(code) > place else code


def _some(codes: tuple[str, ...]) -> str:
    shown = ", ".join(dotted(code) for code in codes[:_SHOWN])
    return f"{shown} and {len(codes) - _SHOWN} more" if len(codes) > _SHOWN else shown
