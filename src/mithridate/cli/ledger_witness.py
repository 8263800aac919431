"""`mithridate ledger witness`, `cosign`, `mirror`, `timestamp`: what others hold against a ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from mithridate.cli.console import err, out, progress_bar
from mithridate.cli.ledger_investigate import register as register_investigate
from mithridate.errors import UserError

if TYPE_CHECKING:
    from mithridate.ledger.quorum import PublicKey

witness_app = typer.Typer(
    help="A witness: co-signs the one history of a log that it has seen, so that nobody can be shown another.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

_WitnessFolder = Annotated[Path, typer.Argument(metavar="WITNESS", help="The witness's folder.", show_default=False)]
_LedgerFolder = Annotated[Path, typer.Argument(metavar="DIR", help="The ledger's folder.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands to `mithridate ledger`."""
    app.add_typer(witness_app, name="witness")
    app.command(epilog="Example:  mithridate ledger cosign hospital --policy trust.policy")(cosign)
    app.command(
        epilog="Example:  mithridate ledger mirror https://log.example/tiles copy --key hospital.example/ct+1a2b..."
    )(mirror)
    app.command(
        epilog="Example:  mithridate ledger timestamp hospital --authority https://tsa.example --root tsa-root.pem"
    )(timestamp)
    register_investigate(app)


@witness_app.command(
    "init", epilog="Example:  mithridate ledger witness init w1 --name witness.example/w1 --watch hospital.example+..."
)
def witness_init(
    folder: _WitnessFolder,
    name: Annotated[str, typer.Option(help="The witness's name in its signatures, without spaces: host/name.")],
    watch: Annotated[list[str] | None, typer.Option(help="Verifier key of a log to watch; repeat for more.")] = None,
    key: Annotated[
        str | None, typer.Option(help="PKCS #11 URI of its key.  [default: a new file]", show_default=False)
    ] = None,
    post_quantum: Annotated[bool, typer.Option(help="Sign with an ML-DSA-44 key as well.")] = False,
) -> None:
    """Set up a witness and print the keys by which its signatures are checked.

    Its state.sqlite must never be copied back from a backup: a witness that forgets can be led to sign two histories.
    """
    from mithridate.ledger.witness.folder import create_witness, watch_log

    witness = create_witness(folder, name, key=key, post_quantum=post_quantum)
    for log in watch or ():
        watch_log(folder, log)
    _print_keys(witness.verifiers)
    if not watch:
        out.print(f"next: name a log to watch, with  mithridate ledger witness watch {escape(str(folder))} KEY")


@witness_app.command("watch", epilog="Example:  mithridate ledger witness watch w1 hospital.example/radiology+1a2b...")
def witness_watch(
    folder: _WitnessFolder,
    key: Annotated[str, typer.Argument(help="The log's verifier key.", show_default=False)],
    url: Annotated[str | None, typer.Option(help="Where the log's tiles are, for a note.")] = None,
) -> None:
    """Watch another log; a running witness takes it up when it is started again."""
    from mithridate.ledger.witness.folder import watch_log

    watch_log(folder, key, url)
    out.print(f"{escape(str(folder))} watches {escape(key.partition('+')[0])}")


@witness_app.command("show", epilog="Example:  mithridate ledger witness show w1")
def witness_show(folder: _WitnessFolder) -> None:
    """Print a witness's keys and logs, and the proofs of logs that showed it two histories."""
    from mithridate.ledger.witness.folder import open_witness, read_logs

    witness = open_witness(folder)
    _print_keys(witness.verifiers)
    for log in read_logs(folder).logs:
        out.print(f"watches {escape(str(log.key))}")
    for conflict in witness.conflicts():
        err.print(f"[bold red]two histories[/] of {escape(conflict.origin)} at {conflict.size:,} entries:")
        out.print(conflict.cosigned.decode(), conflict.seen.decode(), sep="\n", markup=False)


@witness_app.command("serve", epilog="Example:  mithridate ledger witness serve w1 --port 8090")
def witness_serve(
    folder: _WitnessFolder,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 picks one.")] = 8090,
    tls_certificate: Annotated[Path | None, typer.Option(help="Serve over TLS with this certificate (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key (PEM).")] = None,
) -> None:
    """Answer logs that ask for cosignatures (C2SP tlog-witness).  Runs until Ctrl-C or SIGTERM."""
    from mithridate.ledger.witness.folder import open_witness
    from mithridate.ledger.witness.server import serve_witness

    if (tls_certificate is None) != (tls_key is None):
        raise UserError("TLS needs both --tls-certificate and --tls-key")
    for path in (tls_certificate, tls_key):
        if path is not None and not path.is_file():
            raise UserError(f"{path} is not there: name a PEM file")
    witness = open_witness(folder)
    if not witness.origins:
        raise UserError(f"{folder} watches no log: name one with  mithridate ledger witness watch {folder} KEY")
    serve_witness(
        witness,
        host=host,
        port=port,
        certificate=str(tls_certificate) if tls_certificate else None,
        key=str(tls_key) if tls_key else None,
    )


def cosign(
    folder: _LedgerFolder,
    policy: Annotated[Path, typer.Option(help="Policy with the witnesses' keys and addresses.", show_default=False)],
) -> None:
    """Have the ledger's last checkpoint cosigned by the witnesses of a policy, and publish it with their signatures.

    Exits with 2 when too few of them sign.  Run it from a timer, every few minutes.
    """
    from mithridate.ledger.log import Ledger
    from mithridate.ledger.quorum import load_policy
    from mithridate.ledger.witness.collect import endorse_ledger

    trust = load_policy(policy)
    with Ledger.open(folder) as ledger:
        collected = endorse_ledger(ledger, trust)
    for name, failure in collected.failures.items():
        err.print(f"[yellow]{escape(name)}[/]: {escape(str(failure))}")
    out.print(f"cosigned by {escape(', '.join(collected.cosigned))}")


def mirror(
    source: Annotated[str, typer.Argument(help="Address or folder of the log's tiles.", show_default=False)],
    folder: Annotated[Path, typer.Argument(help="The copy.", show_default=False)],
    key: Annotated[
        list[str], typer.Option(help="The log's verifier key, or a file that holds it; repeat for several.")
    ],
) -> None:
    """Copy a log, or bring a copy up to date, and check everything on the way.

    Goes on where it was stopped.  Exits with 2, and keeps both checkpoints in evidence/ of the copy, when the log was
    rolled back or shows another history than before.
    """
    from mithridate.ledger.mirror import mirror_log, url_source
    from mithridate.ledger.tile_reader import folder_source
    from mithridate.ledger.witness.web import Web

    keys = _keys(key)
    with progress_bar() as progress:
        if "://" in source:
            with Web(source) as web:
                done = mirror_log(url_source(web), folder, keys, progress=progress)
        else:
            done = mirror_log(folder_source(Path(source)), folder, keys, progress=progress)
    out.print(f"{escape(done.origin)}: {done.size:,} entries, {done.size - done.former:,} of them new")
    out.print(f"root {done.root.hex()}")


def timestamp(
    folder: _LedgerFolder,
    root: Annotated[Path, typer.Option(help="Certificates under which the authority is believed (PEM).")],
    authority: Annotated[
        str | None, typer.Option(help="Address of the authority.  [default: check the stamp there is]")
    ] = None,
) -> None:
    """Have the ledger's last checkpoint stamped by an RFC 3161 authority, or check the stamp that it has."""
    from mithridate.ledger.log import Ledger
    from mithridate.ledger.timestamp import check_stamp, load_certificates, stamp_checkpoint

    roots = load_certificates(root)
    with Ledger.open(folder) as ledger:
        if authority is not None:
            note = ledger.checkpoint()
            ledger.endorse(note, timestamp=stamp_checkpoint(note, authority, roots))
        bundle = ledger.prove(0, with_salt=False)
    if bundle.timestamp is None:
        raise UserError(f"the last checkpoint of {folder} has no time stamp: name an authority with --authority")
    stamp = check_stamp(bundle.checkpoint, bundle.timestamp, roots)
    accuracy = f", give or take {stamp.accuracy:g} s" if stamp.accuracy is not None else ""
    out.print(f"{stamp.time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC{accuracy}, by {escape(stamp.authority)}")


def _print_keys(keys: Sequence[PublicKey]) -> None:
    for key in keys:
        out.print(f"verifier key: {escape(str(key))}")


def _keys(texts: Sequence[str]) -> list[PublicKey]:
    from mithridate.ledger.mldsa import parse_verifier

    return [parse_verifier(_content(text)) for text in texts]


def _content(text: str) -> str:
    """The text itself, or what the file of that name holds."""
    if "+" in text or not Path(text).is_file():
        return text
    return Path(text).read_text(encoding="utf-8").strip()
