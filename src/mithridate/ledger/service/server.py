"""The service as a process: sockets, TLS, client certificates, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from mithridate.errors import UserError
from mithridate.ledger.service.access import PEER_CERTIFICATE
from mithridate.ledger.service.listening import Listening

IDLE_SECONDS = 15
MAX_HEADER_BYTES = 32 << 10


class _Protocol(H11Protocol):
    """HTTP that tells the application which certificate the client has shown."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and (certificate := tls.getpeercert(binary_form=True)) is not None:
            self.app_state = {**self.app_state, PEER_CERTIFICATE: certificate}


def make_server(app: ASGIApp, settings: Listening) -> uvicorn.Server:
    """A server that is ready to run.

    It ends on SIGINT or SIGTERM: it takes no more connections, lets requests under way finish for `shutdown` seconds,
    then ends them.  Raises UserError when a certificate or key cannot be used.
    """
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=_Protocol,
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=settings.shutdown,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        proxy_headers=False,
        lifespan="on",
    )
    if settings.certificate is not None and settings.key is not None:
        is_required = settings.client_certificates == "required"
        context = tls_context(settings.certificate, settings.key, settings.client_authorities, required=is_required)
        config.ssl_context_factory = lambda *_: context
    return uvicorn.Server(config)


def tls_context(certificate: Path, key: Path, client_authorities: Path | None, *, required: bool) -> ssl.SSLContext:
    """TLS 1.2 or later with this certificate; asks for client certificates when authorities are given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
        if client_authorities is not None:
            context.load_verify_locations(client_authorities)
            context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(str(file) for file in (certificate, key, client_authorities) if file is not None)
        raise UserError(
            f"TLS cannot be set up from {files} ({error}): give a certificate, its key, both PEM"
        ) from error
    return context


def listen(settings: Listening) -> socket.socket:
    """The socket to serve from.  Raises UserError when the address is taken or is not this machine's."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=512)
    except OSError as error:
        place = f"{settings.host}, port {settings.port}"
        raise UserError(f"cannot listen on {place} ({error.strerror or error}): choose another address") from None


def address_of(listener: socket.socket, settings: Listening) -> str:
    """The address of what is served there."""
    host, port = listener.getsockname()[:2]
    scheme = "https" if settings.certificate is not None else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def run(server: uvicorn.Server, listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM, then come back, so that the caller can close what it has opened."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGTERM, stop)  # which uvicorn raises again once it has ended
    try:
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
    finally:
        signal.signal(signal.SIGTERM, former)
        listener.close()
