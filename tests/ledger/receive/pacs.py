"""A storage SCP for the forwarder to send to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian
from pynetdicom import AE, evt

from ledger.receive.sending import CT

MR = "1.2.840.10008.5.1.4.1.1.4"


class Pacs:
    """A storage SCP that remembers what it took; `answer` is its status for each object, by SOP instance UID."""

    def __init__(self, contexts: list[tuple[str, list[str]]] | None = None, port: int = 0) -> None:
        self.received: list[tuple[str, bytes]] = []
        self.answer: Callable[[str], int] = lambda _: 0x0000
        self.associations = 0
        entity = AE("PACS")
        for sop_class, syntaxes in contexts or [(CT, [str(ExplicitVRLittleEndian)]), (MR, [str(ExplicitVRBigEndian)])]:
            entity.add_supported_context(sop_class, syntaxes)
        handlers: list[Any] = [(evt.EVT_C_STORE, self._store), (evt.EVT_ESTABLISHED, self._established)]
        self.server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
        self.port = int(self.server.server_address[1])

    def _established(self, _: Any) -> None:
        self.associations += 1

    def _store(self, event: Any) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        status = self.answer(uid)
        if status == 0 or status >> 12 == 0xB:
            self.received.append((uid, event.encoded_dataset(include_meta=False)))
        return status
