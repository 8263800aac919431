"""The DICOM door, from the other side of a network connection."""

from __future__ import annotations

import logging
import os
import socket
import ssl
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from ledger.dicom_files import LOSSLESS, LOSSY, read, write
from ledger.receive.certificates import self_signed
from ledger.receive.sending import CT, PATIENT, associated, image, send, split, store, wait_for
from mithridate.errors import UserError
from mithridate.ledger.fingerprint import Verdict, fingerprint_image
from mithridate.ledger.fingerprint.model import Limits
from mithridate.ledger.log import Ledger
from mithridate.ledger.receive.dicom import DicomReceiver, server_tls
from mithridate.ledger.receive.intake import Intake
from mithridate.ledger.receive.limits import ReceiveLimits
from mithridate.ledger.receive.quarantine import Quarantine
from mithridate.ledger.receive.spool import Spool
from mithridate.ledger.station import Station

Start = Callable[..., DicomReceiver]
NO_IMAGE_CLASS = "1.2.840.10008.5.1.4.1.1.88.11"


def kept(spool: Spool) -> list[bytes]:
    return [path.read_bytes() for path in sorted(spool.kept.iterdir())]


@pytest.fixture(scope="module")
def door(
    ledger: Ledger, station: Station, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[DicomReceiver, Spool]]:
    """A receiver for many tests, and where it keeps what it receives."""
    spool = Spool(tmp_path_factory.mktemp("door") / "spool", forward=False, keep=True)
    with DicomReceiver(Intake(ledger, station, limits=PATIENT, spool=spool), port=0, ae_title="LEDGER") as running:
        yield running, spool


@pytest.mark.parametrize("name", [*LOSSLESS, *LOSSY])
def test_a_round_trip_is_transcoded_and_what_is_kept_identical(
    door: tuple[DicomReceiver, Spool], ledger: Ledger, name: str
) -> None:
    data = write(read(name))
    port, spool = door[0].port, door[1]
    before = kept(spool)
    if fingerprint_image(data, name).fault is not None:
        assert store(port, data).Status == 0xC000
        return
    size = ledger.size
    assert store(port, data).Status == 0x0000
    assert ledger.size == size + 1
    assert ledger.judge(data, name).verdict is Verdict.TRANSCODED  # with a header of its own
    (file,) = set(kept(spool)) - set(before)
    assert ledger.judge(file, name).verdict is Verdict.IDENTICAL
    assert split(file)[1] == split(data)[1]


def test_the_sender_is_part_of_what_is_recorded(receiver: Start, spool: Spool) -> None:
    port, data = receiver().port, image()
    assert store(port, data, calling="CT1").Status == 0
    assert store(port, data, calling="CT2").Status == 0
    assert {split(file)[0].file_meta.SendingApplicationEntityTitle for file in kept(spool)} == {"CT1", "CT2"}
    assert len({fingerprint_image(file, "").file for file in kept(spool)}) == 2


def test_echo_is_answered(receiver: Start) -> None:
    with associated(receiver().port, str(Verification), str(ImplicitVRLittleEndian)) as association:
        assert association.send_c_echo().Status == 0x0000


def test_the_senders_first_syntax_is_accepted_so_that_nothing_is_transcoded(receiver: Start) -> None:
    port = receiver().port
    for first, second in (
        (JPEG2000Lossless, ExplicitVRLittleEndian),
        (ExplicitVRBigEndian, ImplicitVRLittleEndian),
        (ImplicitVRLittleEndian, JPEG2000Lossless),
    ):
        with associated(port, CT, str(first), str(second)) as association:
            assert association.accepted_contexts[0].transfer_syntax == [first]


def test_what_is_no_storage_class_or_no_readable_syntax_is_not_accepted(receiver: Start) -> None:
    entity = AE()
    entity.add_requested_context(CT, "1.2.3.4")
    entity.add_requested_context("1.2.840.10008.5.1.4.1.2.1.1", ImplicitVRLittleEndian)  # a query
    entity.add_requested_context("1.2.3.4.5", ImplicitVRLittleEndian)
    entity.add_requested_context("1.2.840.10008.5.1.4.1.1.6", ImplicitVRLittleEndian)  # retired ultrasound
    association = entity.associate("127.0.0.1", receiver().port)
    results = {(str(c.abstract_syntax), c.result) for c in association.rejected_contexts}
    assert results == {(CT, 4), ("1.2.840.10008.5.1.4.1.2.1.1", 3), ("1.2.3.4.5", 3)}
    assert [str(c.abstract_syntax) for c in association.accepted_contexts] == ["1.2.840.10008.5.1.4.1.1.6"]
    association.release()


def with_header_lies() -> tuple[bytes, str, str]:
    return split(image())[1], CT, "1.2.3.4"


@pytest.mark.parametrize(
    ("spoil", "status", "said"),
    [
        (lambda data: data[:-3000], 0xC000, "ends early"),
        (lambda data: data[:40], 0xC000, ""),
        (lambda data: data + b"surplus!", 0xC000, ""),
        (lambda data: bytes(len(data)), 0xC000, ""),
        (lambda data: data.replace(b"\x28\x00\x10\x00US\x02\x00", b"\x28\x00\x10\x00XX\x02\x00"), 0xC000, ""),
        (lambda data: data.replace(b"1.3.6.1.4.1.5962", b"9.9.9.9.9.9.9999"), 0xA900, ""),
        (lambda data: data.replace(b"\x08\x00\x18\x00UI", b"\x08\x00\x19\x00UI"), 0xA900, ""),
    ],
    ids=["truncated", "a beginning", "surplus", "zeros", "unknown VR", "other UIDs", "no UID"],
)
def test_a_bad_object_gets_its_status_and_the_association_goes_on(
    receiver: Start,
    ledger: Ledger,
    spool: Spool,
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[bytes], bytes],
    status: int,
    said: str,
) -> None:
    good = write(read("CT_small.dcm"))
    header, data_set = split(good)
    uid = str(header.SOPInstanceUID)
    size = ledger.size
    with associated(receiver().port) as association, caplog.at_level(logging.INFO, "mithridate"):
        bad = send(association, spoil(data_set), sop_instance=uid)
        assert ledger.size == size
        after = send(association, data_set, sop_instance=uid)
    assert bad.Status == status
    assert said in bad.ErrorComment
    assert 0 < len(bad.ErrorComment) <= 64
    assert f"refused {status:#06x}: object {uid} from SENDER at 127.0.0.1" in caplog.text
    assert after.Status == 0x0000
    assert ledger.size == size + 1
    assert len(kept(spool)) == 1
    assert list(spool.incoming.iterdir()) == []


def test_an_object_without_pixels_is_refused_by_name(receiver: Start) -> None:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = NO_IMAGE_CLASS, "1.2.3"
    with associated(receiver().port, NO_IMAGE_CLASS) as association:
        status = association.send_c_store(dataset_with_meta(dataset))
    assert status.Status == 0xC000
    assert "has no pixel data" in status.ErrorComment


def dataset_with_meta(dataset: Dataset) -> Dataset:
    from pydicom.dataset import FileMetaDataset

    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def test_an_object_in_the_context_of_another_class_is_refused(receiver: Start) -> None:
    data = write(read("MR_small.dcm"))
    header, data_set = split(data)
    with associated(receiver().port, CT) as association:
        status = send(
            association,
            data_set,
            sop_class=str(header.SOPClassUID),
            sop_instance=str(header.SOPInstanceUID),
        )
    assert status.Status == 0xA900


def test_a_deflate_bomb_is_refused_and_costs_little_memory(receiver: Start) -> None:
    import resource

    machine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = b"".join(machine.compress(bytes(16 << 20)) for _ in range(10)) + machine.flush()
    limits = replace(PATIENT, fingerprint=Limits(inflated_bytes=1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with associated(receiver(limits).port, CT, str(DeflatedExplicitVRLittleEndian)) as association:
        status = send(association, bomb)
    assert status.Status == 0xC000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 80 << 10  # KiB


def test_too_large_an_object_is_dropped_while_it_streams_and_answered(receiver: Start, ledger: Ledger) -> None:
    port = receiver(replace(PATIENT, object_bytes=60_000)).port
    size = ledger.size
    with associated(port) as association:
        refused = send(association, bytes(100_000))
        data = image()
        accepted = send(association, split(data)[1], sop_instance=str(split(data)[0].SOPInstanceUID))
    assert refused.Status == 0xA700
    assert refused.ErrorComment.startswith("object is refused: it has more than the 60,000 bytes")
    assert accepted.Status == 0x0000
    assert ledger.size == size + 1


def test_an_object_without_an_end_is_cut_off(receiver: Start, caplog: pytest.LogCaptureFixture) -> None:
    with associated(receiver(replace(PATIENT, object_bytes=60_000)).port) as association:
        assert "Status" not in send(association, bytes(2_000_000))
        wait_for(lambda: association.is_aborted)
    assert "more than twice the 60,000 bytes" in caplog.text


def test_senders_that_are_not_on_the_list_are_rejected(receiver: Start, caplog: pytest.LogCaptureFixture) -> None:
    port = receiver(calling=["CT1", "CT2"]).port
    with associated(port, calling="CT2"):
        pass
    entity = AE("EVIL")
    entity.add_requested_context(CT)
    assert entity.associate("127.0.0.1", port).is_rejected
    assert "association with EVIL at 127.0.0.1 rejected" in caplog.text


def test_a_wrong_title_is_rejected_when_titles_count(receiver: Start) -> None:
    port = receiver(strict_called=True).port
    with associated(port, called="LEDGER"):
        pass
    entity = AE("CT1")
    entity.add_requested_context(CT)
    assert entity.associate("127.0.0.1", port, ae_title="OTHER").is_rejected


def test_more_associations_than_allowed_are_rejected_and_fewer_are_not(receiver: Start) -> None:
    port = receiver(replace(PATIENT, associations=2)).port
    entity = AE("CT1")
    entity.add_requested_context(CT)
    with associated(port), associated(port):
        assert entity.associate("127.0.0.1", port).is_rejected
    wait_for(lambda: entity.associate("127.0.0.1", port).is_established)
    for association in entity.active_associations:
        association.abort()


def test_parallel_senders_all_get_their_receipts(receiver: Start, ledger: Ledger, spool: Spool) -> None:
    port, size = receiver().port, ledger.size
    statuses = []

    def work() -> None:
        for _ in range(5):
            statuses.append(store(port, image()).Status)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [0] * 30
    assert ledger.size == size + 30
    assert len(kept(spool)) == 30
    assert not ledger.fsck().problems


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
    assert len(list(Path("/proc/self/fd").iterdir())) <= before[0] + 1


def test_a_restart_settles_what_a_crash_left(ledger: Ledger, station: Station, spool: Spool) -> None:
    logged, unknown = image(), image()
    Intake(ledger, station)._ledger.capture(logged, "IMG", station=station)
    for data in (logged, unknown):
        spool.write(data, fingerprint_image(data, "").file)
    assert Intake(ledger, station, spool=spool).recover() == 1
    assert kept(spool) == [logged]
    assert list(spool.incoming.iterdir()) == []


def test_names_and_addresses_that_cannot_be_used_are_said_so(ledger: Ledger, station: Station) -> None:
    intake = Intake(ledger, station)
    with pytest.raises(UserError, match="an AE title has 1 to 16 characters"):
        DicomReceiver(intake, ae_title="MUCH_TOO_LONG_A_TITLE")
    with pytest.raises(UserError, match=r"cannot listen on 192\.0\.2\.1 port 0"):
        DicomReceiver(intake, address="192.0.2.1", port=0)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """A self-signed certificate with its key for the receiver, one for a sender, and one for a stranger."""
    folder = tmp_path_factory.mktemp("tls")
    return {name: self_signed(folder, name) for name in ("receiver", "sender", "stranger")}


def client_tls(certificates: dict[str, tuple[Path, Path]], who: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificates["receiver"][0]))
    if who is not None:
        context.load_cert_chain(*certificates[who])
    return context


def test_over_tls_only_senders_with_a_known_certificate_are_heard(
    receiver: Start, certificates: dict[str, tuple[Path, Path]], caplog: pytest.LogCaptureFixture
) -> None:
    tls = server_tls(*certificates["receiver"], clients=certificates["sender"][0])
    port = receiver(replace(PATIENT, handshake_seconds=20.0), tls=tls).port
    # A client that opens a connection and says nothing keeps nobody waiting.
    with socket.create_connection(("127.0.0.1", port), timeout=60):
        data = image(name="MR_small.dcm")
        context = client_tls(certificates, "sender")
        assert store(port, data, tls_args=(context, "localhost")).Status == 0
    for who in (None, "stranger"):
        entity = AE()
        entity.add_requested_context(CT)
        association = entity.associate("127.0.0.1", port, tls_args=(client_tls(certificates, who), "localhost"))
        assert not association.is_established
    wait_for(lambda: caplog.text.count("TLS handshake with 127.0.0.1 failed") >= 2)


def test_files_that_hold_no_certificates_are_named(certificates: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    with pytest.raises(UserError, match=r"empty\.pem with .* is no certificate with its key"):
        server_tls(empty, certificates["receiver"][1])
    with pytest.raises(UserError, match=r"empty\.pem holds no certificates to check clients by"):
        server_tls(*certificates["receiver"], clients=empty)


def test_a_large_object_goes_through_the_disk_and_arrives_whole(
    receiver: Start, ledger: Ledger, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = image(Rows=2048, Columns=2048, PixelData=os.urandom(4096) * 2048)
    monkeypatch.setattr("mithridate.ledger.receive.body._IN_MEMORY", 1 << 20)
    assert store(receiver().port, data).Status == 0
    (file,) = kept(spool)
    assert split(file)[1] == split(data)[1]
    assert ledger.judge(data, "large").verdict is Verdict.TRANSCODED


def test_private_and_unknown_elements_arrive_as_they_were(receiver: Start, ledger: Ledger, spool: Spool) -> None:
    dataset = read("CT_small.dcm")
    block = dataset.private_block(0x0009, "MITHRIDATE TEST", create=True)
    block.add_new(0x01, "UN", b"\0\1\2\3")
    dataset.add_new(0x00091101, "LO", "kept")
    data = write(dataset)
    assert store(receiver().port, data).Status == 0
    (file,) = kept(spool)
    assert split(file)[1] == split(data)[1]
    assert UID(split(file)[0].file_meta.TransferSyntaxUID) == split(data)[0].file_meta.TransferSyntaxUID


def test_stopping_waits_for_the_object_at_work(ledger: Ledger, station: Station, quarantine: Quarantine) -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow:
        def capture_fingerprint(self, *arguments: object, **options: object) -> object:
            begun.set()
            go_on.wait(60)
            return ledger.capture_fingerprint(*arguments, **options)  # type: ignore[arg-type]

    receiver = DicomReceiver(Intake(Slow(), station), port=0, ae_title="LEDGER")  # type: ignore[arg-type]
    receiver.start()
    statuses = []
    sender = threading.Thread(target=lambda: statuses.append(store(receiver.port, image()).Status))
    sender.start()
    begun.wait(60)
    stopping = threading.Thread(target=receiver.stop)
    stopping.start()
    go_on.set()
    stopping.join(60)
    sender.join(60)
    assert statuses == [0]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", receiver.port), timeout=60)
