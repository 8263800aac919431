"""What senders may ask of the DICOM door: sizes, numbers, titles, and a stop in the middle."""

from __future__ import annotations

import os
import socket
import threading
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
)
from pynetdicom import AE

from ledger.receive.sending import CT, PATIENT, associated, image, kept, send, split, store, wait_for
from mithridate.errors import UserError
from mithridate.ledger.fingerprint import Verdict, fingerprint_image
from mithridate.ledger.fingerprint.model import Limits
from mithridate.ledger.log import Ledger
from mithridate.ledger.receive.dicom import DicomReceiver
from mithridate.ledger.receive.intake import Intake
from mithridate.ledger.receive.quarantine import Quarantine
from mithridate.ledger.receive.spool import Spool
from mithridate.ledger.station import Station

Start = Callable[..., DicomReceiver]


def dataset_with_meta(dataset: Dataset) -> Dataset:
    from pydicom.dataset import FileMetaDataset

    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


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


def test_a_large_object_goes_through_the_disk_and_arrives_whole(
    receiver: Start, ledger: Ledger, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = image(Rows=2048, Columns=2048, PixelData=os.urandom(4096) * 2048)
    monkeypatch.setattr("mithridate.ledger.receive.body._IN_MEMORY", 1 << 20)
    assert store(receiver().port, data).Status == 0
    (file,) = kept(spool)
    assert split(file)[1] == split(data)[1]
    assert ledger.judge(data, "large").verdict is Verdict.TRANSCODED


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
