"""Bytes on the wire that no proper sender sends, and connections that stall or break off."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from ledger.receive.sending import CT, PATIENT, associated, image, kept, send, split, store, wait_for
from mithridate.ledger.fingerprint import Verdict
from mithridate.ledger.log import Ledger
from mithridate.ledger.receive.dicom import DicomReceiver
from mithridate.ledger.receive.limits import ReceiveLimits
from mithridate.ledger.receive.spool import Spool

Start = Callable[..., DicomReceiver]


def test_an_object_without_an_end_is_cut_off(receiver: Start, caplog: pytest.LogCaptureFixture) -> None:
    with associated(receiver(replace(PATIENT, object_bytes=60_000)).port) as association:
        assert "Status" not in send(association, bytes(2_000_000))
        wait_for(lambda: association.is_aborted)
    assert "more than twice the 60,000 bytes" in caplog.text


def association_request(title: bytes = b"RAW") -> bytes:
    """An A-ASSOCIATE-RQ for CT in explicit little endian (PS3.8 9.3.2)."""

    def item(kind: int, content: bytes) -> bytes:
        return struct.pack(">BxH", kind, len(content)) + content

    context = b"\x01\0\0\0" + item(0x30, CT.encode()) + item(0x40, str(ExplicitVRLittleEndian).encode())
    user = item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3")
    content = struct.pack(">HH16s16s32x", 1, 0, b"LEDGER".ljust(16), title.ljust(16))
    content += item(0x10, b"1.2.840.10008.3.1.1.1") + item(0x20, context) + item(0x50, user)
    return struct.pack(">BxI", 1, len(content)) + content


@contextmanager
def established(port: int) -> Iterator[socket.socket]:
    """A connection on which an association is established and nothing else done."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(association_request())
        assert connection.recv(4096)[0] == 2  # A-ASSOCIATE-AC
        yield connection


def data_pdu(content: bytes, *, command: bool = False, last: bool = True) -> bytes:
    value = struct.pack(">IBB", len(content) + 2, 1, int(command) | 2 * int(last)) + content
    return struct.pack(">BxI", 4, len(value)) + value


def store_command() -> bytes:
    def element(tag: int, value: bytes) -> bytes:
        return struct.pack("<HHI", 0, tag, len(value)) + value

    body = element(2, CT.encode() + b"\0") + element(0x100, b"\1\0") + element(0x110, b"\1\0")
    body += element(0x700, b"\0\0") + element(0x800, b"\0\0") + element(0x1000, b"1.2.3\0")
    return element(0, struct.pack("<I", len(body))) + body


def together(*pdus: bytes) -> bytes:
    """The same items in one PDU."""
    items = b"".join(pdu[6:] for pdu in pdus)
    return struct.pack(">BxI", 4, len(items)) + items


_COMMAND = data_pdu(store_command(), command=True)
_OTHER_COMMAND = data_pdu(store_command().replace(b"1.2.3\0", b"1.2.4\0"), command=True)
_NOTHING = data_pdu(b"", last=False)


@pytest.mark.parametrize(
    "cut",
    [
        lambda half, rest: _COMMAND + half + rest,
        lambda half, rest: together(_COMMAND, half, rest),
        lambda half, rest: together(_COMMAND, half) + rest,
        lambda half, rest: _COMMAND + together(half, rest),
        lambda half, rest: _COMMAND + _NOTHING + half + _NOTHING + rest,
        lambda half, rest: half + _COMMAND + rest,
        lambda half, rest: together(_OTHER_COMMAND, half) + _COMMAND + rest,
    ],
    ids=["plain", "one PDU", "command with data", "data in one", "empty parts", "data first", "second command"],
)
def test_however_an_object_is_cut_what_is_kept_is_what_is_recorded(
    receiver: Start, ledger: Ledger, spool: Spool, cut: Callable[[bytes, bytes], bytes]
) -> None:
    data_set = split(image(SOPInstanceUID="1.2.3", StudyInstanceUID=generate_uid()))[1]
    with established(receiver().port) as connection:
        connection.sendall(cut(data_pdu(data_set[:20_001], last=False), data_pdu(data_set[20_001:])))
        assert connection.recv(4096)[0] == 4  # an answer
    (file,) = kept(spool)
    assert ledger.judge(file, "kept").verdict is Verdict.IDENTICAL
    assert split(file)[1] == data_set
    assert split(file)[0].file_meta.MediaStorageSOPInstanceUID == "1.2.3"


@pytest.mark.parametrize("command", [_COMMAND, _OTHER_COMMAND, data_pdu(b"", command=True, last=False)])
def test_a_command_in_the_midst_of_an_object_ends_the_association(
    receiver: Start, ledger: Ledger, spool: Spool, command: bytes
) -> None:
    size, data_set = ledger.size, split(image(SOPInstanceUID="1.2.3"))[1]
    with established(receiver().port) as connection:
        connection.sendall(_COMMAND + data_pdu(data_set[:20_001], last=False) + command + data_pdu(data_set[20_001:]))
        assert ended(connection)
    assert (kept(spool), ledger.size) == ([], size)


def test_an_association_aborted_in_the_middle_of_an_object_leaves_nothing(
    receiver: Start, ledger: Ledger, spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    port, size = receiver().port, ledger.size
    data_set = split(image())[1]
    for ending in (b"\x07\0\0\0\0\4\0\0\0\0", b""):  # A-ABORT, and a connection that is simply gone
        with established(port) as connection:
            connection.sendall(data_pdu(store_command(), command=True) + data_pdu(data_set[:20_000], last=False))
            connection.sendall(ending)
        wait_for(lambda: "broke off after 20000 bytes" in caplog.text)
        caplog.clear()
    assert ledger.size == size
    assert kept(spool) == []
    assert list(spool.incoming.iterdir()) == []


def test_a_sender_that_stalls_is_cut_off_between_objects_and_within_a_pdu(receiver: Start) -> None:
    port = receiver(ReceiveLimits(idle_seconds=0.5)).port
    with established(port) as idle, established(port) as stalled:
        stalled.sendall(data_pdu(store_command(), command=True) + b"\x04\0\0")
        assert ended(idle)
        assert ended(stalled)


def test_a_connection_that_never_asks_for_an_association_is_ended(receiver: Start) -> None:
    with socket.create_connection(
        ("127.0.0.1", receiver(ReceiveLimits(handshake_seconds=0.5)).port), timeout=10
    ) as connection:
        assert ended(connection)


def ended(connection: socket.socket) -> bool:
    """Whether the other side closes the connection, whatever it says first."""
    connection.settimeout(90)
    try:
        while connection.recv(4096):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize(
    "attack",
    [
        b"\x04\0\xff\xff\xff\xff" + bytes(1000),
        b"\x09\0\0\0\0\4abcd",
        b"GET / HTTP/1.1\r\n\r\n",
        data_pdu(b"\xff" * 100, command=True),
        data_pdu(b"", command=True),
        data_pdu(bytes(16_000), command=True, last=False) * 10,
        data_pdu(store_command()[:-20], command=True),
        b"\x04\0\0\0\0\6\0\0\xff\xff\1\0",
        data_pdu(store_command().replace(b"\0\1\2\0\0\0\1\0", b"\0\1\2\0\0\0\x77\x77"), command=True),
        (data_pdu(store_command(), command=True) + data_pdu(b"x")) * 40,
    ],
    ids=[
        "PDU of 4 GiB",
        "unknown PDU",
        "HTTP",
        "garbage for a command",
        "empty command",
        "command without an end",
        "cut command",
        "false item length",
        "unknown command",
        "no waiting for answers",
    ],
)
def test_nonsense_ends_its_own_association_and_no_other(
    door: tuple[DicomReceiver, Spool], ledger: Ledger, attack: bytes
) -> None:
    running, size = door[0], ledger.size
    with associated(running.port) as other, established(running.port) as connection:
        connection.sendall(attack)
        assert ended(connection)
        assert other.is_established
        data = image()
        assert send(other, split(data)[1], sop_instance=str(split(data)[0].SOPInstanceUID)).Status == 0
    assert ledger.size == size + 1
    wait_for(lambda: running.associations == 0)


def test_nonsense_before_an_association_does_not_stop_the_receiver(receiver: Start) -> None:
    port = receiver().port
    for attack in (os.urandom(3000), b"", association_request()[:50], b"\x01\0\xff\xff\xff\xff"):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(attack)
    assert store(port, image()).Status == 0


def test_no_thread_and_no_file_is_left_of_associations_that_ended(receiver: Start) -> None:
    import gc

    running = receiver()
    port = running.port
    store(port, image())
    wait_for(lambda: running.associations == 0)
    gc.collect()
    before = len(list(Path("/proc/self/fd").iterdir())), threading.active_count()
    for _ in range(8):
        store(port, image())
    wait_for(lambda: running.associations == 0 and threading.active_count() <= before[1])
    gc.collect()
    # The thread that writes tiles may just have a file open.
    wait_for(lambda: len(list(Path("/proc/self/fd").iterdir())) <= before[0])
    assert threading.active_count() <= before[1]
