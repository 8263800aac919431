"""`mithridate ledger init`, `enroll`, `rotate`, `revoke`, `show`: a ledger and who may write to it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mithridate.cli.console import out
from mithridate.errors import UserError

if TYPE_CHECKING:
    from mithridate.ledger.log import Ledger

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the ledger.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the group."""
    app.command(epilog="Example:  mithridate ledger init ledger --origin hospital.example/radiology")(init)
    app.command(epilog="Example:  mithridate ledger enroll ledger CT1 --manufacturer Maker --model Scan --serial 0042")(
        enroll
    )
    app.command(epilog="Example:  mithridate ledger rotate ledger CT1 --software-version 2.1")(rotate)
    app.command(epilog="Example:  mithridate ledger revoke ledger --entry 17 --reason 'wrong patient at the console'")(
        revoke
    )
    app.command(epilog="Example:  mithridate ledger show ledger")(show)
    app.command(epilog="Example:  mithridate ledger upgrade ledger")(upgrade)


def init(
    folder: Folder,
    origin: Annotated[
        str | None,
        typer.Option(help="The log's name in its checkpoints, without spaces: host/name.  [default: local/DIR]"),
    ] = None,
    database: Annotated[
        str | None, typer.Option(help="postgresql://USER@HOST/NAME. Default: SQLite in the folder.")
    ] = None,
) -> None:
    """Make a ledger: its keys, its database, and the operator, who enrolls and revokes.

    Back up the folder's keys at once: they cannot be made again.
    """
    from mithridate.ledger.log import Ledger

    with Ledger.create(folder, origin=origin or _local_origin(folder), database=database) as ledger:
        out.print(f"[bold green]made[/] the ledger {escape(ledger.origin)} in {escape(str(folder))}")
        out.print(f"verifier key: {escape(str(ledger.verifier()))}")
    out.print(f"next: enroll who captures, with  mithridate ledger enroll {escape(str(folder))} NAME")


def _local_origin(folder: Path) -> str:
    return f"local/{re.sub(r'[^A-Za-z0-9._-]+', '-', folder.absolute().name).strip('-') or 'ledger'}"


def enroll(
    folder: Folder,
    name: Annotated[str | None, typer.Argument(help="Name of a new station of this host, such as an AE title.")] = None,
    manufacturer: Annotated[str, typer.Option(help="Who made the device.")] = "",
    model: Annotated[str, typer.Option(help="The device's model.")] = "",
    serial: Annotated[str, typer.Option(help="The device's serial number.")] = "",
    software_version: Annotated[str, typer.Option(help="Its software version, firmware included.")] = "",
    entry: Annotated[
        Path | None, typer.Option(help="Instead of a name: the signed enrolment of a device that keeps its own key.")
    ] = None,
) -> None:
    """Enroll a station that this host signs for, or a device that signs for itself."""
    from mithridate.ledger.log import Ledger

    if (name is None) == (entry is None):
        raise UserError("name a station to enroll, or give the enrolment of a device with --entry: one of the two")
    with Ledger.open(folder) as ledger:
        if entry is not None:
            receipt = ledger.enroll(read_file(entry))
            out.print(f"[bold green]enrolled[/] by entry {receipt.index}")
        elif name is not None:
            station = ledger.add_station(
                name, manufacturer=manufacturer, model=model, serial_number=serial, software_version=software_version
            )
            out.print(f"[bold green]enrolled[/] {escape(name)} as {station.device_id.hex()}")


def rotate(
    folder: Folder,
    name: Annotated[str, typer.Argument(help="The station.")],
    software_version: Annotated[str | None, typer.Option(help="Its new software version, if that changed.")] = None,
) -> None:
    """Give a station a new key; the former one counts no more for what is logged from now on."""
    from mithridate.ledger.log import Ledger

    with Ledger.open(folder) as ledger:
        station = ledger.rotate_station(name, software_version=software_version)
    out.print(f"[bold green]rotated[/] {escape(name)}, which is now {station.device_id.hex()}")


def revoke(
    folder: Folder,
    reason: Annotated[str, typer.Option(help="Why, in a sentence; it is public.")],
    device: Annotated[str | None, typer.Option(help="A device: its name, or the beginning of its ID.")] = None,
    entry: Annotated[int | None, typer.Option(help="A record, by its index.")] = None,
) -> None:
    """Revoke a device, from now on, or one record."""
    from mithridate.ledger.log import Ledger

    with Ledger.open(folder) as ledger:
        if device is not None and entry is None:
            receipt = ledger.revoke("device", _device(ledger, device), reason)
        elif entry is not None and device is None:
            if not 0 <= entry < ledger.size:
                raise UserError(f"the log of {ledger.size} entries has no entry {entry}: entries are counted from 0")
            receipt = ledger.revoke("record", ledger.reader().leaf(entry), reason)
        else:
            raise UserError("say what to revoke: --device NAME or --entry INDEX, one of the two")
    out.print(f"[bold green]revoked[/] by entry {receipt.index}")


def show(
    folder: Folder,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")] = False,
) -> None:
    """Show what a ledger is: its size, its key, who may write to it."""
    from mithridate.ledger.log import Ledger

    with Ledger.open(folder) as ledger:
        checkpoint = ledger.checkpoint().decode()
        devices = ledger.devices()
        facts = {
            "origin": ledger.origin,
            "size": ledger.size,
            "verifier_key": str(ledger.verifier()),
            "checkpoint": checkpoint,
            "devices": [
                {
                    "name": identity.name,
                    "id": row.device.hex(),
                    "enrolled": row.enrolled,
                    "revoked": row.revoked,
                    "records": row.following,
                    "signed_here": identity.name in ledger.stations(),
                }
                for row, identity in devices
            ],
        }
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    out.print(f"[bold]{escape(str(facts['origin']))}[/]: {facts['size']:,} entries")
    out.print(f"verifier key: {escape(str(facts['verifier_key']))}")
    table = Table("device", "ID", "enrolled by", "revoked by", "records", box=None, pad_edge=False)
    for row, identity in devices:
        revoked = "" if row.revoked is None else f"entry {row.revoked}"
        table.add_row(
            escape(identity.name), row.device.hex()[:16], f"entry {row.enrolled}", revoked, f"{row.following:,}"
        )
    out.print(table)


def upgrade(folder: Folder) -> None:
    """Bring the database of an older program to this program's form.  Back it up first."""
    from mithridate.ledger.folder import LedgerFolder
    from mithridate.ledger.store.schema import REVISION
    from mithridate.ledger.store.store import Store

    store = Store(LedgerFolder.load(folder).url())
    try:
        store.upgrade()
    finally:
        store.close()
    out.print(f"[bold green]done[/]: the database is of the form {REVISION}")


def _device(ledger: Ledger, name: str) -> bytes:
    """The device of a name or of the beginning of an ID; devices revoked before do not count."""
    found = [
        row.device
        for row, identity in ledger.devices()
        if row.revoked is None and (identity.name == name or (len(name) >= 8 and row.device.hex().startswith(name)))
    ]
    if len(found) != 1:
        known = ", ".join(f"{identity.name} ({row.device.hex()[:16]})" for row, identity in ledger.devices())
        raise UserError(f"{len(found)} devices that count are called {name!r}: name one by its ID, of {known}")
    return found[0]


def read_file(path: Path) -> bytes:
    """The file's content.  Raises UserError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
