"""A sender for tests: DICOM files to associations, byte for byte as they stand, or spoiled on purpose."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.filereader import read_dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, Association
from pynetdicom.dimse_primitives import C_STORE

from ledger.dicom_files import read, to_native, to_syntax, write
from mithridate.ledger.receive.limits import ReceiveLimits
from mithridate.ledger.receive.spool import Spool

CT = "1.2.840.10008.5.1.4.1.1.2"
PATIENT = ReceiveLimits(handshake_seconds=300, idle_seconds=300)
"""Limits for tests that are not about them, also on a busy machine."""


def image(*, name: str = "CT_small.dcm", syntax: UID = ExplicitVRLittleEndian, **attributes: Any) -> bytes:
    """A file with an instance UID of its own."""
    dataset = to_native(read(name))
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return write(to_syntax(dataset, syntax))


def split(data: bytes) -> tuple[FileDataset, bytes]:
    """A file's header, as a data set without pixels, and its encoded data set."""
    stream = BytesIO(data)
    stream.seek(132)
    read_dataset(stream, False, True, stop_when=lambda tag, *_: tag >> 16 != 2)
    return dcmread(io.BytesIO(data), stop_before_pixels=True), data[stream.tell() :]


@contextmanager
def associated(
    port: int, sop_class: str = CT, *syntaxes: str, calling: str = "SENDER", called: str = "LEDGER", **options: Any
) -> Iterator[Association]:
    """An association that was accepted."""
    entity = AE(calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 300
    entity.add_requested_context(sop_class, list(syntaxes) or [str(ExplicitVRLittleEndian)])
    association = entity.associate("127.0.0.1", port, ae_title=called, **options)
    assert association.is_established
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def send(
    association: Association, data_set: bytes, *, sop_class: str = CT, sop_instance: str = "1.2.3", context: int = 1
) -> Dataset:
    """Send an encoded data set as it stands; returns the status, empty when there was no answer."""
    request = C_STORE()
    request.MessageID = 1
    request.Priority = 2
    request.AffectedSOPClassUID = UID(sop_class)
    request.AffectedSOPInstanceUID = UID(sop_instance)
    request.DataSet = BytesIO(data_set)
    association._reactor_checkpoint.clear()  # or the association's own thread might take the answer
    while not association._is_paused:
        time.sleep(0.0001)
    association.dimse.send_msg(request, context)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    status = Dataset()
    if answer is not None and answer.Status is not None:
        status.Status = answer.Status
        if answer.ErrorComment:
            status.ErrorComment = answer.ErrorComment
    return status


def store(port: int, data: bytes, **options: Any) -> Dataset:
    """Send a file over an association of its own, in its own transfer syntax."""
    header, data_set = split(data)
    sop_class, syntax = str(header.file_meta.MediaStorageSOPClassUID), str(header.file_meta.TransferSyntaxUID)
    with associated(port, sop_class, syntax, **options) as association:
        return send(
            association, data_set, sop_class=sop_class, sop_instance=str(header.file_meta.MediaStorageSOPInstanceUID)
        )


def wait_for(condition: Callable[[], object], seconds: float = 120.0) -> None:
    """Wait until something is so; the time is for busy machines, and is no promise."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def kept(spool: Spool) -> list[bytes]:
    """The objects that a receiver keeps."""
    return [path.read_bytes() for path in sorted(spool.kept.iterdir())]
