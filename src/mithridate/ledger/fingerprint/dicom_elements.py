"""The elements of an encoded data set, one after another, as pydicom would give them and several times as fast.

Only the plainest form is read here: a standard VR, or none where the syntax has none, and a stated length.  Whatever
else may come is left to pydicom's own reader, element by element.  Pixel data of a stated length are not copied out of
the data: their element is deferred, as pydicom calls one without its value.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache, lru_cache
from struct import Struct
from typing import TypeAlias, cast

from pydicom._dicom_dict import DicomDictionary
from pydicom.charset import convert_encodings
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement, empty_value_for_VR
from pydicom.filereader import data_element_generator
from pydicom.tag import BaseTag
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, VR
from pydicom.values import convert_string

Element: TypeAlias = "RawDataElement | DataElement"

TAGS = {tag: BaseTag(tag) for tag in DicomDictionary}
"""The standard's tags, each one object: dictionaries compare the same object quickly, two equal tags slowly."""

_UNDEFINED = 0xFFFFFFFF
_PIXELS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))  # the only values that are worth not copying
_CHARACTER_SET = 0x00080005
_DELIMITERS = 0xFFFE0000  # the tags from here on end a sequence or an item
_SHORT = {str(vr).encode(): str(vr) for vr in VR if len(vr) == 2 and vr not in EXPLICIT_VR_LENGTH_32}
_LONG = {str(vr).encode(): str(vr) for vr in VR if len(vr) == 2 and vr in EXPLICIT_VR_LENGTH_32}


@cache
def known_tag(keyword: str) -> BaseTag:
    """The tag of an attribute of the standard."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise AssertionError(f"{keyword} is in no DICOM dictionary")
    return TAGS[tag]


def read_elements(data: bytes, start: int, implicit: bool, little: bool) -> Iterator[tuple[int, Element, int]]:
    """Each element from `start` on: its tag as a number, the element, and where the next one starts.

    The last value may be shorter than it says, and the end may come before the data's: the caller compares.  Pixel
    data may be without their value, which `deferred_value` gives.  Raises what pydicom raises, which is nearly
    anything, on damaged bytes.
    """
    order = "<" if little else ">"
    explicit_head, implicit_head, long_length = Struct(f"{order}HH2sH"), Struct(f"{order}HHL"), Struct(f"{order}L")
    encoding: str | list[str] = "iso8859"
    place, size = start, len(data)
    last = size - 8
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
        place = value_at + length
        value: bytes | None
        if not length:
            value = cast("bytes | None", empty_value_for_VR(vr, raw=True))
        elif place > size:
            value, place = data[value_at:], size
        else:
            value = data[value_at:place] if tag not in _PIXELS else None
        if tag == _CHARACTER_SET:
            encoding = convert_encodings(convert_string(value or b"", little))
        yield tag, RawDataElement(_known(tag), vr, length, value, value_at, implicit, little, True), place


def deferred_value(element: Element, data: bytes) -> memoryview | None:
    """The value of an element that was left in the data it was read from, None where it has its value with it."""
    if not isinstance(element, RawDataElement) or element.value is not None or not element.length:
        return None
    return memoryview(data)[element.value_tell : element.value_tell + element.length]


@lru_cache(1 << 14)
def _known(tag: int) -> BaseTag:
    return TAGS.get(tag) or BaseTag(tag)


def _read_by_pydicom(
    data: bytes, place: int, implicit: bool, little: bool, encoding: str | list[str]
) -> tuple[Element | None, int]:
    """One element of any form, None at a delimiter, and where the next one starts."""
    stream = io.BytesIO(data)  # which shares the bytes and does not copy them
    stream.seek(place)
    element = next(data_element_generator(stream, implicit, little, encoding=encoding), None)
    return element, stream.tell()
