"""What the commands on files of claims share: their options, reading with every problem named, and exit codes."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from mithridate.cli.console import err, out
from mithridate.errors import UserError

if TYPE_CHECKING:
    from mithridate.claims.input import Parsed

_SHOWN = 20


class Icd9(StrEnum):
    """What to do with ICD-9 codes."""

    map = "map"
    refuse = "refuse"


FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="CSV, JSON, JSON lines, X12 837, or FHIR EOBs.")]
FormatOption = Annotated[str | None, typer.Option("--format", help="csv, json, x12 or fhir; default: by its content.")]
ModelOption = Annotated[
    str | None, typer.Option("--payer-model", help="ms-drg, cms-hcc-v28, physician or anesthesia, for all claims.")
]
Icd9Option = Annotated[Icd9, typer.Option("--icd9", help="Map ICD-9 codes that have one successor, or refuse them.")]
PatientsOption = Annotated[Path | None, typer.Option("--patients", help="FHIR Patient resources, for age and sex.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")]


def read_file(
    file: Path, kind: str | None, payer_model: str | None, icd9: Icd9, patients: Path | None, keep_codes: bool = False
) -> Parsed:
    """The file's claims.  Raises UserError when not one of them can be used."""
    from mithridate.claims.input import ReadOptions, read_claims
    from mithridate.claims.input.diagnosis_codes import CodePolicy

    codes = CodePolicy("map" if icd9 is Icd9.map else "refuse", "keep" if keep_codes else "refuse")
    parsed = read_claims(file, ReadOptions(kind, codes, payer_model, patients))
    if not parsed.claims:
        print_problems(parsed)
        raise UserError(
            f"{file} holds no claim that can be used: see what is named above"
            if parsed.problems
            else f"{file} holds no claims: check the file"
        )
    return parsed


def problems_of(parsed: Parsed) -> list[dict[str, Any]]:
    return [
        {"where": item.where, "claim": item.claim, "field": item.field, "says": item.says, "kept": item.kept}
        for item in parsed.problems
    ]


def print_problems(parsed: Parsed) -> None:
    print_some([str(item) for item in parsed.problems], "problems", console=err)


def print_some(lines: list[str], what: str, console: Any = out) -> None:
    for line in lines[:_SHOWN]:
        console.print(escape(line))
    if len(lines) > _SHOWN:
        console.print(f"and {len(lines) - _SHOWN:,} more {what}: --json lists all")


def print_vintages(vintages: Any) -> None:
    for name, vintage in vintages.items():
        out.print(f"[dim]{escape(name)}: {escape(vintage)}[/]")


def exit_for(parsed: Parsed, failed: bool = False) -> None:
    if failed or parsed.refused:
        raise typer.Exit(1)
