"""`mithridate claims`: read a file of claims, check it against the rules, price it, or make a population."""

from __future__ import annotations

import csv
import json
from collections import Counter
from datetime import datetime
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from mithridate.cli.claims_audit import register
from mithridate.cli.console import err, out, progress_bar
from mithridate.errors import UserError

if TYPE_CHECKING:
    from mithridate.claims.input import Parsed
    from mithridate.claims.payment import Price

claims_app = typer.Typer(
    help="Claims: what is billed, which rules it breaks, what it pays, and how far that can be gamed.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

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


@claims_app.command(epilog="Example:  mithridate claims read march.837 --out march.jsonl")
def read(
    file: FileArgument,
    kind: FormatOption = None,
    payer_model: ModelOption = None,
    icd9: Icd9Option = Icd9.map,
    patients: PatientsOption = None,
    save_as: Annotated[Path | None, typer.Option("--out", help="Write the sound claims as JSON lines.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Read claims; name every line that cannot be used and keep the rest.

    Exits with 1 when a claim was left out.
    """
    from mithridate.claims.input import write_claims

    parsed = _read(file, kind, payer_model, icd9, patients)
    if save_as is not None:
        write_claims(save_as, parsed.claims)
    counts = Counter(claim.payer_model for claim in parsed.claims)
    if as_json:
        facts = {"claims": len(parsed.claims), "payer_models": dict(counts), "problems": _problems(parsed)}
        typer.echo(json.dumps(facts | {"out": str(save_as) if save_as else None}, indent=2))
    else:
        _print_problems(parsed)
        named = ", ".join(f"{count:,} {model}" for model, count in sorted(counts.items())) or "none"
        out.print(f"{len(parsed.claims):,} claims read ({named}), {len(parsed.refused):,} left out")
        if save_as is not None:
            out.print(f"written to {escape(str(save_as))}")
    _exit_for(parsed)


@claims_app.command(epilog="Example:  mithridate claims check claims.csv --ncci ptp.csv --mue mue.csv")
def check(
    file: FileArgument,
    kind: FormatOption = None,
    payer_model: ModelOption = None,
    icd9: Icd9Option = Icd9.map,
    patients: PatientsOption = None,
    ncci: Annotated[Path | None, typer.Option(help="CMS's NCCI procedure-to-procedure file (CSV or text).")] = None,
    mue: Annotated[Path | None, typer.Option(help="CMS's medically unlikely edits (CSV or text).")] = None,
    with_record: Annotated[
        bool, typer.Option("--record/--no-record", help="Compare with the documentation too, as an auditor would.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Ask every rule of every claim.  Codes that are not valid are reported by the rules and not left out.

    Exits with 1 when a claim breaks a hard rule or was left out.
    """
    from mithridate.claims.rules import REASONS, MedicallyUnlikely, ProcedurePairs, Rules, repeated_claims

    rules = Rules(
        ProcedurePairs.load(ncci) if ncci else ProcedurePairs.fixture(),
        MedicallyUnlikely.load(mue) if mue else MedicallyUnlikely.fixture(),
        with_record,
    )
    parsed = _read(file, kind, payer_model, icd9, patients, keep_codes=True)
    repeats = repeated_claims(parsed.claims)
    broken = {claim.id: (*rules.check(claim), *repeats.get(claim.id, ())) for claim in parsed.claims}
    counts = Counter(item.reason for found in broken.values() for item in found)
    denied = sum(any(REASONS[item.reason].hard for item in found) for found in broken.values())
    if as_json:
        rows = [
            {"claim": claim, "reason": item.reason, "item": item.item, "hard": REASONS[item.reason].hard}
            for claim, found in broken.items()
            for item in found
        ]
        facts = {"claims": len(broken), "denied": denied, "reasons": dict(counts), "broken": rows}
        typer.echo(json.dumps(facts | {"problems": _problems(parsed), "vintages": rules.vintages()}, indent=2))
    else:
        _print_problems(parsed)
        _print_vintages(rules.vintages())
        lines = [f"{claim}: {item.message}" for claim, found in broken.items() for item in found]
        _print_some(lines, "broken rules")
        table = Table("reason", "claims' items", "denied at once", "says", box=None, pad_edge=False)
        for reason, count in counts.most_common():
            table.add_row(reason, f"{count:,}", "yes" if REASONS[reason].hard else "no", REASONS[reason].says)
        if counts:
            out.print(table)
        out.print(f"{len(broken):,} claims, {denied:,} with a hard rule broken")
    _exit_for(parsed, failed=denied > 0)


@claims_app.command(epilog="Example:  mithridate claims price claims.jsonl --fees PPRRVU26_JAN.csv --out prices.csv")
def price(
    file: FileArgument,
    kind: FormatOption = None,
    payer_model: ModelOption = None,
    icd9: Icd9Option = Icd9.map,
    patients: PatientsOption = None,
    fees: Annotated[Path | None, typer.Option(help="CMS's PPRRVU file as CSV.")] = None,
    fee_factor: Annotated[
        float | None, typer.Option(help="Dollars a relative value unit; default: the file's.")
    ] = None,
    base_units: Annotated[Path | None, typer.Option(help="CMS's anesthesia base units (CSV or text).")] = None,
    stay_rate: Annotated[float, typer.Option(help="Dollars for a DRG weight of 1.")] = 7000.0,
    member_rate: Annotated[float, typer.Option(help="Dollars a year for a risk score of 1.")] = 12000.0,
    anesthesia_rate: Annotated[float, typer.Option(help="Dollars an anesthesia unit.")] = 20.5,
    save_as: Annotated[Path | None, typer.Option("--out", help="Write one row a claim to this CSV file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Price claims as billed, each by its payer model, and print the vintage of every table used.

    Exits with 1 when a claim was left out.
    """
    from mithridate.claims.payment import Pricer, Rates
    from mithridate.claims.payments.anesthesia import BaseUnits
    from mithridate.claims.payments.fees import FeeSchedule
    from mithridate.files import replace_text

    if fee_factor is not None and fees is None:
        raise UserError("--fee-factor belongs to a file of fees: give it with --fees")
    pricer = Pricer(
        Rates(stay_rate, member_rate, anesthesia_rate),
        FeeSchedule.load(fees, fee_factor) if fees else FeeSchedule.fixture(),
        BaseUnits.load(base_units) if base_units else BaseUnits.fixture(),
    )
    parsed = _read(file, kind, payer_model, icd9, patients)
    prices = [pricer.price(claim) for claim in parsed.claims]
    totals = _totals(parsed, prices)
    if save_as is not None:
        replace_text(save_as, _price_table(parsed, prices))
    if as_json:
        facts = {"claims": len(prices), "payer_models": totals, "problems": _problems(parsed)}
        typer.echo(json.dumps(facts | {"vintages": dict(pricer.vintages())}, indent=2))
    else:
        _print_problems(parsed)
        _print_vintages(pricer.vintages())
        table = Table("payer model", "claims", "mean units", "dollars", "paid nothing", box=None, pad_edge=False)
        for model, facts in totals.items():
            cells = (
                f"{facts['claims']:,}",
                f"{facts['mean_units']:.4f}",
                f"{facts['amount']:,.2f}",
                f"{facts['unpaid']:,}",
            )
            table.add_row(model, *cells)
        out.print(table)
        if save_as is not None:
            out.print(f"written to {escape(str(save_as))}")
    _exit_for(parsed)


@claims_app.command(epilog="Example:  mithridate claims generate --out claims.jsonl --claims 20000 --seed 7")
def generate(
    save_as: Annotated[Path, typer.Option("--out", help="Write the claims as JSON lines; the truth goes beside it.")],
    claims: Annotated[int, typer.Option(help="Number of claims.")] = 5000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same claims.")] = 0,
    abusive_share: Annotated[float, typer.Option(help="Share of providers that abuse, 0 to 1.")] = 0.25,
    claims_a_provider: Annotated[int, typer.Option(help="Claims of each provider.")] = 40,
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day.")] = datetime(2025, 10, 1),
    end: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Last day.")] = datetime(2026, 3, 31),
    as_json: JsonOption = False,
) -> None:
    """Make a population of honest and abusive providers: no one's data, free to share."""
    from mithridate.claims.population import PopulationPlan
    from mithridate.claims.population import generate as make
    from mithridate.claims.populations.files import save_population

    plan = PopulationPlan(claims, seed, abusive_share, claims_a_provider, start.date(), end.date())
    with progress_bar() as progress:
        population = make(plan, progress)
    truth = save_population(population, save_as)
    schemes = Counter(population.schemes)
    if as_json:
        facts = {"claims": len(population), "providers": len(population.providers), "schemes": dict(schemes)}
        typer.echo(json.dumps(facts | {"out": str(save_as), "truth": str(truth)}, indent=2))
        return
    named = ", ".join(f"{count:,} {scheme}" for scheme, count in schemes.most_common())
    out.print(f"{len(population):,} claims of {len(population.providers):,} providers: {named}")
    out.print(f"written to {escape(str(save_as))}, the truth to {escape(str(truth))}")


def _read(
    file: Path, kind: str | None, payer_model: str | None, icd9: Icd9, patients: Path | None, keep_codes: bool = False
) -> Parsed:
    """The file's claims.  Raises UserError when not one of them can be used."""
    from mithridate.claims.input import ReadOptions, read_claims
    from mithridate.claims.input.diagnosis_codes import CodePolicy

    codes = CodePolicy("map" if icd9 is Icd9.map else "refuse", "keep" if keep_codes else "refuse")
    parsed = read_claims(file, ReadOptions(kind, codes, payer_model, patients))
    if not parsed.claims:
        _print_problems(parsed)
        raise UserError(
            f"{file} holds no claim that can be used: see what is named above"
            if parsed.problems
            else f"{file} holds no claims: check the file"
        )
    return parsed


def _totals(parsed: Parsed, prices: list[Price]) -> dict[str, dict[str, Any]]:
    totals: dict[str, dict[str, Any]] = {}
    for model in sorted({claim.payer_model for claim in parsed.claims}):
        paid = [found for claim, found in zip(parsed.claims, prices, strict=True) if claim.payer_model == model]
        totals[model] = {
            "claims": len(paid),
            "mean_units": sum(item.units for item in paid) / len(paid),
            "amount": sum(item.amount for item in paid),
            "unpaid": sum(item.amount == 0 for item in paid),
        }
    return totals


def _price_table(parsed: Parsed, prices: list[Price]) -> str:
    text = StringIO()
    table = csv.writer(text)
    table.writerow(("claim", "payer_model", "units", "amount", "signature"))
    for claim, paid in zip(parsed.claims, prices, strict=True):
        table.writerow((claim.id, claim.payer_model, f"{paid.units:.4f}", f"{paid.amount:.2f}", paid.signature))
    return text.getvalue()


def _problems(parsed: Parsed) -> list[dict[str, Any]]:
    return [
        {"where": item.where, "claim": item.claim, "field": item.field, "says": item.says, "kept": item.kept}
        for item in parsed.problems
    ]


def _print_problems(parsed: Parsed) -> None:
    _print_some([str(item) for item in parsed.problems], "problems", console=err)


def _print_some(lines: list[str], what: str, console: Any = out) -> None:
    for line in lines[:_SHOWN]:
        console.print(escape(line))
    if len(lines) > _SHOWN:
        console.print(f"and {len(lines) - _SHOWN:,} more {what}: --json lists all")


def _print_vintages(vintages: Any) -> None:
    for name, vintage in vintages.items():
        out.print(f"[dim]{escape(name)}: {escape(vintage)}[/]")


def _exit_for(parsed: Parsed, failed: bool = False) -> None:
    if failed or parsed.refused:
        raise typer.Exit(1)


register(claims_app)
