"""`mithridate ledger fsck` and `list`: whether a ledger holds, and what is in it."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from mithridate.cli.console import out, progress_bar
from mithridate.cli.ledger_images import Json, when
from mithridate.cli.ledger_setup import Folder

if TYPE_CHECKING:
    from mithridate.ledger.record import Record


def register(app: typer.Typer) -> None:
    """Add these commands to the group."""
    app.command(epilog="Example:  mithridate ledger fsck ledger")(fsck)
    app.command("list", epilog="Example:  mithridate ledger list ledger --begin 100 --limit 20")(list_entries)


def fsck(
    folder: Folder,
    repair: Annotated[
        bool, typer.Option("--repair-tiles", help="First write all tiles again from the database.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Hash every entry and check everything: signatures, sequences, tables, tiles, checkpoints.

    Exits with 1 when something does not hold, and names the first bad entry.
    """
    from mithridate.ledger.folder import LedgerFolder
    from mithridate.ledger.fsck import check_ledger, repair_tiles
    from mithridate.ledger.store.store import Store

    found = LedgerFolder.load(folder)
    store = Store(found.url())
    try:
        store.check()
        with progress_bar() as progress:
            if repair:
                repair_tiles(found, store, progress)
            report = check_ledger(found, store, progress)
    finally:
        store.close()
    if as_json:
        problems = [{"entry": problem.index, "message": problem.message} for problem in report.problems]
        facts = {"clean": report.is_clean, "size": report.size, "entries": report.entries, "problems": problems}
        typer.echo(json.dumps(facts, indent=2))
    elif report.is_clean:
        out.print(f"[bold green]clean[/]: all {report.size:,} entries, their tables and tiles hold")
    else:
        first = report.first_bad_index
        where = "" if first is None else f", the first at entry {first}"
        out.print(f"[bold red]NOT CLEAN[/]: {len(report.problems):,} problems in {report.size:,} entries{where}")
        for problem in report.problems[:20]:
            out.print(f"  {escape(problem.message)}")
        if len(report.problems) > 20:
            out.print("  ...; --json lists them all")
    if not report.is_clean:
        raise typer.Exit(1)


def list_entries(
    folder: Folder,
    begin: Annotated[int, typer.Option(min=0, help="First entry.")] = 0,
    limit: Annotated[int, typer.Option(min=1, help="How many, at most.")] = 50,
    as_json: Json = False,
) -> None:
    """List entries: what kind, by which device, when by its clock."""
    from mithridate.ledger.entry import read_entry
    from mithridate.ledger.log import Ledger

    with Ledger.open(folder) as ledger:
        names = {row.device: identity.name for row, identity in ledger.devices()}
        rows = [
            _facts(index, read_entry(entry)[0], names)
            for index, entry in enumerate(islice(ledger.reader().entries(begin), limit), begin)
        ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table("entry", "kind", "device", "record", "time", "what", box=None, pad_edge=False)
    for row in rows:
        table.add_row(
            str(row["entry"]), row["kind"], escape(row["device_name"]), str(row["sequence"]), when(row["time_us"]),
            escape(row["what"]),
        )  # fmt: skip
    out.print(table)


def _facts(index: int, record: Record, names: dict[bytes, str]) -> dict[str, Any]:
    return {
        "entry": index,
        "kind": record.body.kind,
        "device": record.device.hex(),
        "device_name": names.get(record.device, "?"),
        "sequence": record.sequence,
        "time_us": record.time,
        "what": _what(record),
    }


def _what(record: Record) -> str:
    from mithridate.ledger.record import Capture, Derivation, Enrolment

    body = record.body
    if isinstance(body, Capture):
        return f"{body.fingerprint.media} by {body.channel}, {body.fingerprint.file.hex()[:16]}"
    if isinstance(body, Derivation):
        return f"{body.operation} of {body.source.hex()[:16]}, {body.fingerprint.file.hex()[:16]}"
    if isinstance(body, Enrolment):
        return f"{body.identity.name}, {body.identity.device_id.hex()[:16]}"
    return f"the {body.scope} {body.target.hex()[:16]}: {body.reason}"
