"""The file made of a received data set: readable by others, and bound to how and from whom it came."""

from __future__ import annotations

import hashlib
import io
import zlib

import pytest
from pydicom import dcmread
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from ledger.dicom_files import LOSSLESS, LOSSY, NATIVE, read, to_native, to_syntax, write
from ledger.receive.sending import CT, image, split
from mithridate.ledger.fingerprint import fingerprint_image
from mithridate.ledger.fingerprint.dicom import fingerprint_data_set
from mithridate.ledger.fingerprint.model import FingerprintError, Limits
from mithridate.ledger.receive.part10 import Stated, file_header, read_stated

FIELDS = {"syntax": str(ExplicitVRLittleEndian), "sop_class": CT, "sop_instance": "1.2.34", "calling": "CT1"}


@pytest.mark.parametrize("name", [*LOSSLESS[:12], *LOSSY[:4]])
def test_a_data_set_and_the_file_made_of_it_have_one_fingerprint_but_for_the_file_hash(name: str) -> None:
    header, data_set = split(write(read(name)))
    syntax = str(header.file_meta.TransferSyntaxUID)
    file = file_header(syntax=syntax, sop_class=CT, sop_instance="1.2", calling="CT1") + data_set
    whole, bare = fingerprint_image(file, name), fingerprint_data_set(data_set, syntax, name)
    assert whole.file == hashlib.sha256(file).digest()
    for field in ("stream", "pixels", "coding", "attributes", "identity", "frames", "fault"):
        assert getattr(whole, field) == getattr(bare, field)


def test_other_programs_read_the_header() -> None:
    for calling in ("CT1", "A_TITLE_OF_16_CH"):
        _, data_set = split(image())
        header = file_header(**{**FIELDS, "calling": calling})
        found = dcmread(io.BytesIO(header + data_set))
        meta = found.file_meta
        assert meta.MediaStorageSOPClassUID == CT
        assert meta.MediaStorageSOPInstanceUID == "1.2.34"
        assert meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert meta.SendingApplicationEntityTitle == calling
        assert UID(meta.ImplementationClassUID).is_valid
        assert found.Modality == "CT"
        assert meta.FileMetaInformationGroupLength == len(header) - 144


@pytest.mark.parametrize("field", list(FIELDS))
def test_the_header_binds_everything_that_was_agreed_on(field: str) -> None:
    changed = {**FIELDS, field: FIELDS[field] + "1"}
    assert file_header(**changed) != file_header(**FIELDS)
    assert file_header(**FIELDS) == file_header(**FIELDS)


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda uid: uid.name)
def test_what_an_object_states_is_read_in_every_encoding(syntax: UID) -> None:
    dataset = to_native(read("MR_small.dcm"))
    stated = read_stated(write(to_syntax(dataset, syntax)), Limits())
    assert stated == Stated(
        str(dataset.SOPClassUID), str(dataset.SOPInstanceUID), str(dataset.StudyInstanceUID), str(syntax)
    )


def test_a_file_that_is_no_dicom_states_nothing() -> None:
    assert read_stated(b"\x89PNG" * 100, Limits()) == Stated()


def test_reading_what_an_object_states_inflates_no_bomb() -> None:
    machine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = machine.compress(bytes(64 << 20)) + machine.flush()
    header = file_header(**{**FIELDS, "syntax": str(DeflatedExplicitVRLittleEndian)})
    with pytest.raises(FingerprintError, match="inflates to more than"):
        read_stated(header + bomb, Limits(inflated_bytes=1 << 20))
