"""X12 837 claims, professional (005010X222) and institutional (005010X223), as the JSON objects of records.py.

An 837 carries no medical record, so the documentation is empty.  Segments that pricing and rules do not need are
passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from mithridate.claims.input import values
from mithridate.claims.input.parsed import Refused
from mithridate.claims.input.x12_segments import Segment, segments
from mithridate.claims.rules.services import is_anesthesia

_PRINCIPAL, _OTHER = {"ABK", "BK"}, {"ABF", "BF", "ABN", "BN"}
_PROCEDURES = {"BBR", "BBQ"}
_INPATIENT_BILL = "11"


@dataclass
class _Person:
    """The subscriber or the patient of a hierarchy level."""

    id: str = ""
    born: str = ""
    sex: str = ""


@dataclass
class _Open:
    """The claim that is being read."""

    place: str
    record: dict[str, Any]
    person: _Person
    institutional: bool
    bill: str
    days: list[str] = field(default_factory=list)
    period: str = ""


class _Reader:
    """Walks the hierarchy billing provider -> subscriber -> patient -> claim -> service."""

    def __init__(self) -> None:
        self.version = ""
        self.provider = ""
        self.person = _Person()
        self.subscriber = _Person()
        self.open: _Open | None = None
        self.in_service = False

    def take(self, segment: Segment) -> Iterator[tuple[str, dict[str, Any] | Refused]]:
        """Read one segment; gives the former claim when the segment ends it."""
        if segment.name in {"CLM", "HL", "SE", "ST", "IEA"} and self.open is not None:
            yield self.open.place, _finished(self.open)
            self.open = None
        if segment.name in {"GS", "ST"}:
            self.version = segment.element(8 if segment.name == "GS" else 3) or self.version
        elif segment.name == "HL":
            self._level(segment)
        elif segment.name == "NM1":
            self._name(segment)
        elif segment.name == "DMG":
            self.person.born, self.person.sex = segment.element(2), segment.element(3)
        elif segment.name == "CLM":
            self._claim(segment)
        elif self.open is not None:
            self._inside(segment, self.open)

    def _level(self, segment: Segment) -> None:
        level = segment.element(3)
        if level == "20":
            self.provider = ""
        if level in {"20", "22"}:
            self.person = self.subscriber = _Person()
        elif level == "23":  # a patient who is not the subscriber
            self.person = _Person(id=self.subscriber.id)

    def _name(self, segment: Segment) -> None:
        role, identifier = segment.element(1), segment.element(9)
        if self.open is not None:
            return  # rendering and other providers of the claim; who bills is who is paid
        if role == "85":
            self.provider = identifier or segment.element(3)
        elif role in {"IL", "QC"} and identifier:
            self.person.id = identifier

    def _claim(self, segment: Segment) -> None:
        record: dict[str, Any] = {
            "id": segment.element(1),
            "provider": self.provider,
            "patient": self.person.id,
            "charges": segment.element(2) or None,
            "secondary": [],
            "procedures": [],
            "lines": [],
        }
        bill = segment.parts(5)[0]
        self.open = _Open(segment.place, record, self.person, "X223" in self.version, bill)
        self.in_service = False

    def _inside(self, segment: Segment, claim: _Open) -> None:
        if segment.name == "LX":
            self.in_service = True
        elif segment.name == "HI":
            for number in range(1, len(segment.elements)):
                _code(segment.parts(number), claim.record)
        elif segment.name == "CL1":
            claim.record["discharge_status"] = segment.element(3)
        elif segment.name == "DTP":
            _date(segment, claim)
        elif segment.name in {"SV1", "SV2"}:
            _service(segment, claim.record)


def x12_records(path: Path) -> Iterator[tuple[str, dict[str, Any] | Refused]]:
    """Each claim of a file with the place where it begins; a Refused for one that cannot be used.

    Raises UserError when the file is no interchange.
    """
    reader = _Reader()
    for segment in segments(path):
        yield from reader.take(segment)
    if reader.open is not None:
        yield reader.open.place, Refused("claim", "the file ends within it: get the whole file")


def _code(parts: list[str], record: dict[str, Any]) -> None:
    qualifier, code = parts[0], parts[1] if len(parts) > 1 else ""
    if not code:
        return
    diagnosis = {"code": code, "poa": parts[8] if len(parts) > 8 else ""}
    if qualifier in _PRINCIPAL and "principal" not in record:
        record["principal"] = diagnosis
    elif qualifier in _PRINCIPAL | _OTHER:
        record["secondary"].append(diagnosis)
    elif qualifier in _PROCEDURES:
        record["procedures"].append(code)


def _date(segment: Segment, claim: _Open) -> None:
    kind, value = segment.element(1), segment.element(3)
    if kind == "472":
        claim.days.append(value.rpartition("-")[2][:8])
    elif kind == "434":
        claim.period = value
    elif kind == "435":
        claim.record["admission_date"] = value[:8]


def _service(segment: Segment, record: dict[str, Any]) -> None:
    shift = 0 if segment.name == "SV1" else 1  # SV2 begins with the revenue code
    procedure = segment.parts(1 + shift)
    if len(procedure) < 2 or not procedure[1]:
        return  # a revenue line without a procedure: part of the stay
    line: dict[str, Any] = {
        "hcpcs": procedure[1],
        "modifiers": [modifier for modifier in procedure[2:6] if modifier],
        "charge": segment.element(2 + shift) or 0,
    }
    quantity = segment.element(4 + shift) or 1
    line["minutes" if segment.element(3 + shift) == "MJ" else "units"] = quantity
    record["lines"].append(line)


def _finished(claim: _Open) -> dict[str, Any] | Refused:
    record = claim.record
    days = [day for day in claim.days if day]
    record["discharge_date"] = claim.period.rpartition("-")[2] or (max(days) if days else "")
    if claim.institutional and claim.bill == _INPATIENT_BILL:
        record["payer_model"] = "ms-drg"
        record.setdefault("admission_date", claim.period.partition("-")[0])
    else:
        record.pop("admission_date", None)
        timed = record["lines"] and all(is_anesthesia(line["hcpcs"]) for line in record["lines"])
        record["payer_model"] = "anesthesia" if timed else "physician"
    try:
        record["age"] = _age(claim.person.born, record["discharge_date"])
    except Refused as refused:
        return refused
    record["sex"] = claim.person.sex
    return record


def _age(born: str, service: str) -> int | None:
    if not born:
        return None
    on: date = values.day(service, "date of service")
    return values.years_between(values.day(born, "birth date"), on)
