"""A received data set as a DICOM file, and what a DICOM file says of itself.

An association transfers a data set without a file's header.  The header written here holds what was agreed on and
nothing else: transfer syntax, SOP class and instance, calling AE title.  It follows from these alone, so the hash of
the file (F0) binds the encoded data set to the syntax and the sender, and the file as kept is IDENTICAL to the record.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.filereader import read_dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from mithridate.ledger.fingerprint.dicom_file import DicomFile, parse_file
from mithridate.ledger.fingerprint.model import Limits

IMPLEMENTATION_UID = "2.25.171161033759697785104319940949460228972"
IMPLEMENTATION_NAME = "MITHRIDATE_1"

_STUDY_TAG = 0x0020000D
_UIDS = (0x00080016, 0x00080018, _STUDY_TAG)


@dataclass(frozen=True)
class Stated:
    """What an object says it is; empty strings for what it does not say."""

    sop_class: str = ""
    sop_instance: str = ""
    study: str = ""
    syntax: str = ""


def file_header(*, syntax: str, sop_class: str, sop_instance: str, calling: str) -> bytes:
    """The header (PS3.10 7.1) that makes a file of a data set; `calling` is the sender's AE title."""
    elements = b"".join(
        (
            struct.pack("<HH2s2xI", 2, 0x0001, b"OB", 2) + b"\x00\x01",
            _short(0x0002, b"UI", sop_class, b"\x00"),
            _short(0x0003, b"UI", sop_instance, b"\x00"),
            _short(0x0010, b"UI", syntax, b"\x00"),
            _short(0x0012, b"UI", IMPLEMENTATION_UID, b"\x00"),
            _short(0x0013, b"SH", IMPLEMENTATION_NAME, b" "),
            _short(0x0017, b"AE", calling, b" "),
        )
    )
    return bytes(128) + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(elements)) + elements


def read_stated(data: bytes, limits: Limits) -> Stated:
    """What a DICOM file says it is; nothing for another kind of file.

    Reads no further than it must.  Damaged files make it raise nearly any exception.
    """
    if not is_dicom(data):
        return Stated()
    stream = io.BytesIO(data)
    stream.seek(132)
    meta = read_dataset(stream, False, True, stop_when=lambda tag, *_: tag >> 16 != 2)
    syntax = UID(str(meta.get("TransferSyntaxUID", "")))
    if not syntax.is_transfer_syntax:
        return Stated(syntax=str(syntax))
    if syntax == DeflatedExplicitVRLittleEndian:
        dataset = parse_file(data, "", limits).dataset  # which inflates no more than it may
    else:
        implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
        dataset = read_dataset(stream, implicit, little, stop_when=lambda tag, *_: tag > _STUDY_TAG)
    sop_class, sop_instance, study = (
        str(dataset.get(keyword, "") or "") for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID")
    )
    return Stated(sop_class, sop_instance, study, str(syntax))


def stated_in(file: DicomFile) -> Stated:
    """What a file that is parsed already says it is."""
    sop_class, sop_instance, study = (_text(file.dataset.get_item(tag)) for tag in _UIDS)
    return Stated(sop_class, sop_instance, study, str(file.syntax))


def is_dicom(data: bytes) -> bool:
    """Whether the bytes start as a DICOM file does."""
    return data[128:132] == b"DICM"


def _text(element: RawDataElement | DataElement | None) -> str:
    value = element.value if element is not None else None
    return (value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")).strip(" \x00")


def _short(element: int, vr: bytes, text: str, padding: bytes) -> bytes:
    value = text.encode("ascii")
    value += padding * (len(value) % 2)
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value
