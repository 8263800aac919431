"""The request of C-STORE that nearly every object comes with, read from its bytes.

pynetdicom makes two data sets and a message of each, which takes a third of the time that the connection's thread needs
for an object.  Every other command, and whatever may be wrong with one, is left to it.
"""

from __future__ import annotations

import re
import struct

from pynetdicom.dimse_primitives import C_STORE

_HEAD = struct.Struct("<HHI")
_NUMBER = struct.Struct("<H")
_REQUEST, _NO_DATA_SET = 0x0001, 0x0101
_UID = re.compile(rb"([0-9.]{1,64})\x00?")
_GROUP_LENGTH = 0x0000
_CLASS, _FIELD, _MESSAGE, _PRIORITY, _DATA_SET, _INSTANCE = 0x0002, 0x0100, 0x0110, 0x0700, 0x0800, 0x1000
_ELEMENTS = (_CLASS, _FIELD, _MESSAGE, _PRIORITY, _DATA_SET, _INSTANCE)


def read_store_request(command: bytes) -> C_STORE | None:
    """A C-STORE request that states what it must and nothing else (PS3.7 9.3.1.1); None for any other command."""
    values = _elements(command)
    if values is None or tuple(values) != _ELEMENTS:
        return None
    uids = [_UID.fullmatch(values[element]) for element in (_CLASS, _INSTANCE)]
    numbers = [values[element] for element in (_FIELD, _MESSAGE, _PRIORITY, _DATA_SET)]
    if not all(uids) or any(len(number) != _NUMBER.size for number in numbers):
        return None
    field, message, priority, data_set = (_NUMBER.unpack(number)[0] for number in numbers)
    if field != _REQUEST or priority > 2 or data_set == _NO_DATA_SET:
        return None
    request = C_STORE()
    request.MessageID, request.Priority = message, priority
    try:
        request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = (uid[1].decode() for uid in uids if uid)
    except ValueError:  # not such as pynetdicom takes for a UID
        return None
    return request


def _elements(command: bytes) -> dict[int, bytes] | None:
    """The elements of a command, implicit VR, little endian, without its length (PS3.7 6.3.1); None when they are no
    row of whole elements of the command group in ascending order."""
    values: dict[int, bytes] = {}
    place, previous = 0, -1
    while place + _HEAD.size <= len(command):
        group, element, length = _HEAD.unpack_from(command, place)
        place += _HEAD.size
        if group or element <= previous or place + length > len(command):
            return None
        if element != _GROUP_LENGTH:
            values[element] = command[place : place + length]
        place, previous = place + length, element
    return values if place == len(command) else None
