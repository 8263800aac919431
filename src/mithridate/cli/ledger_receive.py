"""`mithridate ledger receive` and `mithridate ledger watch`: doors through which images come into a ledger."""

from __future__ import annotations

import logging
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from mithridate.cli.console import out
from mithridate.errors import MissingExtra, UserError

if TYPE_CHECKING:
    import ssl

    from mithridate.ledger.log import Ledger
    from mithridate.ledger.receipt import Receipt
    from mithridate.ledger.receive.intake import Arrival
    from mithridate.ledger.receive.refusal import Refused
    from mithridate.ledger.receive.spool import Spool
    from mithridate.ledger.station import Station

_Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The ledger's folder.", show_default=False)]
_StationName = Annotated[
    str | None,
    typer.Option("--station", help="Who signs for what comes in.  [default: the only station]", show_default=False),
]
_Quiet = Annotated[bool, typer.Option("--quiet", help="Write of refusals and troubles only, not of every image.")]
_Host = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")]
_Port = Annotated[int, typer.Option(min=0, max=65535, help="Port for DICOM; 0 picks one.")]
_Title = Annotated[str, typer.Option(help="AE title to be called by.")]
_Allowed = Annotated[
    list[str] | None, typer.Option(help="AE title that may send; repeat for more.  [default: everyone]")
]
_Strict = Annotated[bool, typer.Option(help="Refuse senders that call another AE title.")]
_Forward = Annotated[str | None, typer.Option(help="Send on what is logged, to TITLE@HOST:PORT.", show_default=False)]
_Keep = Annotated[bool, typer.Option(help="Keep what is logged, in kept/ of the spool.")]
_SpoolFolder = Annotated[
    Path | None, typer.Option(help="Where objects wait.  [default: spool in DIR]", show_default=False)
]
_Quarantine = Annotated[bool, typer.Option(help="Keep what is refused, in quarantine of DIR, with the reason.")]
_Certificate = Annotated[Path | None, typer.Option(help="Receive over TLS with this certificate (PEM).")]
_Key = Annotated[Path | None, typer.Option(help="Its private key (PEM).")]
_Clients = Annotated[Path | None, typer.Option(help="Only senders with a certificate signed by these.")]
_ForwardTls = Annotated[
    Path | None, typer.Option(help="Forward over TLS to a PACS with a certificate signed by these.")
]
_StowPort = Annotated[int | None, typer.Option(min=0, max=65535, help="Port for STOW-RS as well.")]
_Associations = Annotated[int, typer.Option(min=1, help="Senders at the same time.")]
_ObjectMib = Annotated[int, typer.Option(min=1, help="Largest object in MiB.")]
_MemoryMib = Annotated[int, typer.Option(min=64, help="Memory for objects at work in MiB; more of them wait.")]
_Idle = Annotated[float, typer.Option(min=1, help="Seconds without a byte before a sender is cut off.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `mithridate ledger`."""
    app.command(epilog="Example:  mithridate ledger receive hospital --port 11112 --forward PACS@192.0.2.7:104")(
        receive
    )
    app.command(epilog="Example:  mithridate ledger watch hospital /srv/images --move-to /srv/logged")(watch)


def receive(
    folder: _Folder,
    station: _StationName = None,
    host: _Host = "127.0.0.1",
    port: _Port = 11112,
    ae_title: _Title = "MITHRIDATE",
    allow: _Allowed = None,
    strict_title: _Strict = False,
    forward: _Forward = None,
    keep: _Keep = False,
    spool: _SpoolFolder = None,
    quarantine: _Quarantine = True,
    tls_certificate: _Certificate = None,
    tls_key: _Key = None,
    tls_clients: _Clients = None,
    forward_tls: _ForwardTls = None,
    stow_port: _StowPort = None,
    associations: _Associations = 64,
    object_mib: _ObjectMib = 1024,
    memory_mib: _MemoryMib = 4096,
    idle: _Idle = 60,
    quiet: _Quiet = False,
) -> None:
    """Receive images by DICOM C-STORE and log them before the sender hears Success.

    Runs until Ctrl-C or SIGTERM; what a kill leaves behind is settled at the next start.
    """
    try:
        from mithridate.ledger.receive.dicom import DicomReceiver, server_tls
        from mithridate.ledger.receive.forward import Destination, Forwarder
    except ModuleNotFoundError as error:
        if error.name != "pynetdicom":
            raise
        raise MissingExtra("the DICOM receiver", "receive") from None
    from mithridate.ledger.log import Ledger
    from mithridate.ledger.receive.intake import Intake
    from mithridate.ledger.receive.limits import ReceiveLimits
    from mithridate.ledger.receive.quarantine import Quarantine

    limits = ReceiveLimits(
        object_bytes=object_mib << 20, memory_bytes=memory_mib << 20, associations=associations, idle_seconds=idle
    )
    _check_tls(tls_certificate, tls_key, tls_clients)
    tls = server_tls(tls_certificate, tls_key, tls_clients) if tls_certificate and tls_key else None
    client = _client_tls(forward_tls, tls_certificate, tls_key) if forward_tls is not None else None
    destination = Destination.parse(forward, calling=ae_title, tls=client) if forward is not None else None
    tally = _Tally()
    with _until_told_to_stop() as stop, ExitStack() as opened:
        ledger = opened.enter_context(Ledger.open(folder))
        signer = _station(ledger, station)
        waiting = _spool(spool or folder / "spool", is_forwarding=destination is not None, keep=keep)
        forwarder = Forwarder(waiting, destination) if waiting is not None and destination is not None else None
        kept_back = Quarantine(folder / "quarantine", limits.quarantine_bytes) if quarantine else None
        wake = forwarder.wake if forwarder is not None else None
        intake = Intake(
            ledger, signer, limits=limits, spool=waiting, quarantine=kept_back, observer=tally.count, on_spooled=wake
        )
        receiver = DicomReceiver(
            intake, address=host, port=port, ae_title=ae_title, calling=allow or (), strict_called=strict_title, tls=tls
        )
        _log_to_stderr(quiet)
        intake.recover()
        if forwarder is not None:
            opened.enter_context(forwarder)
        opened.enter_context(receiver)
        if stow_port is not None:
            opened.enter_context(_stow(intake, host, stow_port, tls_certificate, tls_key))
        onward = f", on to {destination}" if destination is not None else ""
        where = f"{host} port {receiver.port} as {ae_title}"
        out.print(escape(f"receiving on {where}, signed by {signer.identity.name}{onward}; Ctrl-C ends"))
        stop.wait()
    out.print(tally.summary())


def watch(
    folder: _Folder,
    images: Annotated[Path, typer.Argument(help="The folder that images are put into.", show_default=False)],
    station: _StationName = None,
    move_to: Annotated[
        Path | None, typer.Option(help="Move logged files there.  [default: leave them]", show_default=False)
    ] = None,
    journal: Annotated[
        Path | None, typer.Option(help="What is done already.  [default: watch.jsonl in DIR]", show_default=False)
    ] = None,
    interval: Annotated[float, typer.Option(min=0.05, help="Seconds between two looks.")] = 2.0,
    settle: Annotated[float, typer.Option(min=0.0, help="Seconds that a file must stay the same.")] = 2.0,
    quiet: _Quiet = False,
) -> None:
    """Log the images in a folder, and those that are put there later, once each.

    DICOM, PNG, JPEG and TIFF.  Files that cannot be logged stay where they are and are named.
    Runs until Ctrl-C or SIGTERM; the same command goes on where it was.
    """
    from mithridate.ledger.log import Ledger
    from mithridate.ledger.receive.intake import Intake
    from mithridate.ledger.receive.watch import Watcher

    tally = _Tally()
    with _until_told_to_stop() as stop, Ledger.open(folder) as ledger:
        intake = Intake(ledger, _station(ledger, station), observer=tally.count)
        watcher = Watcher(
            intake, images, journal or folder / "watch.jsonl", move_to=move_to, interval=interval, settle_seconds=settle
        )
        _log_to_stderr(quiet)
        failures: list[Exception] = []

        def run() -> None:
            try:
                watcher.run()
            except Exception as error:
                failures.append(error)
                stop.set()

        thread = threading.Thread(target=run, name="watcher")
        thread.start()
        out.print(f"watching {escape(str(images))}, signed by {escape(intake.station.identity.name)}; Ctrl-C ends")
        stop.wait()
        watcher.stop()
        thread.join()
    if failures:
        raise failures[0]
    out.print(tally.summary())


class _Tally:
    """Counts what became of the objects, for the last line."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def count(self, _: Arrival, outcome: Receipt | Refused) -> None:
        with self._lock:
            self._counts["refused" if isinstance(outcome, Exception) else "logged"] += 1

    def summary(self) -> str:
        return f"{self._counts['logged']:,} logged, {self._counts['refused']:,} refused"


def _station(ledger: Ledger, name: str | None) -> Station:
    names = ledger.stations()
    if name is None and len(names) != 1:
        none = "there is none yet, so enroll one with  mithridate ledger enroll DIR NAME"
        listed = f"one of {', '.join(names)}" if names else none
        raise UserError(f"say with --station who signs for what comes in: {listed}")
    return ledger.station(name or names[0])


@contextmanager
def _until_told_to_stop() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set, so that what is at work is finished first."""
    stop = threading.Event()
    former = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def _stow(intake: Any, host: str, port: int, certificate: Path | None, key: Path | None) -> Iterator[None]:
    """STOW-RS on a thread of its own."""
    try:
        import uvicorn

        from mithridate.ledger.receive.stow import stow_app
    except ModuleNotFoundError as error:
        raise MissingExtra("STOW-RS", "service") from error
    config = uvicorn.Config(
        stow_app(intake), host=host, port=port, log_level="warning", ssl_certfile=certificate, ssl_keyfile=key
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="stow", daemon=True)  # off the main thread it takes no signals
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.02)
    if not thread.is_alive():
        raise UserError(f"STOW-RS cannot listen on {host} port {port}: name another")
    bound = server.servers[0].sockets[0].getsockname()[1]
    out.print(f"STOW-RS on http{'s' if certificate else ''}://{host}:{bound}/studies")
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


def _spool(folder: Path, *, is_forwarding: bool, keep: bool) -> Spool | None:
    """Where objects lie on disk, None when they need not."""
    from mithridate.ledger.receive.spool import Spool

    return Spool(folder, forward=is_forwarding, keep=keep) if keep or is_forwarding else None


def _check_tls(certificate: Path | None, key: Path | None, clients: Path | None) -> None:
    if (certificate is None) != (key is None) or (clients is not None and certificate is None):
        raise UserError("TLS needs both --tls-certificate and --tls-key")


def _client_tls(authorities: Path, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    import ssl

    try:
        context = ssl.create_default_context(cafile=str(authorities))
        if certificate is not None:
            context.load_cert_chain(certificate, key)
    except OSError as error:
        raise UserError(f"{authorities} holds no certificates to check the PACS by ({error})") from error
    return context


def _log_to_stderr(quiet: bool) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log = logging.getLogger("mithridate.ledger")
    log.setLevel(logging.WARNING if quiet else logging.INFO)
    log.addHandler(handler)
