"""A DICOM file or data set taken apart strictly: what another parser could read differently is refused.

The structure is read and checked here, the values are read by pydicom.  Elements stand in ascending order, each once,
and end where they say; a deflated data set is inflated within a limit; nothing is left over at the end.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

from pydicom.charset import convert_encodings
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from mithridate.ledger.fingerprint.dicom_elements import Element, read_elements
from mithridate.ledger.fingerprint.model import FingerprintError, Limits

_PREAMBLE = 128
_MARK = b"DICM"
_UNDEFINED = 0xFFFFFFFF
_TRAILING_PADDING = 0xFFFCFFFC
_HEADER_GROUP = b"\x02\x00"
_TRANSFER_SYNTAX = 0x00020010
_FIRST_TAG = 0x00080000  # what stands before belongs to a message or to a file's header


@dataclass(frozen=True)
class DicomFile:
    """A parsed data set.

    Attributes: dataset, syntax (transfer syntax), is_little_endian (whether the bytes of its elements are: they all are
    or none is), elements (those at its top level in ascending order, raw until the data set was asked for them), data
    (the bytes that the elements were read from, already inflated).
    """

    dataset: Dataset
    syntax: UID
    is_little_endian: bool
    elements: dict[int, Element]
    data: bytes = field(repr=False)


def parse_file(data: bytes, name: str, limits: Limits) -> DicomFile:
    """Parse the bytes of a DICOM file.  Raises FingerprintError, naming the file, when they are not exactly one."""
    if data[_PREAMBLE : _PREAMBLE + 4] != _MARK:
        raise FingerprintError(
            f"{name} has no DICOM header, so its transfer syntax is unknown: write it as a DICOM file first"
        )
    try:
        syntax, start = _read_header(data, name)
    except FingerprintError:
        raise
    except Exception as error:  # the parser raises many types on damaged bytes
        raise damaged(name, error) from error
    return parse_data_set(data, syntax, name, limits, start=start)


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
        dataset, elements = _parse(data, start, uid == ImplicitVRLittleEndian, little, name)
        return DicomFile(dataset, uid, little, elements, data)
    except FingerprintError:
        raise
    except Exception as error:
        raise damaged(name, error) from error


def _read_header(data: bytes, name: str) -> tuple[str, int]:
    """The transfer syntax that a file's header states, empty when it states none, and where the data set starts."""
    syntax, place = "", _PREAMBLE + len(_MARK)
    elements = read_elements(data, place, False, True)
    while data[place : place + 2] == _HEADER_GROUP:
        tag, element, place = next(elements, (0, None, len(data)))
        if tag == _TRANSFER_SYNTAX:
            if syntax:
                raise FingerprintError(f"{name} states its transfer syntax twice: have the sender correct it")
            value = element.value if element is not None else None
            syntax = value.decode("ascii").rstrip(" \x00") if isinstance(value, bytes) else ""
    return syntax, place


def _parse(data: bytes, start: int, implicit: bool, little: bool, name: str) -> tuple[Dataset, dict[int, Element]]:
    elements: dict[Any, Element] = {}
    element: Element | None = None
    previous, end = _FIRST_TAG - 1, start
    for tag, element, after in read_elements(data, start, implicit, little):
        if tag <= previous:
            raise FingerprintError(
                f"{name} has the element {element.tag} out of order or twice, which readers resolve differently: "
                "have the sender correct it"
            )
        previous = tag
        elements[element.tag] = element
        end = after
    if isinstance(element, RawDataElement) and element.length not in (_UNDEFINED, _size(element, data)):
        raise FingerprintError(f"{name} ends early, inside the element {element.tag}: fetch it again")
    if end != len(data):
        raise FingerprintError(f"{name} ends early, or holds something after its last element: fetch it again")
    elements.pop(_TRAILING_PADDING, None)  # by definition without meaning
    dataset = FileDataset(io.BytesIO(data), elements)  # which shares the bytes, and reads deferred values from them
    charset = dataset.get("SpecificCharacterSet")
    dataset.set_original_encoding(implicit, little, convert_encodings(charset) if charset else "iso8859")
    return dataset, elements


def _size(element: RawDataElement, data: bytes) -> int:
    """How many bytes of an element's value are there."""
    if element.value is None:
        return min(element.length, len(data) - element.value_tell)
    return len(element.value)


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
