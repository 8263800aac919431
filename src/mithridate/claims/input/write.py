"""Claims as JSON lines, one object a line, which `read_claims` reads back to equal claims."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mithridate.claims.claim import Claim, Diagnosis, Enrollment, Measurement, ServiceLine
from mithridate.files import replace_file


def claim_record(claim: Claim) -> dict[str, Any]:
    """The JSON object of a claim; see records.py for its keys.  What holds nothing is left out."""
    billed, record = claim.billed, claim.documentation
    documentation = {
        "conditions": [{"code": item.code, "status": item.status} for item in record.conditions],
        "labs": [_measurement(item) for item in record.labs],
        "vitals": [_measurement(item) for item in record.vitals],
        "length_of_stay": record.length_of_stay,
        "anesthesia_minutes": record.anesthesia_minutes,
        "encounter_minutes": record.encounter_minutes,
    }
    enrollment = claim.enrollment
    found: dict[str, Any] = {
        "id": claim.id,
        "provider": claim.provider,
        "patient": claim.patient,
        "age": claim.age,
        "sex": claim.sex,
        "payer_model": claim.payer_model,
        "admission_date": claim.admission_date.isoformat() if claim.admission_date else None,
        "discharge_date": claim.discharge_date.isoformat(),
        "discharge_status": claim.discharge_status,
        "enrollment": None
        if enrollment == Enrollment()
        else {
            "dual_status": enrollment.dual_status,
            "entitlement": enrollment.entitlement,
            "institutional": enrollment.institutional,
            "new_enrollee": enrollment.new_enrollee,
        },
        "principal": _diagnosis(billed.principal),
        "secondary": [_diagnosis(item) for item in billed.secondary],
        "procedures": list(billed.procedures),
        "lines": [_line(item) for item in billed.lines],
        "charges": billed.charges,
        "documentation": _filled(documentation),
    }
    return _filled(found)


def write_claims(path: Path, claims: Iterable[Claim]) -> int:
    """Write claims as JSON lines and give their number; the file is whole or absent.  Raises UserError when the disk
    refuses."""
    written = 0

    def write(partial: Path) -> None:
        nonlocal written
        with partial.open("w", encoding="utf-8") as stream:
            for claim in claims:
                stream.write(json.dumps(claim_record(claim), separators=(",", ":")) + "\n")
                written += 1

    replace_file(path, write)
    return written


def _filled(entries: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entries.items() if value not in (None, [], {}, "")}


def _diagnosis(item: Diagnosis) -> dict[str, str]:
    return {"code": item.code, "poa": item.poa}


def _line(item: ServiceLine) -> dict[str, Any]:
    found = {"hcpcs": item.hcpcs, "modifiers": list(item.modifiers), "minutes": item.minutes}
    return _filled(found) | {"units": item.units, "charge": item.charge}


def _measurement(item: Measurement) -> dict[str, Any]:
    return {"name": item.name, "value": item.value} | ({"unit": item.unit} if item.unit else {})
