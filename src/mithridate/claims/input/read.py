"""`read_claims`: any of the formats, each claim checked in one place, problems located."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mithridate.claims.claim import PAYER_MODELS, Claim
from mithridate.claims.input.csv_files import csv_records
from mithridate.claims.input.diagnosis_codes import CodePolicy, settle_codes
from mithridate.claims.input.fhir import benefit_record, patients, resources
from mithridate.claims.input.json_files import Unreadable, json_objects
from mithridate.claims.input.parsed import Parsed, Problem, Refused
from mithridate.claims.input.records import read_record
from mithridate.claims.input.x12 import x12_records
from mithridate.errors import UserError

FORMATS = ("csv", "json", "x12", "fhir")


@dataclass(frozen=True)
class ReadOptions:
    """How a file is read.

    Attributes: format (None: told from its content), codes (what happens to those that are not valid), payer_model (to
    take instead of the file's own; 837 and FHIR files do not state one), patients (a file of FHIR Patient resources).
    """

    format: str | None = None
    codes: CodePolicy = field(default_factory=CodePolicy)
    payer_model: str | None = None
    patients: Path | None = None

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in FORMATS:
            raise UserError(f"there is no format '{self.format}': use one of {', '.join(FORMATS)}")
        if self.payer_model is not None and self.payer_model not in PAYER_MODELS:
            raise UserError(f"there is no payer model '{self.payer_model}': use one of {', '.join(PAYER_MODELS)}")


def read_claims(path: Path, options: ReadOptions | None = None) -> Parsed:
    """All claims of a file that are sound, and a Problem for each thing that is not.

    Raises UserError when there is no such file, or it is none of the formats as a whole.
    """
    options = options or ReadOptions()
    claims: list[Claim] = []
    problems: list[Problem] = []
    first: dict[str, str] = {}
    for where, record in _records(path, options):
        claim_id = str(record.get("id") or "") if isinstance(record, dict) else ""
        try:
            claim, notes = _claim(record, options)
            if claim.id in first:
                raise Refused("id", f"is also that of the claim on {first[claim.id]}: give each claim its own")
        except Refused as refused:
            problems.append(Problem(path, where, claim_id, refused.field, refused.says))
            continue
        first[claim.id] = where
        claims.append(claim)
        problems += [Problem(path, where, claim.id, "diagnosis", note, kept=True) for note in notes]
    return Parsed(tuple(claims), tuple(problems))


def _claim(record: dict[str, Any] | Refused, options: ReadOptions) -> tuple[Claim, list[str]]:
    if isinstance(record, Refused):
        raise record
    if options.payer_model is not None:
        record = record | {"payer_model": options.payer_model}
    return settle_codes(read_record(record), options.codes)


def _records(path: Path, options: ReadOptions) -> Iterator[tuple[str, dict[str, Any] | Refused]]:
    kind = options.format or _format(path)
    try:
        if kind == "csv":
            yield from ((f"line {line}", record) for line, record in csv_records(path))
        elif kind == "x12":
            yield from x12_records(path)
        else:
            yield from _json_records(path, _patients(options.patients) if options.patients is not None else {})
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error


def _json_records(path: Path, elsewhere: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any] | Refused]]:
    located = list(json_objects(path))
    known = elsewhere | _known(item for _, item in located)
    for line, item in located:
        yield from ((f"line {line}", record) for record in _of_object(item, known))


def _patients(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"there is no file {path} of Patient resources: check the path")
    found = _known(item for _, item in json_objects(path))
    if not found:
        raise UserError(f"{path} holds no FHIR Patient resource: give those of the claims' patients")
    return found


def _known(items: Iterable[object]) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for item in items:
        with suppress(Refused):  # named with its line when the claims are read
            known |= patients(resources(item))
    return known


def _of_object(item: object, known: dict[str, Any]) -> Iterator[dict[str, Any] | Refused]:
    if isinstance(item, Unreadable):
        yield Refused("line", item.says)
    elif not isinstance(item, dict):
        yield Refused("claim", f"{type(item).__name__} in place of an object with named fields: correct it")
    elif "resourceType" not in item:
        yield item
    else:
        try:
            found = list(resources(item))
        except Refused as refused:
            yield refused
            return
        for resource in found:
            if resource["resourceType"] == "ExplanationOfBenefit":
                yield _benefit(resource, known)
            elif resource["resourceType"] != "Patient":
                says = f"{resource['resourceType']} is no claim: give ExplanationOfBenefit and Patient resources"
                yield Refused("resourceType", says)


def _benefit(resource: Any, known: dict[str, Any]) -> dict[str, Any] | Refused:
    try:
        return benefit_record(resource, known)
    except Refused as refused:
        return refused


def _format(path: Path) -> str:
    if not path.is_file():
        raise UserError(f"there is no file {path}: check the path")
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as stream:
            head = stream.read(4096).lstrip()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    if not head:
        raise UserError(f"{path} is empty: check the file")
    if head.startswith("ISA"):
        return "x12"
    if head[0] in "{[":
        return "json"
    if "," in head.splitlines()[0]:
        return "csv"
    raise UserError(f"{path} is no CSV, JSON, X12 837 or FHIR file that is known: name its format with --format")
