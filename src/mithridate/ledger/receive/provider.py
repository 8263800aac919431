"""The messages of one association: put together, handed on and answered within limits."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu_primitives import P_DATA

from mithridate.ledger.receive.body import Body
from mithridate.ledger.receive.limits import ReceiveLimits
from mithridate.ledger.receive.request import read_store_request
from mithridate.ledger.receive.response import plain_success

_log = logging.getLogger("mithridate.ledger.receive")

_MAX_QUEUED = 4
_MAX_COMMAND = 64 << 10
_PATIENCE = 0.05  # seconds after which time-outs are looked at even when nothing happens

_COMMAND, _LAST, _LAST_OF_COMMAND = 1, 2, 3  # bits of a message control header (PS3.8 E.2)

Header: TypeAlias = Callable[[Association, str, C_STORE], bytes]
"""The file header for the data set that follows a request, in a transfer syntax."""


@dataclass(frozen=True)
class _Transfer:
    """An object on its way: the presentation context, the request that it came with, and what is there of it."""

    context_id: int
    request: C_STORE
    body: Body


class Provider(DIMSEServiceProvider):
    """Puts the data set of every message into a `Body`, and ends associations whose messages make no sense.

    Objects that come as nearly all do, after a plain C-STORE request, are put together here and hashed while they come;
    every other message is left to pynetdicom.
    """

    def __init__(self, association: Association, limits: ReceiveLimits, spill: Path | None, header: Header) -> None:
        super().__init__(association)
        self._limits = limits
        self._spill = spill
        self._header = header
        self._syntaxes: dict[int | None, str] = {}
        self._transfer: _Transfer | None = None

    def receive_primitive(self, primitive: Any) -> None:
        """Take the next part of a message; runs on the thread that reads the connection."""
        if self._transfer is not None:
            self._continue(self._transfer, primitive.presentation_data_value_list)
        elif self.message is None:
            self._transfer = self._begin(primitive.presentation_data_value_list)
            if self._transfer is None:
                self._collect(primitive)
        else:
            self._collect(primitive)
        if self.msg_queue.qsize() > _MAX_QUEUED:
            self._abort("it does not wait for answers")

    def _begin(self, values: Sequence[tuple[int, bytes]]) -> _Transfer | None:
        """What a plain request announces, None when the values are anything else."""
        if len(values) != 1:
            return None
        context_id, value = values[0]
        is_command = bool(value) and value[0] & _LAST_OF_COMMAND == _LAST_OF_COMMAND
        request = read_store_request(value[1:]) if is_command else None
        if request is None:
            return None
        request.DataSet = body = Body(self._limits.object_bytes, self._spill)
        syntax = self._syntax(context_id)
        if syntax is not None:
            with suppress(ValueError):  # a title that no header can hold; the object is refused when it is there
                body.begin(self._header(self.assoc, syntax, request))
        return _Transfer(context_id, request, body)

    def _continue(self, transfer: _Transfer, values: Sequence[tuple[int, bytes]]) -> None:
        """Take the next parts of an object."""
        for _, value in values:
            if not value or value[0] & _COMMAND:
                self._abort("it sends a command in the midst of an object")
                return
            transfer.body.write(value[1:])
            if value[0] & _LAST:
                self._transfer = None
                self.msg_queue.put((transfer.context_id, transfer.request))
                return
        self._check_size(transfer.body)

    def _collect(self, primitive: Any) -> None:
        """Take the next part of any other message."""
        if self.message is None:
            self.message = DIMSEMessage()
            self.message.data_set = Body(self._limits.object_bytes, self._spill)
        message, body = self.message, self.message.data_set
        try:
            super().receive_primitive(primitive)
        except Exception as error:  # malformed messages make pynetdicom raise nearly anything
            self._abort(f"it sent a message that cannot be read ({error or type(error).__name__})")
            return
        if message.encoded_command_set.tell() > _MAX_COMMAND:
            self._abort("it sends a command without an end")
        elif isinstance(body, Body):
            self._check_size(body)

    def _check_size(self, body: Body) -> None:
        if body.size > 2 * self._limits.object_bytes:
            self._abort(f"it sends an object of more than twice the {self._limits.object_bytes:,} bytes allowed")

    def _syntax(self, context_id: int) -> str | None:
        """The transfer syntax that was agreed on; pynetdicom sorts its list, of more than a hundred, when asked."""
        if not self._syntaxes:
            agreed = self.assoc.accepted_contexts
            self._syntaxes = {context.context_id: context.transfer_syntax[0] for context in agreed}
        return self._syntaxes.get(context_id)

    def get_msg(self, block: bool = False) -> Any:
        """The next message with its context, None for both when there is none.

        When asked whether there happens to be one, it waits a while, answers whatever comes itself, and gives none: the
        association's own loop sleeps a millisecond before each message, which is a fifth of the time that one takes.
        """
        try:
            if block:
                return self.msg_queue.get(timeout=self.dimse_timeout)
            while not self.assoc._kill:
                context, message = self.msg_queue.get(timeout=_PATIENCE)
                if message is None or context is None:  # something else has come
                    break
                self.assoc._serve_request(message, context)
        except queue.Empty:
            pass
        return None, None

    def send_msg(self, primitive: Any, context_id: int) -> None:
        """Send a message to the peer."""
        success = plain_success(primitive, self.maximum_pdu_size)
        if success is None:
            super().send_msg(primitive, context_id)
            return
        data = P_DATA()
        data.presentation_data_value_list.append((context_id, success))
        self.dul.send_pdu(data)

    def wake(self) -> None:
        """Something other than a message has come: a release or an abort."""
        self.msg_queue.put((None, None))

    def discard(self) -> int:
        """Let go of an object that will not be complete; returns how many bytes had come."""
        message, self.message = self.message, None
        transfer, self._transfer = self._transfer, None
        body = transfer.body if transfer is not None else message.data_set if message is not None else None
        if not isinstance(body, Body):
            return 0
        size = body.size
        body.close()
        return size

    def _abort(self, why: str) -> None:
        _log.warning("association with %s aborted: %s", self.assoc.requestor.ae_title, why)
        self.discard()
        self.dul.event_queue.put("Evt19")
