"""FHIR R4 ExplanationOfBenefit (CARIN Blue Button) as the JSON objects of records.py.

Age and sex come from the Patient resource: contained, in the same Bundle, or on another line of the same file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mithridate.claims.input import values
from mithridate.claims.input.parsed import Refused
from mithridate.claims.rules.services import is_anesthesia

Resource = Mapping[str, Any]
_INPATIENT = {"inpatient", "INPATIENT", "60"}
_GENDERS = {"female": "F", "male": "M"}


def resources(item: object) -> Iterator[Resource]:
    """A resource, or those of a Bundle."""
    if isinstance(item, dict):
        if item.get("resourceType") == "Bundle":
            for entry in _dicts(item.get("entry")):
                yield from resources(entry.get("resource"))
        elif "resourceType" in item:
            yield item


def patients(found: Iterable[Resource]) -> dict[str, Resource]:
    """Patient resources by id."""
    return {str(item.get("id")): item for item in found if item["resourceType"] == "Patient"}


def benefit_record(benefit: Resource, known: Mapping[str, Resource]) -> dict[str, Any]:
    """The JSON object of one ExplanationOfBenefit.  Raises Refused for contradictory dates or a missing period."""
    reference = str(_dict(benefit.get("patient")).get("reference") or "").rpartition("/")[2].lstrip("#")
    contained = patients(item for item in _dicts(benefit.get("contained")) if "resourceType" in item)
    person = (contained | dict(known)).get(reference, {})
    period = _dict(benefit.get("billablePeriod"))
    ends = period.get("end") or period.get("start")
    lines = [line for item in _dicts(benefit.get("item")) if (line := _line(item))]
    inpatient = bool(_INPATIENT & set(_codes(benefit.get("type")) + _codes(benefit.get("subType"))))
    diagnoses = _diagnoses(benefit)
    record: dict[str, Any] = {
        "id": benefit.get("id"),
        "provider": _provider(benefit),
        "patient": reference,
        "sex": _GENDERS.get(str(person.get("gender"))),
        "discharge_date": str(ends)[:10] if ends else None,
        "principal": diagnoses[0] if diagnoses else None,
        "secondary": diagnoses[1:],
        "procedures": [
            code
            for item in _dicts(benefit.get("procedure"))
            for code in _codes(item.get("procedureCodeableConcept"))
            if len(code) == 7
        ],
        "lines": lines,
    }
    if person.get("birthDate") and ends:
        born = values.day(person["birthDate"], "birth date")
        record["age"] = values.years_between(born, values.day(ends, "billablePeriod"))
    charges = [
        _dict(item.get("amount")).get("value")
        for item in _dicts(benefit.get("total"))
        if "submitted" in _codes(item.get("category"))
    ]
    if charges:
        record["charges"] = charges[0]
    if inpatient:
        record |= {"payer_model": "ms-drg", "admission_date": period.get("start"), **_stay(benefit)}
    else:
        timed = lines and all(is_anesthesia(line["hcpcs"]) for line in lines)
        record["payer_model"] = "anesthesia" if timed else "physician"
    return record


def _diagnoses(benefit: Resource) -> list[dict[str, str]]:
    """Diagnoses in order, the one marked as principal first."""
    rows: list[tuple[bool, float, dict[str, str]]] = []
    for item in _dicts(benefit.get("diagnosis")):
        codes = _codes(item.get("diagnosisCodeableConcept"))
        if not codes:
            continue
        kinds = [code for kind in _dicts(item.get("type")) for code in _codes(kind)]
        admitted = [code.upper() for code in _codes(item.get("onAdmission"))]
        order = values.number(item.get("sequence", 0), "diagnosis, sequence")
        rows.append(("principal" not in kinds, order, {"code": codes[0], "poa": admitted[0] if admitted else ""}))
    return [diagnosis for _, _, diagnosis in sorted(rows, key=lambda row: row[:2])]


def _line(item: Resource) -> dict[str, Any] | None:
    codes = [code for code in _codes(item.get("productOrService") or item.get("service")) if len(code) == 5]
    if not codes:
        return None
    quantity = _dict(item.get("quantity"))
    timed = str(quantity.get("unit") or quantity.get("code") or "").lower() in {"min", "mj", "minute", "minutes"}
    charge = _dict(item.get("net")).get("value")
    for adjudication in _dicts(item.get("adjudication")):
        if "submitted" in _codes(adjudication.get("category")):
            charge = _dict(adjudication.get("amount")).get("value")
    return {
        "hcpcs": codes[0],
        "modifiers": [code for modifier in _dicts(item.get("modifier")) for code in _codes(modifier)[:1]],
        "minutes" if timed else "units": quantity.get("value", 1),
        "charge": charge or 0,
    }


def _stay(benefit: Resource) -> dict[str, str]:
    for item in _dicts(benefit.get("supportingInfo")):
        kinds = {code.lower().replace("_", "-") for code in _codes(item.get("category"))}
        if kinds & {"discharge-status", "dischargestatus"}:
            return {"discharge_status": next(iter(_codes(item.get("code"))), "01")}
    return {}


def _provider(benefit: Resource) -> str:
    """The billing provider's identifier, else its reference, else the first of the care team."""
    provider = _dict(benefit.get("provider"))
    named = _dict(provider.get("identifier")).get("value") or str(provider.get("reference") or "").rpartition("/")[2]
    for member in _dicts(benefit.get("careTeam")):
        if named:
            break
        of_team = _dict(member.get("provider"))
        named = _dict(of_team.get("identifier")).get("value") or str(of_team.get("reference") or "").rpartition("/")[2]
    return str(named or "")


def _codes(concept: object) -> list[str]:
    return [str(coding["code"]) for coding in _dicts(_dict(concept).get("coding")) if coding.get("code")]


def _dict(value: object) -> Mapping[str, Any]:
    if value is None or isinstance(value, dict):
        return value or {}
    raise Refused("resource", f"{value!r} stands in place of an object: correct it")


def _dicts(value: object) -> list[Mapping[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Refused("resource", f"{str(value)[:40]!r} stands in place of a list of objects: correct it")
    return value
