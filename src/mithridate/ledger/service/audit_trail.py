"""Where audit events go: a file with one event a line, or a collector that speaks syslog (RFC 5424)."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Literal, Protocol

from mithridate.errors import UserError
from mithridate.ledger.service.audit_event import AuditEvent, Kind, Outcome
from mithridate.ledger.service.audit_forms import is_serious, to_dicom, to_fhir

_log = logging.getLogger("mithridate.service.audit")
_FACILITY, _WARNING, _NOTICE = 10, 4, 5  # security and authorization messages
_MAX_DATAGRAM = 60_000
_TIMEOUT = 5.0


class Sink(Protocol):
    """Takes events as text."""

    def write(self, text: str, event: AuditEvent) -> None:
        """Raises OSError when the event cannot be delivered."""
        ...

    def close(self) -> None: ...


class FileSink:
    """One event a line; each is on disk when `write` returns.  Raises UserError when the file cannot be opened."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise UserError(f"{path} cannot be written ({error.strerror or error}): choose another place") from error

    def write(self, text: str, event: AuditEvent) -> None:
        line = text.replace("\n", " ").encode() + b"\n"
        if os.write(self._descriptor, line) != len(line):
            raise OSError("the disk is full")
        os.fsync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


class SyslogSink:
    """RFC 5424 messages over UDP (RFC 5426) or TCP (RFC 6587, octet counting); connects when there is something to
    send, and again when the connection is lost."""

    def __init__(self, protocol: str, host: str, port: int) -> None:
        self._kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
        self._address = (host, port)
        self._socket: socket.socket | None = None

    def write(self, text: str, event: AuditEvent) -> None:
        message = _syslog_message(text, event)
        if self._kind == socket.SOCK_DGRAM:
            self._connected().send(message[:_MAX_DATAGRAM])
            return
        framed = f"{len(message)} ".encode() + message
        try:
            self._connected().sendall(framed)
        except OSError:
            self.close()
            self._connected().sendall(framed)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connected(self) -> socket.socket:
        if self._socket is None:
            family, kind, protocol, _, address = socket.getaddrinfo(*self._address, type=self._kind)[0]
            found = socket.socket(family, kind, protocol)
            found.settimeout(_TIMEOUT)
            try:
                found.connect(address)
            except OSError:
                found.close()
                raise
            self._socket = found
        return self._socket


class AuditTrail:
    """Writes events to every sink.  Thread-safe.

    What was done is done, whether or not it can be written down; so a sink that fails is counted and logged, and the
    service says that it is not ready, until an event gets through again.
    """

    def __init__(
        self,
        source: str,
        sinks: tuple[Sink, ...],
        form: Literal["dicom", "fhir"] = "dicom",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._source = source
        self._sinks = sinks
        self._encode = to_dicom if form == "dicom" else to_fhir
        self._clock = clock
        self._lock = Lock()
        self.failures = 0
        self.is_whole = True

    def record(
        self,
        kind: Kind,
        outcome: Outcome,
        user: str,
        address: str | None,
        detail: str = "",
        entry: int | None = None,
    ) -> None:
        """Write one event."""
        event = AuditEvent(kind, outcome, self._clock(), user, address, self._source, detail, entry)
        if is_serious(event):
            _log.warning("%s by %s from %s: %s", kind.name, user, address, detail)
        text = self._encode(event)
        with self._lock:
            failed = 0
            for sink in self._sinks:
                try:
                    sink.write(text, event)
                except OSError as error:
                    failed += 1
                    _log.error("an audit event is lost (%s): %s", error.strerror or error, text)
            self.failures += failed
            self.is_whole = not failed

    def close(self) -> None:
        """Let go of files and connections."""
        with self._lock:
            for sink in self._sinks:
                sink.close()


def open_trail(
    source: str, file: Path | None, syslog: str | None, form: Literal["dicom", "fhir"] = "dicom"
) -> AuditTrail:
    """A trail to a file, to a collector ("udp://host:port", "tcp://host:port"), to both or to none."""
    sinks: list[Sink] = []
    if file is not None:
        sinks.append(FileSink(file))
    if syslog is not None:
        protocol, _, address = syslog.partition("://")
        host, _, port = address.rpartition(":")
        sinks.append(SyslogSink(protocol, host.strip("[]"), int(port)))
    return AuditTrail(source, tuple(sinks), form)


def _syslog_message(text: str, event: AuditEvent) -> bytes:
    severity = _WARNING if is_serious(event) else _NOTICE
    stamp = event.time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    name = "".join(letter for letter in event.source if 33 <= ord(letter) <= 126)[:48] or "-"
    head = f"<{_FACILITY * 8 + severity}>1 {stamp} {socket.gethostname() or '-'} {name} {os.getpid()} "
    identifier = "IHE+RFC-3881" if text.startswith("<") else "FHIR"
    return f"{head}{identifier} - \ufeff{text}".encode()
