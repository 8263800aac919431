"""DICOM values in one form, whatever the transfer syntax wrote them in.

Byte order, padding, the explicit or implicit naming of a VR and the spelling of a number ("1", "1.0") are the sender's
business and vanish here; an empty value stays different from an absent one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from mithridate.ledger.canonical import Value
from mithridate.ledger.fingerprint.dicom_plain import DECIMAL, WHOLE, number, plain_value

_INTEGERS = {"US", "SS", "UL", "SL", "UV", "SV", "AT"}
_FLOATS = {"FL": "<f", "FD": "<d"}
_WORDS = {"OW": 2, "OF": 4, "OD": 8, "OL": 4, "OV": 8, "US or SS": 2, "US or OW": 2, "US or SS or OW": 2, "OB or OW": 2}
_FREE_TEXTS = {"ST", "LT", "UT"}  # in which leading spaces count


def canonical_value(dataset: Dataset, tag: int, little: bool) -> Value | None:
    """The value of an element, None when it is absent.

    A value that does not fit its VR is taken as the bytes that stand in the file.
    """
    found = dataset.get_item(tag, keep_deferred=True)
    return element_value(found, dataset, little) if isinstance(found, RawDataElement | DataElement) else None


def element_value(element: RawDataElement | DataElement, dataset: Dataset, little: bool) -> Value:
    """`canonical_value` of an element of the data set that is at hand already."""
    plain = plain_value(element) if isinstance(element, RawDataElement) else None
    if plain is not None:
        return plain
    try:
        return _element(dataset[element.tag], little)
    except Exception:  # converting a malformed value raises nearly any type
        stated = getattr(dataset.get_item(element.tag, keep_deferred=True), "value", None)
        return ("raw", stated if isinstance(stated, bytes) else repr(stated))


def canonical_items(value: Iterable[Dataset], little: bool) -> Value:
    """A sequence as the list of its items, each the list of its elements; private ones, which no model reads, are left
    out, because their VR is lost by implicit syntaxes."""
    return tuple(tuple((int(tag), canonical_value(item, tag, little)) for tag in public_tags(item)) for item in value)


def public_tags(item: Dataset) -> list[BaseTag]:
    """The tags of a data set in order, without private ones and group lengths."""
    return [tag for tag in sorted(item.keys()) if tag.group % 2 == 0 and tag.elem]


def _element(element: DataElement, little: bool) -> Value:
    vr, value = str(element.VR), element.value
    if vr == "SQ":
        return ("items", canonical_items(value, little))
    if value is None or (hasattr(value, "__len__") and len(value) == 0):
        return ("empty",)
    if isinstance(value, bytes):
        return ("bytes", swap_words(value, 1 if little else _WORDS.get(vr, 1)))
    values = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    if vr == "US" and _may_be_words(element.tag):  # a table is the same whether its VR is US or OW
        return ("bytes", struct.pack(f"<{len(values)}H", *values))
    if vr in _INTEGERS:
        return ("integers", tuple(int(one) for one in values))
    if vr in _FLOATS:
        return ("bytes", b"".join(struct.pack(_FLOATS[vr], one) for one in values))
    if vr in ("DS", "IS"):
        return ("numbers", tuple(number(str(one), DECIMAL if vr == "DS" else WHOLE) for one in values))
    strip = " \x00" if vr not in _FREE_TEXTS else ""
    return ("texts", tuple(str(one).strip(strip) if strip else str(one).rstrip(" \x00") for one in values))


def _may_be_words(tag: BaseTag) -> bool:
    try:
        return "OW" in dictionary_VR(tag)
    except KeyError:
        return False


def swap_words(data: bytes, size: int) -> bytes:
    """The data with the bytes of every word of `size` turned round; an odd end stays as it is."""
    if size == 1:
        return data
    whole = len(data) - len(data) % size
    turned = bytearray(whole)
    for place in range(size):
        turned[place::size] = data[size - 1 - place : whole : size]
    return bytes(turned) + data[whole:]
