"""The DICOM door, from the other side of a network connection."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable

import pytest
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from ledger.dicom_files import FOLDER, LOSSLESS, LOSSY, read, write
from ledger.receive.sending import CT, PATIENT, associated, image, kept, send, split, store
from mithridate.ledger.fingerprint import Verdict, fingerprint_image
from mithridate.ledger.log import Ledger
from mithridate.ledger.receive.dicom import DicomReceiver
from mithridate.ledger.receive.intake import Arrival, Intake
from mithridate.ledger.receive.spool import Spool
from mithridate.ledger.station import Station

Start = Callable[..., DicomReceiver]


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


def test_an_object_is_hashed_while_it_comes(ledger: Ledger, station: Station) -> None:
    arrivals: list[Arrival] = []
    intake = Intake(ledger, station, limits=PATIENT, observer=lambda arrival, _: arrivals.append(arrival))
    with DicomReceiver(intake, port=0, ae_title="LEDGER") as receiver:
        for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
            assert store(receiver.port, image(syntax=syntax)).Status == 0
    assert [arrival.digest for arrival in arrivals] == [hashlib.sha256(arrival.data).digest() for arrival in arrivals]


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


def test_an_image_without_pixels_is_refused_by_name(receiver: Start) -> None:
    dataset = read("CT_small.dcm")
    del dataset.PixelData
    with associated(receiver().port) as association:
        status = association.send_c_store(dataset)
    assert status.Status == 0xC000
    assert "has no pixel data" in status.ErrorComment


@pytest.mark.parametrize("name", ["reportsi.dcm", "test-SR.dcm", "waveform_ecg.dcm"])
def test_reports_and_plans_pass_and_are_logged_as_what_they_are(
    door: tuple[DicomReceiver, Spool], ledger: Ledger, name: str
) -> None:
    """A receiver stands between a hospital's devices and its PACS: what is no image must get through it too."""
    data = (FOLDER / name).read_bytes()
    before = kept(door[1])
    assert store(door[0].port, data).Status == 0x0000
    (file,) = set(kept(door[1])) - set(before)
    assert split(file)[1] == split(data)[1]
    assert ledger.judge(file, name).verdict is Verdict.IDENTICAL
    assert ledger.judge(data, name).verdict is Verdict.TRANSCODED


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
