"""What pynetdicom leaves open between the network and a message: time-outs, limits, and the 40 ms stall.

Senders write a command and its data set in two steps.  Without TCP_NODELAY on their side (Nagle) and with delayed
acknowledgements on ours, each object waits about 40 ms for nothing; acknowledging at once ends that.
"""

from __future__ import annotations

import logging
import os
import queue
import select
import socket
import ssl
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pynetdicom import AE, evt
from pynetdicom._handlers import (
    standard_dimse_recv_handler,
    standard_dimse_sent_handler,
    standard_pdu_recv_handler,
    standard_pdu_sent_handler,
)
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AssociationServer, AssociationSocket, RequestHandler, ThreadedAssociationServer

from mithridate.ledger.receive.limits import ReceiveLimits
from mithridate.ledger.receive.provider import Header, Provider

_log = logging.getLogger("mithridate.ledger.receive")

_QUICK_ACK = getattr(socket, "TCP_QUICKACK", None)  # Linux
_MAX_CONTROL_PDU = 1 << 20  # an association request with 128 contexts has about 30 KB
_PATIENCE = 0.05  # seconds after which time-outs are looked at even when nothing happens
_SHORT = 0.001
_LOG_WRITERS = (  # they take every message apart, also where nobody reads what they would say of it
    (evt.EVT_DIMSE_RECV, standard_dimse_recv_handler),
    (evt.EVT_DIMSE_SENT, standard_dimse_sent_handler),
    (evt.EVT_PDU_RECV, standard_pdu_recv_handler),
    (evt.EVT_PDU_SENT, standard_pdu_sent_handler),
)
_CLOSING = "Sta13"  # an abort or a rejection has been sent (PS3.8 table 9-5)


class Server(ThreadedAssociationServer):
    """Accepts connections for one receiver, each with time-outs and within limits."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        entity: AE,
        address: tuple[str, int],
        *,
        contexts: list[PresentationContext],
        tls: ssl.SSLContext | None,
        handlers: list[Any],
        limits: ReceiveLimits,
        spill: Path | None,
        header: Header,
    ) -> None:
        self.limits = limits
        self.spill = spill
        self.header = header
        super().__init__(entity, address, entity.ae_title, contexts, tls, handlers, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """The next connection; its TLS handshake is left to its own thread, where it can keep nobody else waiting."""
        assert self.socket is not None
        client, address = self.socket.accept()
        client.settimeout(self.limits.handshake_seconds)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self.ssl_context is not None:
            client = self.ssl_context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
        return client, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether there is room for another connection, counting those that have not asked for an association yet."""
        if len(self.active_associations) < 2 * self.limits.associations:
            return True
        _log.warning("connection from %s closed: there are too many already", client_address[0])
        return False

    def _bind_defaults(self) -> None:
        """Handlers that answer, without those that only write pynetdicom's own log and run for every PDU."""
        for event in evt._INTERVENTION_EVENTS:
            self.bind(event, evt.get_default_handler(event))

    def shutdown(self) -> None:
        """Stop accepting; associations go on."""
        super(AssociationServer, self).shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that failed before it was an association; the others go on."""
        _log.warning("connection from %s failed", client_address[0], exc_info=True)


class _Handler(RequestHandler):
    server: Server

    def handle(self) -> None:
        if isinstance(self.request, ssl.SSLSocket):
            try:
                self.request.do_handshake()
            except OSError as error:
                _log.warning("TLS handshake with %s failed: %s", self.client_address[0], error)
                self.request.close()
                return
        super().handle()

    def _create_association(self) -> Association:
        association = super()._create_association()
        for event, writer in _LOG_WRITERS:
            association.unbind(event, writer)
        limits = self.server.limits
        self.request.settimeout(limits.idle_seconds)
        association.dul.event_queue.get_nowait()  # "connected", which the socket in its place says again
        connection = _Socket(association, self.request, limits)
        provider = Provider(association, limits, self.server.spill, self.server.header)
        association.dul.socket = connection
        association.dimse = provider
        association.dul.to_provider_queue = _Signaling(connection.wake)
        association.dul.to_user_queue = _Signaling(provider.wake)
        association.dul._run_loop_delay = 0.0
        return association


class _Socket(AssociationSocket):
    """A connection that sleeps until there is something to do, and takes no larger PDU than agreed on.

    pynetdicom looks a thousand times a second whether bytes have come or are to go, on every association.
    """

    def __init__(self, association: Association, connection: socket.socket, limits: ReceiveLimits) -> None:
        super().__init__(association, client_socket=connection)
        self._limit = max(limits.pdu_bytes + 6, _MAX_CONTROL_PDU)
        self._wakened, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        weakref.finalize(self, _close_both, self._wakened, self._waker)

    def wake(self) -> None:
        """There is something to send."""
        with suppress(BlockingIOError):  # the pipe is full, so it is awake
            os.write(self._waker, b"w")

    @property
    def ready(self) -> bool:
        """Whether there is data to be read; waits a while for it, or for `wake`."""
        connection = self.socket
        if connection is None or not self._is_connected:
            time.sleep(_SHORT)  # the thread that reads is about to be ended
            return False
        if self.assoc.dul.state_machine.current_state == _CLOSING:
            self._drain(connection)
            return False
        if isinstance(connection, ssl.SSLSocket) and connection.pending():
            return True
        try:
            watched: list[Any] = [connection, self._wakened]
            found, _, _ = select.select(watched, [], [], _PATIENCE)
        except (OSError, ValueError):
            self.event_queue.put("Evt17")  # the connection is closed (PS3.8 table 9-10)
            return False
        if self._wakened in found:
            os.read(self._wakened, 4096)
        return connection in found

    def _drain(self, connection: socket.socket) -> None:
        """Take what a peer still sends that was told to stop: closing on unread bytes could cost it our last word."""
        with suppress(OSError, ValueError):
            select.select([connection], [], [], _PATIENCE)
            connection.settimeout(0)
            for _ in range(64):
                if not connection.recv(64 << 10):
                    break

    def recv(self, nr_bytes: int) -> bytearray:
        """So many bytes; fewer where the connection ends.  Raises OSError when it stalls or the PDU is too large."""
        connection = self.socket
        if connection is None or nr_bytes > self._limit:
            raise OSError(f"a PDU of {nr_bytes:,} bytes is larger than agreed on")
        content = bytearray(nr_bytes)
        view, done = memoryview(content), 0
        while done < nr_bytes:
            received = connection.recv_into(view[done:])
            if not received:
                return content[:done]
            done += received
        if _QUICK_ACK is not None:  # the kernel forgets it, so it is said again after every read
            connection.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
        return content


class _Signaling(queue.Queue[Any]):
    """A queue that tells somebody about every item."""

    def __init__(self, signal: Callable[[], None]) -> None:
        super().__init__()
        self._signal = signal

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        self._signal()


def _close_both(first: int, second: int) -> None:
    os.close(first)
    os.close(second)
