"""The answer to C-STORE that nearly every object gets: Success, and nothing else.

pynetdicom makes each answer by way of two data sets, with every value checked anew, which takes as long as to receive a
small object.  Every other answer is left to it.
"""

from __future__ import annotations

import struct

from pynetdicom.dimse_primitives import C_STORE

_SUCCESS = 0x0000
_RESPONSE = 0x8001
_NO_DATA_SET = 0x0101
_LAST_OF_COMMAND = b"\x03"
_NUMBER = struct.Struct("<HHIH")
_HEAD = struct.Struct("<HHI")


def plain_success(message: object, longest: int) -> bytes | None:
    """The value of the one PDV that tells a sender Success (PS3.7 9.3.1.2), None when the message is another one.

    `longest` is the peer's maximum length of a PDU, 0 for any.
    """
    if not isinstance(message, C_STORE) or message.MessageIDBeingRespondedTo is None or message.Status != _SUCCESS:
        return None
    uids = message.AffectedSOPClassUID, message.AffectedSOPInstanceUID
    if not all(uids) or message.ErrorComment is not None or message.OffendingElement is not None:
        return None
    elements = b"".join(
        (
            _text(0x0002, str(uids[0])),
            _NUMBER.pack(0, 0x0100, 2, _RESPONSE),
            _NUMBER.pack(0, 0x0120, 2, message.MessageIDBeingRespondedTo),
            _NUMBER.pack(0, 0x0800, 2, _NO_DATA_SET),
            _NUMBER.pack(0, 0x0900, 2, _SUCCESS),
            _text(0x1000, str(uids[1])),
        )
    )
    value = _LAST_OF_COMMAND + _HEAD.pack(0, 0, 4) + struct.pack("<I", len(elements)) + elements
    return value if not longest or len(value) + 5 <= longest else None


def _text(element: int, uid: str) -> bytes:
    """A UID of the command group, implicit VR, little endian, of even length (PS3.7 6.3.1)."""
    content = uid.encode("ascii")
    content += b"\x00" * (len(content) % 2)
    return _HEAD.pack(0, element, len(content)) + content
