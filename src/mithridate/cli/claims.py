"""`mithridate claims`: read a file of claims, check it against the rules, price it, or make a population."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mithridate.cli import claims_audit
from mithridate.cli.claims_files import (
    FileArgument,
    FormatOption,
    Icd9,
    Icd9Option,
    JsonOption,
    ModelOption,
    PatientsOption,
    exit_for,
    print_problems,
    print_some,
    print_vintages,
    problems_of,
    read_file,
)
from mithridate.cli.claims_price import price
from mithridate.cli.console import out, progress_bar

claims_app = typer.Typer(
    help="Claims: what is billed, which rules it breaks, what it pays, and how far that can be gamed.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


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

    parsed = read_file(file, kind, payer_model, icd9, patients)
    if save_as is not None:
        write_claims(save_as, parsed.claims)
    counts = Counter(claim.payer_model for claim in parsed.claims)
    if as_json:
        facts = {"claims": len(parsed.claims), "payer_models": dict(counts), "problems": problems_of(parsed)}
        typer.echo(json.dumps(facts | {"out": str(save_as) if save_as else None}, indent=2))
    else:
        print_problems(parsed)
        named = ", ".join(f"{count:,} {model}" for model, count in sorted(counts.items())) or "none"
        out.print(f"{len(parsed.claims):,} claims read ({named}), {len(parsed.refused):,} left out")
        if save_as is not None:
            out.print(f"written to {escape(str(save_as))}")
    exit_for(parsed)


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
    parsed = read_file(file, kind, payer_model, icd9, patients, keep_codes=True)
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
        typer.echo(json.dumps(facts | {"problems": problems_of(parsed), "vintages": rules.vintages()}, indent=2))
    else:
        print_problems(parsed)
        print_vintages(rules.vintages())
        lines = [f"{claim}: {item.message}" for claim, found in broken.items() for item in found]
        print_some(lines, "broken rules")
        table = Table("reason", "claims' items", "denied at once", "says", box=None, pad_edge=False)
        for reason, count in counts.most_common():
            table.add_row(reason, f"{count:,}", "yes" if REASONS[reason].hard else "no", REASONS[reason].says)
        if counts:
            out.print(table)
        out.print(f"{len(broken):,} claims, {denied:,} with a hard rule broken")
    exit_for(parsed, failed=denied > 0)


claims_app.command(epilog="Example:  mithridate claims price claims.jsonl --fees PPRRVU26_JAN.csv --out prices.csv")(
    price
)


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


claims_audit.register(claims_app)
