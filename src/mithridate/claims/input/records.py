"""A claim as one JSON object, which every other format is first turned into.

Keys: id, provider, patient, age, sex, payer_model, admission_date, discharge_date, discharge_status, enrollment
{dual_status, entitlement, institutional, new_enrollee}, principal {code, poa}, secondary [{code, poa}], procedures
[code], lines [{hcpcs, modifiers, units, minutes, charge}], charges, documentation {conditions [{code, status}], labs
and vitals [{name, value, unit}], length_of_stay, anesthesia_minutes, encounter_minutes}.  A code may stand in place of
an object that holds nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from mithridate.claims.claim import (
    CONDITION_STATUSES,
    PAYER_MODELS,
    POA_INDICATORS,
    Billed,
    Claim,
    Condition,
    Diagnosis,
    Documentation,
    Enrollment,
    Measurement,
    ServiceLine,
    plain_code,
)
from mithridate.claims.input import values
from mithridate.claims.input.parsed import Refused

_KEYS = frozenset(claim_field.name for claim_field in fields(Claim)) - {"billed"} | {
    billed_field.name for billed_field in fields(Billed)
}
_DUAL = ("NA", "00", "01", "02", "03", "04", "05", "06", "08", "09", "10")


def read_record(record: object) -> Claim:
    """The claim of one JSON object.  Raises Refused, which names the field, for anything missing, unknown or wrong."""
    entries = _mapping(record, "claim", _KEYS)
    payer = values.one_of(entries.get("payer_model"), "payer_model", PAYER_MODELS)
    discharged = values.day(entries.get("discharge_date"), "discharge_date")
    admitted = None
    if entries.get("admission_date"):
        admitted = values.day(entries["admission_date"], "admission_date")
        if admitted > discharged:
            raise Refused(
                "admission_date", f"{admitted} is after the discharge on {discharged}: correct one of the two"
            )
    status = str(entries.get("discharge_status") or "01").strip().zfill(2)
    if not (status.isdigit() and len(status) == 2):
        raise Refused("discharge_status", f"'{status}' is not two digits: give the code of UB-04, such as 01 for home")
    lines = tuple(_line(item, place) for place, item in enumerate(_list(entries, "lines"), 1))
    charges = entries.get("charges")
    principal = entries.get("principal")
    if not principal:
        raise Refused("principal", "the principal diagnosis is missing: give its code")
    return Claim(
        id=values.text(entries.get("id"), "id"),
        provider=values.text(entries.get("provider"), "provider"),
        age=values.age(entries.get("age")),
        sex=values.sex(entries.get("sex")),
        payer_model=payer,
        discharge_date=discharged,
        billed=Billed(
            _diagnosis(principal, "principal"),
            tuple(_diagnosis(item, f"secondary {place}") for place, item in enumerate(_list(entries, "secondary"), 1)),
            tuple(plain_code(values.text(item, "procedures")) for item in _list(entries, "procedures")),
            lines,
            values.number(charges, "charges") if charges is not None else sum(line.charge for line in lines),
        ),
        documentation=_documentation(entries.get("documentation") or {}),
        patient=str(entries.get("patient") or ""),
        admission_date=admitted,
        discharge_status=status,
        enrollment=_enrollment(entries.get("enrollment") or {}),
    )


def _diagnosis(value: object, field: str) -> Diagnosis:
    entries = {"code": value} if isinstance(value, str) else _mapping(value, field, {"code", "poa"})
    poa = str(entries.get("poa") or "").strip().upper()
    if poa not in POA_INDICATORS:
        raise Refused(f"{field}, poa", f"'{poa}' is not known: use Y, N, U, W, 1 or nothing")
    code = plain_code(values.text(entries.get("code"), field))
    if not code.isalnum():
        raise Refused(field, f"'{entries.get('code')}' is no code: correct it")
    return Diagnosis(code, poa)


def _line(value: object, place: int) -> ServiceLine:
    field = f"service {place}"
    keys = {"hcpcs", "modifiers", "units", "minutes", "charge"}
    entries = {"hcpcs": value} if isinstance(value, str) else _mapping(value, field, keys)
    minutes = entries.get("minutes")
    code = plain_code(values.text(entries.get("hcpcs"), f"{field}, hcpcs"))
    if len(code) != 5 or not code.isalnum():
        raise Refused(f"{field}, hcpcs", f"'{code}' does not have five letters and digits: correct it")
    return ServiceLine(
        code,
        tuple(values.text(item, f"{field}, modifiers").upper() for item in _list(entries, "modifiers")),
        values.number(entries.get("units", 1), f"{field}, units", above=True),
        values.number(minutes, f"{field}, minutes", above=True) if minutes is not None else None,
        values.number(entries.get("charge", 0), f"{field}, charge"),
    )


def _documentation(value: object) -> Documentation:
    keys = {"conditions", "labs", "vitals", "length_of_stay", "anesthesia_minutes", "encounter_minutes"}
    entries = _mapping(value, "documentation", keys)
    stay = entries.get("length_of_stay")
    anesthesia, encounter = entries.get("anesthesia_minutes"), entries.get("encounter_minutes")
    return Documentation(
        tuple(_condition(item) for item in _list(entries, "conditions")),
        tuple(_measurement(item, "labs") for item in _list(entries, "labs")),
        tuple(_measurement(item, "vitals") for item in _list(entries, "vitals")),
        values.whole(stay, "length_of_stay") if stay is not None else None,
        values.number(anesthesia, "anesthesia_minutes") if anesthesia is not None else None,
        values.number(encounter, "encounter_minutes") if encounter is not None else None,
    )


def _condition(value: object) -> Condition:
    entries = {"code": value} if isinstance(value, str) else _mapping(value, "conditions", {"code", "status"})
    status = values.one_of(entries.get("status", "active"), "conditions, status", CONDITION_STATUSES)
    return Condition(values.text(entries.get("code"), "conditions"), status)


def _measurement(value: object, field: str) -> Measurement:
    entries = _mapping(value, field, {"name", "value", "unit"})
    name = values.text(entries.get("name"), f"{field}, name")
    found = values.number(entries.get("value"), f"{field}, {name}", least=float("-1e12"))
    return Measurement(name, found, str(entries.get("unit") or ""))


def _enrollment(value: object) -> Enrollment:
    entries = _mapping(value, "enrollment", {"dual_status", "entitlement", "institutional", "new_enrollee"})
    for name in ("institutional", "new_enrollee"):
        if not isinstance(entries.get(name, False), bool):
            raise Refused(f"enrollment, {name}", f"{entries[name]!r} is neither true nor false: correct it")
    return Enrollment(
        values.one_of(entries.get("dual_status", "NA"), "enrollment, dual_status", _DUAL),
        values.one_of(entries.get("entitlement", "0"), "enrollment, entitlement", ("0", "1", "2", "3")),
        bool(entries.get("institutional", False)),
        bool(entries.get("new_enrollee", False)),
    )


def _mapping(value: object, field: str, keys: frozenset[str] | set[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Refused(field, f"{type(value).__name__} in place of an object with named fields: correct it")
    unknown = sorted(str(key) for key in value if key not in keys)
    if unknown:
        raise Refused(field, f"has a field '{unknown[0]}' that is not known: use {', '.join(sorted(keys))}")
    return value


def _list(entries: Mapping[str, Any], field: str) -> Sequence[Any]:
    found = entries.get(field)
    if found is None:
        return ()
    if not isinstance(found, list):
        raise Refused(field, f"{type(found).__name__} in place of a list: correct it")
    return found
