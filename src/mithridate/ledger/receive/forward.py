"""On to a PACS: sends what the spool holds by C-STORE, byte for byte as it was received, until the PACS has it.

An object leaves pending/ only when the PACS has answered Success for it.  Killed at any moment, a new forwarder goes on
with what is there; at most the one object whose answer was on its way is sent again.
"""

from __future__ import annotations

import logging
import re
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association

from mithridate.errors import UserError
from mithridate.ledger.receive.spool import Spool

_log = logging.getLogger("mithridate.ledger.receive")

_DESTINATION = re.compile(r"(?P<title>[^@\\]{1,16})@(?P<host>\[[^\]]+\]|[^:@\[\]]+):(?P<port>[0-9]{1,5})")
_MAX_CONTEXTS = 128  # as many as an association may propose
_MAX_BATCH = 500


@dataclass(frozen=True)
class Destination:
    """A storage SCP: its AE title, host and port, the title that we call ourselves, and TLS if it wants that."""

    ae_title: str
    host: str
    port: int
    calling: str = "MITHRIDATE"
    tls: ssl.SSLContext | None = None

    @classmethod
    def parse(cls, text: str, *, calling: str = "MITHRIDATE", tls: ssl.SSLContext | None = None) -> Destination:
        """Read TITLE@HOST:PORT.  Raises UserError for anything else."""
        found = _DESTINATION.fullmatch(text)
        if found is None or not 0 < int(found["port"]) < 65536:
            raise UserError(f"{text!r} names no PACS: write TITLE@HOST:PORT, for example PACS@192.0.2.7:104")
        return cls(found["title"], found["host"].strip("[]"), int(found["port"]), calling, tls)

    def __str__(self) -> str:
        return f"{self.ae_title} at {self.host} port {self.port}"


class Forwarder:
    """Sends waiting objects on a thread of its own, the longest waiting first, as many as it can in one association.

    When the PACS cannot be reached, or answers that it may take an object later, it is tried again after `first_delay`
    seconds, then after twice as long each time, up to `longest_delay`.  What the PACS refuses for good is set aside in
    failed/ with its answer.
    """

    def __init__(
        self, spool: Spool, destination: Destination, *, first_delay: float = 1.0, longest_delay: float = 300.0
    ) -> None:
        self._spool = spool
        self._destination = destination
        self._first_delay = first_delay
        self._longest_delay = longest_delay
        self._delay = first_delay
        self._not_before: dict[Path, tuple[float, float]] = {}
        self._wakened = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="forwarder", daemon=True)
        # Sending a file as it stands, without decoding it, is a switch of the whole process in pynetdicom.
        _config.STORE_SEND_CHUNKED_DATASET = True

    def start(self) -> None:
        """Begin with what is waiting, which may be from before a crash."""
        self._thread.start()

    def wake(self) -> None:
        """Another object waits."""
        self._wakened.set()

    def stop(self, timeout: float = 30.0) -> None:
        """Finish the object that is being sent and stop; the others go on waiting on disk."""
        self._stopping.set()
        self._wakened.set()
        self._thread.join(timeout)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def send_waiting(self) -> int:
        """Send what is due, in one association; returns how many objects the PACS took.

        Raises OSError when the PACS cannot be reached or breaks off.
        """
        now = time.monotonic()
        due = [path for path in self._spool.waiting() if self._not_before.get(path, (0.0, 0.0))[0] <= now]
        batch, contexts = self._plan(due)
        if not batch:
            return 0
        association = self._associate(contexts)
        sent = 0
        try:
            for path in batch:
                if self._stopping.is_set():
                    break
                sent += self._send(association, path)
        except Exception:
            association.abort()  # a release would wait for an answer that does not come
            raise
        association.release()
        return sent

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wakened.clear()
            try:
                sent = self.send_waiting()
            except Exception as error:  # the spool's disk, the network: whatever it is, the objects are safe and wait
                _log.warning("%s: %s; trying again in %.0f s", self._destination, error, self._delay)
                self._stopping.wait(self._delay)
                self._delay = min(2 * self._delay, self._longest_delay)
                continue
            self._delay = self._first_delay
            if not sent and (self._not_before or not self._spool.waiting()):
                self._wakened.wait(self._first_delay if self._not_before else None)

    def _plan(self, due: list[Path]) -> tuple[list[Path], list[tuple[str, str]]]:
        """Files for one association and the contexts that they need, in the files' order."""
        batch, contexts = [], dict[tuple[str, str], None]()
        for path in due[:_MAX_BATCH]:
            try:
                kind = _kind(path)
            except ValueError as error:
                self._give_up(path, f"cannot be sent {path.name} ({error}): correct it")
                continue
            if kind not in contexts and len(contexts) == _MAX_CONTEXTS:
                break
            contexts[kind] = None
            batch.append(path)
        return batch, list(contexts)

    def _associate(self, contexts: list[tuple[str, str]]) -> Association:
        entity = AE(self._destination.calling)
        entity.connection_timeout = 10
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
        for sop_class, syntax in contexts:
            entity.add_requested_context(sop_class, syntax)
        tls = (self._destination.tls, self._destination.host) if self._destination.tls is not None else None
        association = entity.associate(
            self._destination.host,
            self._destination.port,
            ae_title=self._destination.ae_title,
            max_pdu=0,
            tls_args=tls,
            evt_handlers=[(evt.EVT_CONN_OPEN, _without_delay)],
        )
        if not association.is_established:
            raise ConnectionError("rejected the association" if association.is_rejected else "cannot be reached")
        return association

    def _send(self, association: Association, path: Path) -> bool:
        """Send one file and settle what becomes of it; returns whether the PACS took it.  Raises OSError."""
        try:
            answer = association.send_c_store(path)
        except ValueError:  # no accepted context
            sop_class, syntax = _kind(path)
            self._give_up(path, f"does not accept {UID(sop_class).name} in {UID(syntax).name}: allow it there")
            return False
        except RuntimeError as error:
            raise ConnectionError("ended the association") from error
        status = answer.get("Status")
        if status is None:
            raise ConnectionError("did not answer in time, or ended the association")
        comment = str(answer.get("ErrorComment", "")).strip()
        said = f"{status:#06x}" + (f" ({comment})" if comment else "")
        if status == 0 or status >> 12 == 0xB or status in (0x0001, 0x0107, 0x0116):
            _log.log(logging.WARNING if status else logging.INFO, "%s took %s: %s", self._destination, path.name, said)
            self._spool.forwarded(path)
            self._not_before.pop(path, None)
            return True
        if status >> 12 == 0xC or status >> 8 == 0xA9 or status == 0x0122:
            self._give_up(path, f"refused it for good with the status {said}: correct the cause")
            return False
        _, delay = self._not_before.get(path, (0.0, self._first_delay))
        self._not_before[path] = (time.monotonic() + delay, min(2 * delay, self._longest_delay))
        _log.warning("%s did not take %s now: %s; trying again", self._destination, path.name, said)
        return False

    def _give_up(self, path: Path, why: str) -> None:
        reason = f"{self._destination} {why}, then move the file back to {self._spool.pending}"
        _log.error("%s set aside: %s", self._spool.give_up(path, reason), reason)
        self._not_before.pop(path, None)


def _kind(path: Path) -> tuple[str, str]:
    """SOP class and transfer syntax of a file in the spool.  Raises ValueError when its header does not state them."""
    try:
        meta: Any = read_file_meta_info(path)
        stated = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID
    except (AttributeError, InvalidDicomError) as error:
        raise ValueError("its header is incomplete") from error
    if not all(isinstance(uid, UID) and uid.is_valid for uid in stated):
        raise ValueError("its header holds no valid UIDs")
    return str(stated[0]), str(stated[2])


def _without_delay(event: Any) -> None:
    """Send every PDU at once: small objects would otherwise wait for acknowledgements (see `transport`)."""
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
