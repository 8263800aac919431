"""A DICOM file or data set taken apart strictly: what another parser could read differently is refused.

pydicom reads the values; the structure is checked here.  Elements stand in ascending order, each once, and end where
they say; a deflated data set is inflated within a limit; nothing is left over at the end.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Any

from pydicom.charset import convert_encodings
from pydicom.dataset import Dataset
from pydicom.filereader import data_element_generator, read_dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from mithridate.ledger.fingerprint.model import FingerprintError, Limits

_PREAMBLE = 128
_MARK = b"DICM"
_UNDEFINED = 0xFFFFFFFF
_TRAILING_PADDING = 0xFFFCFFFC
_FIRST_TAG = 0x00080000  # what stands before belongs to a message or to a file's header


@dataclass(frozen=True)
class DicomFile:
    """A parsed data set, its transfer syntax, and for each element whether its bytes are little endian (they all are
    or none is)."""

    dataset: Dataset
    syntax: UID
    is_little_endian: bool


def parse_file(data: bytes, name: str, limits: Limits) -> DicomFile:
    """Parse the bytes of a DICOM file.  Raises FingerprintError, naming the file, when they are not exactly one."""
    if data[_PREAMBLE : _PREAMBLE + 4] != _MARK:
        raise FingerprintError(
            f"{name} has no DICOM header, so its transfer syntax is unknown: write it as a DICOM file first"
        )
    stream = io.BytesIO(data)
    stream.seek(_PREAMBLE + 4)
    try:
        meta = read_dataset(stream, False, True, stop_when=lambda tag, *_: tag >> 16 != 2)
        syntax = str(meta.get("TransferSyntaxUID", ""))
    except Exception as error:  # the parser raises many types on damaged bytes
        raise damaged(name, error) from error
    return parse_data_set(data, syntax, name, limits, start=stream.tell())


def parse_data_set(data: bytes, syntax: str, name: str, limits: Limits, *, start: int = 0) -> DicomFile:
    """Parse an encoded data set without a header, as an association transfers it, in the syntax that it agreed on.

    It stands in the data from `start` on.  Raises FingerprintError as `parse_file` does.
    """
    uid = UID(syntax)
    if not syntax or uid.is_private or not uid.is_transfer_syntax:
        stated = f"{syntax!r}, which no standard defines" if syntax else "not stated"
        raise FingerprintError(f"{name} cannot be read: its transfer syntax is {stated}; convert it to a standard one")
    if uid == DeflatedExplicitVRLittleEndian:
        data, start = _inflate(data[start:], name, limits), 0
    little = uid != ExplicitVRBigEndian
    try:
        return DicomFile(_parse(data, start, uid == ImplicitVRLittleEndian, little, name), uid, little)
    except FingerprintError:
        raise
    except Exception as error:
        raise damaged(name, error) from error


def _parse(data: bytes, start: int, implicit: bool, little: bool, name: str) -> Dataset:
    stream = io.BytesIO(data)  # which shares the bytes and does not copy them
    stream.seek(start)
    elements: dict[Any, Any] = {}
    previous, end = _FIRST_TAG - 1, start
    for element in data_element_generator(stream, implicit, little):
        tag = int(element.tag)
        if tag <= previous:
            raise FingerprintError(
                f"{name} has the element {element.tag} out of order or twice, which readers resolve differently: "
                "have the sender correct it"
            )
        previous = tag
        length = getattr(element, "length", _UNDEFINED)
        if length != _UNDEFINED and len(element.value or b"") != length:
            raise FingerprintError(f"{name} ends early, inside the element {element.tag}: fetch it again")
        elements[element.tag] = element
        end = stream.tell()
    if end != len(data):
        raise FingerprintError(f"{name} ends early, or holds something after its last element: fetch it again")
    elements.pop(_TRAILING_PADDING, None)  # by definition without meaning
    dataset = Dataset(elements)
    charset = dataset.get("SpecificCharacterSet")
    dataset.set_original_encoding(implicit, little, convert_encodings(charset) if charset else "iso8859")
    return dataset


def _inflate(data: bytes, name: str, limits: Limits) -> bytes:
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = machine.decompress(data, limits.inflated_bytes)
    except zlib.error as error:
        raise damaged(name, error) from error
    if machine.unconsumed_tail:
        raise FingerprintError(f"{name} inflates to more than {limits.inflated_bytes:,} bytes: refused")
    checks = struct.pack("<II", zlib.crc32(inflated), len(inflated))  # which some writers add, as gzip does
    if not machine.eof or machine.unused_data.removeprefix(checks).strip(b"\x00"):
        raise FingerprintError(f"{name} ends early, or holds something after its deflated data set: fetch it again")
    return inflated


def damaged(name: str, error: Exception) -> FingerprintError:
    """The one sentence for bytes that pydicom cannot follow."""
    lines = str(error).strip().splitlines()
    gist = lines[0].rstrip(". ") if lines else type(error).__name__
    return FingerprintError(f"{name} cannot be parsed as DICOM ({gist}): it is damaged, fetch it again")
