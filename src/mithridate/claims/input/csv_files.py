"""CSV: one claim a row.

Columns are the keys of records.py; nested ones have columns of their own (principal_poa, dual_status, conditions, labs,
vitals, length_of_stay, ...).  Cells with several items separate them by semicolons: diagnoses `I50.9:Y; E11.9`,
services `99214-25 x1 $130.00; 00790-AA-P3 95min`, conditions `I50.9; J18.9:ruled-out`, labs, vitals `bmi=41.2 kg/m2`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mithridate.claims.input.parsed import Refused
from mithridate.errors import UserError

_REQUIRED = ("id", "provider", "age", "sex", "payer_model", "discharge_date", "principal")
_PLAIN = (*_REQUIRED, "patient", "admission_date", "discharge_status", "charges")
_DOCUMENTED = ("length_of_stay", "anesthesia_minutes", "encounter_minutes")
_ENROLLED = ("dual_status", "entitlement", "institutional", "new_enrollee")
_LISTS = ("secondary", "procedures", "lines", "conditions", "labs", "vitals")
_COLUMNS = frozenset([*_PLAIN, "principal_poa", *_DOCUMENTED, *_ENROLLED, *_LISTS])
_SERVICE = re.compile(
    r"(?P<hcpcs>\w+)(?P<modifiers>(?:-\w\w)*)(?:\s+x(?P<units>-?[\d.]+))?(?:\s+(?P<minutes>-?[\d.]+)\s*min)?"
    r"(?:\s+\$(?P<charge>-?[\d.]+))?"
)
_MEASURED = re.compile(r"(?P<name>[^=]+?)\s*=\s*(?P<value>\S+)(?:\s+(?P<unit>\S+))?")


def csv_records(path: Path) -> Iterator[tuple[int, dict[str, Any] | Refused]]:
    """The rows of a CSV file as JSON objects of records.py, with their line numbers; a Refused for a row that is none.

    Raises UserError when the header lacks a required column, names one twice or one that is not known.
    """
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        reader = csv.reader(stream)
        header = [name.strip().lower() for name in next(reader, [])]
        _check_header(header, path)
        try:
            for row in reader:
                if any(cell.strip() for cell in row):
                    yield reader.line_num, _record(header, row)
        except csv.Error as error:
            yield reader.line_num, Refused("row", f"is no CSV ({error}), and nothing after it was read: correct it")


def _check_header(header: list[str], path: Path) -> None:
    lacking = [name for name in _REQUIRED if name not in header]
    if lacking:
        raise UserError(
            f"{path} has no column '{lacking[0]}': its first line must name the columns, as the manual lists"
        )
    unknown = [name for name in header if name not in _COLUMNS]
    if unknown:
        raise UserError(f"{path} has a column '{unknown[0]}' that is not known: use {', '.join(sorted(_COLUMNS))}")
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise UserError(f"{path} has two columns called '{twice[0]}': remove one")


def _record(header: list[str], row: list[str]) -> dict[str, Any] | Refused:
    if len(row) > len(header) and any(cell.strip() for cell in row[len(header) :]):
        return Refused("row", f"has {len(row)} cells for {len(header)} columns: check its commas")
    cells = {name: cell.strip() for name, cell in zip(header, row, strict=False) if cell.strip()}
    try:
        return _nested(cells)
    except Refused as refused:
        return refused


def _nested(cells: dict[str, str]) -> dict[str, Any]:
    record: dict[str, Any] = {name: cells[name] for name in _PLAIN if name in cells}
    if "principal" in cells:
        record["principal"] = {"code": cells["principal"], "poa": cells.get("principal_poa", "")}
    items = {name: [item.strip() for item in cells.get(name, "").split(";") if item.strip()] for name in _LISTS}
    record["secondary"] = [_pair(item, "poa", "") for item in items["secondary"]]
    record["procedures"] = items["procedures"]
    record["lines"] = [_service(item) for item in items["lines"]]
    documentation: dict[str, Any] = {name: cells[name] for name in _DOCUMENTED if name in cells}
    documentation["conditions"] = [_pair(item, "status", "active") for item in items["conditions"]]
    for name in ("labs", "vitals"):
        documentation[name] = [_matched(_MEASURED, item, name, "bmi=41.2 kg/m2") for item in items[name]]
    enrollment: dict[str, Any] = {name: cells[name] for name in _ENROLLED if name in cells}
    for name in ("institutional", "new_enrollee"):
        if name in enrollment:
            enrollment[name] = {"true": True, "false": False}.get(enrollment[name].lower(), enrollment[name])
    return record | {"documentation": documentation, "enrollment": enrollment}


def _pair(item: str, second: str, usual: str) -> dict[str, str]:
    code, _, more = item.partition(":")
    return {"code": code.strip(), second: more.strip() or usual}


def _service(item: str) -> dict[str, Any]:
    found = _matched(_SERVICE, item, "lines", "99214-25 x1 $130.00")
    return found | {"modifiers": [word for word in found.get("modifiers", "").split("-") if word]}


def _matched(pattern: re.Pattern[str], item: str, field: str, example: str) -> dict[str, Any]:
    match = pattern.fullmatch(item)
    if match is None:
        raise Refused(field, f"'{item}' is not written as in '{example}': correct it")
    return {name: value for name, value in match.groupdict().items() if value is not None}
