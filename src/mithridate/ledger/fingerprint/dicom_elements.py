"""The elements of an encoded data set, one after another, as pydicom would give them and several times as fast.

Only the plainest form is read here: a standard VR, or none where the syntax has none, and a stated length.  Whatever
else may come is left to pydicom's own reader, element by element.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from struct import Struct
from typing import TypeAlias, cast

from pydicom._dicom_dict import DicomDictionary
from pydicom.charset import convert_encodings
from pydicom.dataelem import DataElement, RawDataElement, empty_value_for_VR
from pydicom.filereader import data_element_generator
from pydicom.tag import BaseTag
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, VR
from pydicom.values import convert_string

Element: TypeAlias = "RawDataElement | DataElement"

TAGS = {tag: BaseTag(tag) for tag in DicomDictionary}
"""The standard's tags, each one object: dictionaries compare the same object quickly, two equal tags slowly."""

_UNDEFINED = 0xFFFFFFFF
_CHARACTER_SET = 0x00080005
_DELIMITERS = 0xFFFE0000  # the tags from here on end a sequence or an item
_SHORT = {str(vr).encode(): str(vr) for vr in VR if len(vr) == 2 and vr not in EXPLICIT_VR_LENGTH_32}
_LONG = {str(vr).encode(): str(vr) for vr in VR if len(vr) == 2 and vr in EXPLICIT_VR_LENGTH_32}


def read_elements(data: bytes, start: int, implicit: bool, little: bool) -> Iterator[tuple[int, Element, int]]:
    """Each element from `start` on: its tag as a number, the element, and where the next one starts.

    The last value may be shorter than it says, and the end may come before the data's: the caller compares.  Raises
    what pydicom raises, which is nearly anything, on damaged bytes.
    """
    order = "<" if little else ">"
    explicit_head, implicit_head, long_length = Struct(f"{order}HH2sH"), Struct(f"{order}HHL"), Struct(f"{order}L")
    encoding: str | list[str] = "iso8859"
    place, last = start, len(data) - 8
    while place <= last:
        vr: str | None = None
        value_at = place + 8
        if implicit:
            group, number, length = implicit_head.unpack_from(data, place)
        else:
            group, number, code, length = explicit_head.unpack_from(data, place)
            vr = _SHORT.get(code)
            if vr is None:
                vr = _LONG.get(code)
                length = _UNDEFINED if vr is None else long_length.unpack_from(data, value_at)[0]
                value_at += 4
        tag = group << 16 | number
        if length == _UNDEFINED or tag >= _DELIMITERS:
            odd, place = _read_by_pydicom(data, place, implicit, little, encoding)
            if odd is None:
                return
            yield int(odd.tag), odd, place
            continue
        place = min(value_at + length, len(data))
        value = data[value_at:place] if length else cast("bytes | None", empty_value_for_VR(vr, raw=True))
        if tag == _CHARACTER_SET:
            encoding = convert_encodings(convert_string(value or b"", little))
        known = TAGS.get(tag) or BaseTag(tag)
        yield tag, RawDataElement(known, vr, length, value, value_at, implicit, little, True), place


def _read_by_pydicom(
    data: bytes, place: int, implicit: bool, little: bool, encoding: str | list[str]
) -> tuple[Element | None, int]:
    """One element of any form, None at a delimiter, and where the next one starts."""
    stream = io.BytesIO(data)  # which shares the bytes and does not copy them
    stream.seek(place)
    element = next(data_element_generator(stream, implicit, little, encoding=encoding), None)
    return element, stream.tell()
