"""A request read from its bytes is the one that pynetdicom reads, or is left to it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID
from pynetdicom.dimse_messages import C_STORE_RQ, DIMSEMessage
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu_primitives import P_DATA

from mithridate.ledger.receive.request import read_store_request

_UIDS = st.lists(st.integers(0, 10**9), min_size=1, max_size=6).map(lambda parts: ".".join(map(str, ["1.2", *parts])))
_COMPARED = ("MessageID", "Priority", "AffectedSOPClassUID", "AffectedSOPInstanceUID", "MessageIDBeingRespondedTo")


def _encoded(number: int, priority: int, sop_class: str, sop_instance: str, **more: object) -> bytes:
    """A request as pynetdicom sends it."""
    request = C_STORE()
    request.MessageID, request.Priority = number, priority
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = UID(sop_class), UID(sop_instance)
    for name, value in more.items():
        setattr(request, name, value)
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    message.command_set.CommandDataSetType = 0x0001
    message._set_command_group_length()
    (part,) = message.encode_msg(1, 0)
    return bytes(part.presentation_data_value_list[0][1][1:])


def _by_pynetdicom(command: bytes) -> object:
    data = P_DATA()
    data.presentation_data_value_list.append((1, b"\x03" + command))
    message = DIMSEMessage()
    message.decode_msg(data)
    return message.message_to_primitive()


@given(st.integers(0, 65535), st.integers(0, 2), _UIDS, _UIDS)
def test_a_request_is_the_one_that_pynetdicom_reads(
    number: int, priority: int, sop_class: str, sop_instance: str
) -> None:
    command = _encoded(number, priority, sop_class, sop_instance)
    request, expected = read_store_request(command), _by_pynetdicom(command)
    assert request is not None
    for name in _COMPARED:
        assert getattr(request, name) == getattr(expected, name)


_COMMAND = _encoded(7, 0, "1.2.840.10008.5.1.4.1.1.2", "1.2.3")


@given(st.dictionaries(st.integers(0, len(_COMMAND) - 1), st.integers(0, 255), max_size=3), st.integers(0, 3))
def test_what_is_read_of_a_damaged_request_is_what_pynetdicom_reads(changes: dict[int, int], cut: int) -> None:
    damaged = bytearray(_COMMAND)
    for place, value in changes.items():
        damaged[place] = value
    command = bytes(damaged[: len(damaged) - cut])
    request = read_store_request(command)
    if request is not None:
        expected = _by_pynetdicom(command)
        assert isinstance(expected, C_STORE)
        for name in _COMPARED:
            assert getattr(request, name) == getattr(expected, name)


@pytest.mark.parametrize(
    "command",
    [
        b"",
        _COMMAND[:-1],
        _COMMAND + bytes(8),
        _COMMAND.replace(b"1.2.3\0", b"1/2.3\0"),
        _COMMAND.replace(b"\0\7\2\0\0\0\0\0", b"\0\7\2\0\0\0\3\0"),
        _COMMAND.replace(b"\0\1\2\0\0\0\1\0", b"\0\1\2\0\0\0\x30\0"),
        _COMMAND.replace(b"\0\x08\2\0\0\0\1\0", b"\0\x08\2\0\0\0\1\1"),
        _encoded(7, 0, "1.2", "1.2.3", MoveOriginatorApplicationEntityTitle="MOVER"),
    ],
    ids=["empty", "cut", "longer", "no UID", "no priority", "an echo", "no data set", "of a move"],
)
def test_every_other_command_is_left_to_pynetdicom(command: bytes) -> None:
    assert command != _COMMAND
    assert read_store_request(command) is None
