"""`mithridate ledger serve`, `gate` and `api-key`: the HTTP service, the gate as a proxy, and who may use them."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.logging import RichHandler
from rich.markup import escape
from rich.table import Table

from mithridate.cli.console import err, out
from mithridate.errors import MissingExtra, UserError

if TYPE_CHECKING:
    from mithridate.ledger.service.credentials import Credentials

api_key_app = typer.Typer(help="Who may use the service: API keys and client certificates.", no_args_is_help=True)

_Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The ledger's folder.", show_default=False)]
_Config = Annotated[Path | None, typer.Option("--config", help="Settings, a YAML file; see the manual.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file to `mithridate ledger`."""
    app.command(epilog="Example:  mithridate ledger serve hospital --port 8470")(serve)
    app.command(epilog="Example:  mithridate ledger gate gate.yaml")(gate)
    app.add_typer(api_key_app, name="api-key")


def serve(
    folder: _Folder,
    config: _Config = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.  [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port, 0 for any free one.  [default: 8470]")] = None,
    certificate: Annotated[Path | None, typer.Option(help="TLS certificate, PEM.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
    station: Annotated[str | None, typer.Option(help="Station that signs for images sent by DICOMweb.")] = None,
) -> None:
    """Serve a ledger over HTTP: submit, verify, prove, tiles, DICOMweb, health, metrics.

    Without a certificate only this machine can reach it.  Ctrl-C or SIGTERM ends it in order.
    """
    _need_service()
    from mithridate.ledger.log import Ledger
    from mithridate.ledger.service.app import create_app
    from mithridate.ledger.service.context import Context
    from mithridate.ledger.service.credentials import FILE_NAME, Credentials
    from mithridate.ledger.service.server import address_of, listen, make_server, run
    from mithridate.ledger.service.settings import load_settings

    given = {"host": host, "port": port, "certificate": certificate, "key": key, "station": station}
    settings = load_settings(config, **{name: value for name, value in given.items() if value is not None})
    _log_to_terminal()
    credentials = Credentials(settings.credentials or folder / FILE_NAME)
    trail = settings.open_trail()
    try:
        with Ledger.open(folder) as ledger:
            server = make_server(create_app(Context(ledger, settings, credentials, trail)), settings)
            listener = listen(settings)
            out.print(f"{escape(ledger.origin)} at {address_of(listener, settings)}")
            if not credentials.list():
                err.print(
                    f"nobody may use it yet: mithridate ledger api-key create {escape(str(folder))} NAME --role ..."
                )
            run(server, listener)
    finally:
        trail.close()


def gate(
    config: Annotated[Path, typer.Argument(metavar="SETTINGS", help="A YAML file; see the manual.")],
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port, 0 for any free one.")] = None,
) -> None:
    """Stand before a model: admit only images that the ledger vouches for, and hand it those.

    The model's answer comes back with the verdict in its headers; any other image is refused with the reason.
    """
    _need_service()
    from mithridate.ledger.gate.proxy_settings import load_proxy_settings
    from mithridate.ledger.gate.running import opened_proxy
    from mithridate.ledger.service.server import address_of, listen, make_server, run

    given = {"host": host, "port": port}
    settings = load_proxy_settings(config, **{name: value for name, value in given.items() if value is not None})
    _log_to_terminal()
    with opened_proxy(settings) as app:
        server = make_server(app, settings)
        listener = listen(settings)
        out.print(f"gate at {address_of(listener, settings)}{escape(settings.path)} before {escape(settings.model)}")
        run(server, listener)


@api_key_app.command(epilog="Example:  mithridate ledger api-key create hospital ct1 --role device")
def create(
    folder: _Folder,
    name: Annotated[str, typer.Argument(help="Who holds it: a device, a program, a person.", show_default=False)],
    role: Annotated[str, typer.Option(help="device, verifier, auditor or admin.", show_default=False)],
    device: Annotated[str | None, typer.Option(help="ID of the only device that it submits for.")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="Days until it ends.  [default: never]")] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="Recognize this client certificate, PEM, instead of making a key.")
    ] = None,
) -> None:
    """Make an API key, and print it: it is shown this once and kept as a hash."""
    from mithridate.ledger.service.roles import Role

    if role not in list(Role):
        raise UserError(f"there is no role {role!r}: name {', '.join(Role)}")
    lifetime = days * 86400.0 if days is not None else None
    credentials, bound = _credentials(folder), _device(device)
    if certificate is not None:
        found = credentials.add_certificate(name, Role(role), _der(certificate), device=bound, lifetime=lifetime)
        out.print(f"{found.id}  certificate of {escape(name)}, {role}")
        return
    _, text = credentials.create_key(name, Role(role), device=bound, lifetime=lifetime)
    err.print("keep it like a password; it cannot be shown again")
    out.print(text)


@api_key_app.command("list", epilog="Example:  mithridate ledger api-key list hospital")
def show(folder: _Folder) -> None:
    """List the credentials: who holds them and until when."""
    table = Table("id", "name", "role", "kind", "device", "ends", box=None, pad_edge=False)
    for one in _credentials(folder).list():
        ends = datetime.fromtimestamp(one.expires, UTC).date().isoformat() if one.expires is not None else "never"
        kind = "certificate" if one.is_certificate else "key"
        table.add_row(one.id, escape(one.name), one.role, kind, (one.device or "any")[:12], ends)
    out.print(table)


@api_key_app.command(epilog="Example:  mithridate ledger api-key remove hospital 3f9a2c")
def remove(
    folder: _Folder, credential: Annotated[str, typer.Argument(metavar="ID", help="As `api-key list` shows it.")]
) -> None:
    """End a credential; a running service stops to accept it at once."""
    _credentials(folder).remove(credential)
    out.print(f"{escape(credential)} is removed")


def _credentials(folder: Path) -> Credentials:
    from mithridate.ledger.service.credentials import FILE_NAME, Credentials

    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: make a ledger there first, with  mithridate ledger init {folder}")
    return Credentials(folder / FILE_NAME)


def _device(text: str | None) -> bytes | None:
    try:
        return bytes.fromhex(text) if text is not None else None
    except ValueError:
        raise UserError(f"{text!r} is no device ID: it has 64 hexadecimal digits") from None


def _der(path: Path) -> bytes:
    """A certificate in DER form, from a PEM file."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}): name a certificate") from None
    except ValueError:
        raise UserError(f"{path} holds no certificate in PEM form: name one") from None


def _need_service() -> None:
    try:
        import fastapi  # noqa: F401
        import httpx  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise MissingExtra("the HTTP service", "service") from None


def _log_to_terminal() -> None:
    """What the service has to say while it runs goes to stderr, one line each."""
    handler = RichHandler(console=err, show_path=False, omit_repeated_times=False)
    logger = logging.getLogger("mithridate")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
