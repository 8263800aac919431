"""`mithridate ledger investigate`: what became of the images of a case."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from mithridate.cli.console import out, progress_bar
from mithridate.errors import UserError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


def register(app: typer.Typer) -> None:
    """Add the command to `mithridate ledger`."""
    app.command(
        epilog="Example:  mithridate ledger investigate hospital found/ --originals archive/ --patient 4711 --out case"
    )(investigate)


def investigate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The ledger's folder.", show_default=False)],
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="Images as they were found, or folders of them.")
    ] = None,
    save_as: Annotated[Path, typer.Option("--out", help="Folder for the report, the findings and the proofs.")] = Path(
        "investigation"
    ),
    originals: Annotated[
        list[Path] | None, typer.Option(help="Where images as captured may lie: an archive, a receiver's spool.")
    ] = None,
    patient: Annotated[str | None, typer.Option(help="Only records of this PatientID.")] = None,
    accession: Annotated[str | None, typer.Option(help="Only records of this AccessionNumber.")] = None,
    sop: Annotated[str | None, typer.Option(help="Only records of this SOPInstanceUID.")] = None,
    begin: Annotated[
        str | None, typer.Option("--from", help="Only records from this time on: 2026-05-01 or 2026-05-01T08:30 (UTC).")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Only records up to this time; a day counts whole.")] = None,
    made: Annotated[
        list[str] | None, typer.Option(help="What a device says it has made: NAME=COUNT; repeat for more.")
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Certificates under which a time stamp is believed (PEM).")] = None,
    show_identity: Annotated[
        bool, typer.Option(help="Show names and numbers of patients, not only what changed.")
    ] = False,
    open_page: Annotated[bool, typer.Option("--open", help="Open the report in the browser.")] = False,
) -> None:
    """Find out what became of images: which were altered after capture, where, and by which road they came.

    Writes a page, the findings as JSON, and proofs that anyone can check offline.  Exits with 1 when an image is not
    as captured or a record is missing.
    """
    from mithridate.ledger.investigate import Case
    from mithridate.ledger.investigate import investigate as run
    from mithridate.ledger.log import Ledger
    from mithridate.ledger.timestamp import load_certificates
    from mithridate.report.investigation import write_investigation
    from mithridate.report.investigation_words import lead

    case = Case(patient, accession, sop, _moment(begin, "--from"), _moment(end, "--to", whole_day=True))
    roots: Sequence[Certificate] = load_certificates(root) if root is not None else ()
    with Ledger.open(folder) as ledger, progress_bar() as progress:
        found = run(
            ledger,
            case,
            files or (),
            originals=originals or (),
            stated=_counts(made or ()),
            roots=roots,
            with_identity=show_identity,
            progress=progress,
        )
    page = write_investigation(found, save_as)
    out.print(escape(lead(found)))
    out.print(f"report: {escape(str(page))}")
    if open_page:
        webbrowser.open(page.resolve().as_uri())
    if found.missing or found.absent or not all(image.is_accepted for image in found.images):
        raise typer.Exit(1)


def _moment(text: str | None, option: str, *, whole_day: bool = False) -> int | None:
    """Microseconds since 1970 of a day or a time; a time without a zone is UTC."""
    if text is None:
        return None
    try:
        if len(text) == 10:
            day = datetime.combine(date.fromisoformat(text), time(), UTC)
            moment = day + timedelta(days=1) if whole_day else day
        else:
            moment = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(f"{option} {text!r} is no time: write it as 2026-05-01 or 2026-05-01T08:30") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000)


def _counts(texts: Sequence[str]) -> dict[str, int]:
    counts = {}
    for text in texts:
        name, _, count = text.rpartition("=")
        if not name or not count.isdecimal():
            raise UserError(f"--made {text!r} is not of the form NAME=COUNT")
        counts[name] = int(count)
    return counts
