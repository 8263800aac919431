"""The DICOM door: C-STORE and C-ECHO, plain or over TLS (PS3.4 annex B, PS3.15 B).

receiver = DicomReceiver(intake, ae_title="LEDGER", port=11112)
with receiver:
    ...
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE

from mithridate.errors import UserError
from mithridate.ledger.receive.body import Body
from mithridate.ledger.receive.contexts import answer, verification
from mithridate.ledger.receive.intake import Arrival, Intake
from mithridate.ledger.receive.part10 import Stated, file_header
from mithridate.ledger.receive.provider import Provider
from mithridate.ledger.receive.refusal import Kind, Refused
from mithridate.ledger.receive.transport import Server

_log = logging.getLogger("mithridate.ledger.receive")

_SUCCESS = 0x0000
_COMMENT = 64  # characters of an Error Comment, which is an LO


class DicomReceiver:
    """A storage SCP in front of an intake.

    Args: address and port to listen on (port 0 picks one), ae_title of its own, calling (AE titles that may connect,
    all when empty), strict_called (refuse associations that call another title), tls (None for plain TCP).
    Raises UserError for a title that is none and for an address that cannot be had.
    """

    def __init__(
        self,
        intake: Intake,
        *,
        address: str = "127.0.0.1",
        port: int = 11112,
        ae_title: str = "MITHRIDATE",
        calling: Iterable[str] = (),
        strict_called: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._intake = intake
        limits = intake.limits
        try:
            self._ae = AE(ae_title)
            self._ae.require_calling_aet = list(calling)
        except ValueError as error:
            raise UserError(f"an AE title has 1 to 16 characters of ASCII without backslash ({error})") from None
        self._ae.require_called_aet = strict_called
        self._ae.maximum_associations = limits.associations
        self._ae.maximum_pdu_size = limits.pdu_bytes
        self._ae.network_timeout = limits.idle_seconds
        self._ae.acse_timeout = limits.handshake_seconds
        self._ae.dimse_timeout = limits.idle_seconds
        try:
            self._server = Server(
                self._ae,
                (address, port),
                contexts=[verification()],
                tls=tls,
                handlers=[
                    (evt.EVT_REQUESTED, self._negotiate),
                    (evt.EVT_REJECTED, self._rejected),
                    (evt.EVT_ABORTED, self._ended),
                    (evt.EVT_CONN_CLOSE, self._ended),
                    (evt.EVT_C_STORE, self._store),
                ],
                limits=limits,
                spill=intake.folder,
                header=_header,
            )
        except OSError as error:
            why = error.strerror or error
            raise UserError(f"cannot listen on {address} port {port} ({why}): name another") from error
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    @property
    def associations(self) -> int:
        """How many senders are connected."""
        return len(self._server.active_associations)

    def start(self) -> None:
        """Accept associations from now on, on threads of their own."""
        self._thread.start()

    def stop(self, grace_seconds: float = 10.0) -> None:
        """Accept no more, let associations end, and after the grace abort what is left.

        An object that is being logged then is logged; its sender does not hear so, and sends it again.
        """
        if self._thread.is_alive():
            self._server.shutdown()
        else:
            self._server.server_close()
        end = time.monotonic() + grace_seconds
        while self._server.active_associations and time.monotonic() < end:
            time.sleep(0.02)
        for association in self._server.active_associations:
            association.abort()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _negotiate(self, event: Any) -> None:
        proposed = event.assoc.requestor.primitive.presentation_context_definition_list
        event.assoc.acceptor.supported_contexts = answer(proposed)

    def _rejected(self, event: Any) -> None:
        _log.warning("association with %s rejected: not allowed, or too many at once", _peer(event.assoc))

    def _ended(self, event: Any) -> None:
        lost = event.assoc.dimse.discard() if isinstance(event.assoc.dimse, Provider) else 0
        if lost:
            _log.warning("%s broke off after %d bytes of an object: nothing of it is kept", _peer(event.assoc), lost)

    def _store(self, event: Any) -> Dataset | int:
        """Answer one C-STORE request, once the object is logged or refused."""
        name = f"object {_printable(str(event.request.AffectedSOPInstanceUID))}"
        try:
            self._intake.take(self._arrival(event, name))
        except Refused as refused:  # the sender knows which object it sent, and there is little room to say why
            return _status(refused.kind.value, str(refused).replace(name, "object"))
        return _SUCCESS

    def _arrival(self, event: Any, name: str) -> Arrival:
        request, peer = event.request, _peer(event.assoc)
        sop_class, sop_instance = str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID)
        body = request.DataSet
        arrival = Arrival(b"", name, peer, "dimse", Stated(sop_class, sop_instance))
        if not isinstance(body, Body) or body.fault is not None:
            fault = body.fault if isinstance(body, Body) else "it has no data set"
            raise self._intake.refuse(arrival, Refused(Kind.OUT_OF_RESOURCES, f"{name} is refused: {fault}"))
        if event.context.abstract_syntax != sop_class:
            refused = Refused(Kind.MISMATCH, f"{name} was sent in the presentation context of another SOP class")
            raise self._intake.refuse(arrival, refused)
        header = _header(event.assoc, event.context.transfer_syntax, request)
        digest = body.digest(header)
        return Arrival(body.take(header), name, peer, "dimse", arrival.expected, digest)


def server_tls(certificate: Path, key: Path, clients: Path | None = None) -> ssl.SSLContext:
    """TLS 1.2 or newer (BCP 195, PS3.15 B.12); with `clients`, only peers with a certificate signed by one in it.

    Raises UserError, naming the file, for what cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:  # SSLError is one
        raise UserError(f"{certificate} with {key} is no certificate with its key ({error})") from error
    if clients is not None:
        try:
            context.load_verify_locations(clients)
        except OSError as error:
            raise UserError(f"{clients} holds no certificates to check clients by ({error})") from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _status(code: int, comment: str) -> Dataset:
    status = Dataset()
    status.Status = code
    text = comment.encode("ascii", "replace").decode("ascii").replace("\\", "/")
    status.ErrorComment = text if len(text) <= _COMMENT else text[: _COMMENT - 3] + "..."
    return status


def _header(association: Association, syntax: str, request: C_STORE) -> bytes:
    """The header of the file that the data set of a C-STORE request becomes."""
    return file_header(
        syntax=str(syntax),
        sop_class=str(request.AffectedSOPClassUID),
        sop_instance=str(request.AffectedSOPInstanceUID),
        calling=association.requestor.ae_title.strip(),
    )


def _peer(association: Any) -> str:
    requestor = association.requestor
    return f"{_printable(requestor.ae_title.strip() or 'unknown')} at {requestor.address_info.address}"


def _printable(text: str) -> str:
    """Text from the network as it may stand in a log line."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in text)
