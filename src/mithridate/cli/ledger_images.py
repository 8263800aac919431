"""`mithridate ledger add`, `verify`, `prove`, `check-proof`: images into the ledger, and what became of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from mithridate import __version__
from mithridate.cli.console import err, out, progress_bar
from mithridate.cli.ledger_setup import Folder, read_file
from mithridate.errors import UserError
from mithridate.files import replace_file

if TYPE_CHECKING:
    from mithridate.ledger.judgement import LogJudgement
    from mithridate.ledger.log import Ledger, Station

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")]
Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="DICOM, PNG, JPEG or TIFF files.")]

THIS_HOST = "this-host"
"""The station as which images are logged before any device was enrolled."""

_WORKERS = 8  # images in flight together share a commit; fingerprinting itself runs on one core


def register(app: typer.Typer) -> None:
    """Add these commands to the group."""
    app.command(epilog="Example:  mithridate ledger add ledger scans --station CT1")(add)
    app.command(epilog="Example:  mithridate ledger verify ledger image.dcm")(verify)
    app.command(epilog="Example:  mithridate ledger prove ledger image.dcm --out image.proof")(prove)
    app.command(
        "check-proof",
        epilog="Example:  mithridate ledger check-proof image.proof image.dcm --key hospital.example/radiology+1a2b...",
    )(check_proof)


def add(
    folder: Folder,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Images, or folders of them.")],
    station: Annotated[
        str | None, typer.Option(help="The station that captured them; needed when there are several.")
    ] = None,
    again: Annotated[bool, typer.Option(help="Log files that are logged already once more.")] = False,
    as_json: Json = False,
) -> None:
    """Log images.  Each is fingerprinted, its record signed by the station and durable before it is told.

    Files that are logged already, byte for byte, are left out, so the same command goes on where it was stopped.
    Exits with 2 when a file could not be logged; the others are.
    """
    from mithridate.ledger.log import Ledger

    paths = list(_images(files))
    with Ledger.open(folder) as ledger, progress_bar() as progress:
        signer = _station(ledger, station)
        rows = []
        with ThreadPoolExecutor(_WORKERS) as pool:
            try:
                for row in pool.map(lambda path: _add_one(ledger, path, signer, again), paths):
                    rows.append(row)
                    progress("images", len(rows), len(paths))
                    if not as_json:
                        _print_added(row)
            except KeyboardInterrupt:
                pool.shutdown(cancel_futures=True)
                raise
    failed = [row for row in rows if "error" in row]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        done = sum("entry" in row and not row["was_logged"] for row in rows)
        out.print(f"{done:,} logged, {len(rows) - done - len(failed):,} logged before, {len(failed):,} refused")
    if failed:
        raise typer.Exit(2)


def verify(
    folder: Folder,
    files: Files,
    entry: Annotated[int | None, typer.Option(min=0, help="The record to judge by, for one file.")] = None,
    as_json: Json = False,
) -> None:
    """Say what became of images since they were logged.

    An altered PNG, JPEG or TIFF file, which bears no identity, is found by its name, or by --entry if that is given.

    Exits with 0 only when every one is IDENTICAL, TRANSCODED or DERIVED.
    """
    from mithridate.ledger.log import Ledger

    if entry is not None and len(files) > 1:
        raise UserError("--entry names the record of one file: verify the others without it")
    rows, accepted = [], True
    with Ledger.open(folder) as ledger:
        for path in files:
            known_as = str(path.absolute())
            judgement = ledger.judge(read_file(path), path.name, known_as=known_as, entry=entry)
            accepted = accepted and judgement.is_accepted
            rows.append({"file": str(path), **_facts(judgement)})
            if not as_json:
                _print_judgement(path, judgement)
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    if not accepted:
        raise typer.Exit(1)


def prove(
    folder: Folder,
    file: Annotated[Path | None, typer.Argument(help="The image as it is now.")] = None,
    entry: Annotated[int | None, typer.Option(help="Instead of a file: the record's index.")] = None,
    save_as: Annotated[Path | None, typer.Option("--out", help="Default: the file's name with .proof added.")] = None,
    salt: Annotated[
        bool, typer.Option(help="With the salt, which shows patient and attributes to whoever has the image.")
    ] = True,
) -> None:
    """Write a proof bundle, which anyone can check offline with nothing but the log's key."""
    from mithridate.ledger.log import Ledger

    if (file is None) == (entry is None):
        raise UserError("name the image to prove, or its record with --entry: one of the two")
    with Ledger.open(folder) as ledger:
        if file is not None:
            judgement = ledger.judge(read_file(file), file.name)
            if judgement.index is None:
                raise UserError(f"{file} cannot be proved: {judgement.reason}")
            entry = judgement.index
            _print_judgement(file, judgement)
        bundle = ledger.prove(entry or 0, with_salt=salt).encode()
    place = save_as or (file.with_name(file.name + ".proof") if file is not None else Path(f"entry-{entry}.proof"))
    replace_file(place, lambda partial: partial.write_bytes(bundle))
    out.print(f"the proof of entry {entry} is written to {escape(str(place))}")


def check_proof(
    bundle: Annotated[Path, typer.Argument(help="A proof bundle.")],
    file: Annotated[Path, typer.Argument(help="The image.")],
    key: Annotated[str, typer.Option(help="The log's verifier key, or a file that holds it.")],
    as_json: Json = False,
) -> None:
    """Judge an image by a proof bundle, offline.

    The verdict is as of the bundle's checkpoint; what was revoked later only the log can tell.
    Exits with 0 only for IDENTICAL, TRANSCODED or DERIVED.
    """
    from mithridate.ledger.bundle import ProofBundle, judge_offline
    from mithridate.ledger.note_keys import VerifierKey

    text = Path(key).read_text(encoding="utf-8").strip() if Path(key).is_file() else key
    judgement = judge_offline(
        ProofBundle.decode(read_file(bundle)), VerifierKey.parse(text), read_file(file), file.name
    )
    if as_json:
        typer.echo(json.dumps({"file": str(file), **_facts(judgement)}, indent=2))
    else:
        _print_judgement(file, judgement)
    if not judgement.is_accepted:
        raise typer.Exit(1)


def _images(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.is_file())
        elif path.exists():
            yield path
        else:
            raise UserError(f"{path} does not exist: name an image or a folder of images")


def _station(ledger: Ledger, name: str | None) -> Station:
    names = ledger.stations()
    if name is None and not names:
        err.print(f"this host is enrolled as the station {THIS_HOST}; give devices names of their own with  enroll")
        return ledger.add_station(THIS_HOST, model="mithridate ledger add", software_version=__version__)
    if name is None and len(names) > 1:
        raise UserError(f"say which station captured the images: name one of {', '.join(names)} with --station")
    return ledger.station(name or names[0])


def _add_one(ledger: Ledger, path: Path, station: Station, again: bool) -> dict[str, Any]:
    from mithridate.ledger.fingerprint import Verdict, fingerprint_image

    try:
        fingerprint = fingerprint_image(read_file(path), path.name)
        if not again:
            former = ledger.judge_fingerprint(fingerprint)
            if former.verdict is Verdict.IDENTICAL:
                return {"file": str(path), "entry": former.index, "was_logged": True, "notices": []}
        known_as = str(path.absolute())
        receipt = ledger.capture_fingerprint(fingerprint, path.name, station=station, known_as=known_as)
    except UserError as error:
        return {"file": str(path), "error": str(error)}
    return {"file": str(path), "entry": receipt.index, "was_logged": False, "notices": list(receipt.notices)}


def _print_added(row: dict[str, Any]) -> None:
    file = escape(row["file"])
    if "error" in row:
        err.print(f"[bold red]refused[/] {file}: {escape(row['error'])}")
        return
    word = "logged before" if row["was_logged"] else "logged"
    out.print(f"[green]{word}[/] {file} as entry {row['entry']}")
    for notice in row["notices"]:
        err.print(f"[yellow]note[/] {file}: {escape(notice)}")


def _print_judgement(path: Path, judgement: LogJudgement) -> None:
    color = "green" if judgement.is_accepted else "red"
    out.print(f"[bold {color}]{judgement.verdict.value}[/]  {escape(str(path))}: {escape(judgement.reason)}")
    if judgement.index is not None and judgement.time is not None and judgement.device is not None:
        stated = when(judgement.time)
        out.print(f"  record: entry {judgement.index}, device {judgement.device.hex()[:16]}, {stated} by its clock")
    for other in judgement.others:
        attributes = ", ".join(other.attributes)
        err.print(
            f"[yellow]note[/] entry {other.index} holds the same pixels under another {escape(attributes)}, by the "
            f"device {other.device.hex()[:16]}"
        )


def when(time: int) -> str:
    """Microseconds since 1970 as a date; what no calendar reaches is given as it is."""
    try:
        return datetime.fromtimestamp(time / 1e6, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return f"{time} us after 1970"


def _facts(judgement: LogJudgement) -> dict[str, Any]:
    return {
        "verdict": judgement.verdict.value,
        "accepted": judgement.is_accepted,
        "attributes": list(judgement.attributes),
        "reason": judgement.reason,
        "entry": judgement.index,
        "device": judgement.device.hex() if judgement.device else None,
        "time_us": judgement.time,
        "other_identities": [
            {"entry": other.index, "device": other.device.hex(), "attributes": list(other.attributes)}
            for other in judgement.others
        ],
    }
