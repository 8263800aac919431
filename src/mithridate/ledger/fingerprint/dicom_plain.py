"""DICOM values of the plainest form, read from their bytes without the objects that pydicom makes of each.

Nearly every element of nearly every image is one.  What is read here comes out as `dicom_values` gives it by way of
pydicom; whatever might not is left to that.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from struct import Struct

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement

from mithridate.ledger.canonical import Value

DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,9})?")
WHOLE = re.compile(r"[+-]?[0-9]+")

# Printable ASCII that every character set reads alike: not the two characters that the Japanese ones replace.
_TEXT = re.compile(rb"[ -\[\]-}]*")
_TEXTS = re.compile(rb"[ -}]*")
_INTEGERS = {"US": Struct("<H"), "SS": Struct("<h"), "UL": Struct("<L"), "SL": Struct("<l")}


def plain_value(element: RawDataElement) -> Value | None:
    """The canonical value of an element, None when it is not of a plain form."""
    data = element.value
    vr = element.VR or _vr(element.tag)
    read = _READERS.get(vr)
    if read is None:
        return None
    if not element.length:
        return ("empty",)
    if not data or not element.is_little_endian:
        return None
    if vr == "US" and "OW" in _vr(element.tag):  # a table, which counts as bytes
        return None
    return read(vr, data)


def plain_integer(element: RawDataElement) -> int | None:
    """The number in an element that holds exactly one, of a binary VR; None for any other element."""
    form = _INTEGERS.get(element.VR or _vr(element.tag))
    if form is None or element.value is None or not element.is_little_endian or len(element.value) != form.size:
        return None
    return int(form.unpack(element.value)[0])


def number(text: str, form: re.Pattern[str]) -> Value:
    """A decimal string as sign, digits and exponent, so that every spelling of a number is the same one.

    What is not of the VR's form, and might be read as another number elsewhere ("1_0"), stays a text.
    """
    text = text.strip(" \x00")
    if not form.fullmatch(text):
        return text
    sign, digits, exponent = Decimal(text).as_tuple()
    if not isinstance(exponent, int):
        return text
    spelled = "".join(map(str, digits)).lstrip("0")
    shortened = spelled.rstrip("0")
    return (sign, shortened, exponent + len(spelled) - len(shortened)) if shortened else 0


def _text(vr: str, data: bytes) -> Value | None:
    """One text, in which a backslash would begin another one in some character sets and not in others."""
    content = data.strip(b" \x00")
    return ("texts", (content.decode("ascii"),)) if content and _TEXT.fullmatch(content) else None


def _name(vr: str, data: bytes) -> Value | None:
    return _text(vr, data) if b"=" not in data else None


def _texts(vr: str, data: bytes) -> Value | None:
    """Texts of the VRs that are always ASCII, whatever the character set."""
    content = data.strip(b" \x00")
    if not content or not _TEXTS.fullmatch(content):
        return None
    return ("texts", tuple(part.strip(" ") for part in content.decode("ascii").split("\\")))


def _numbers(vr: str, data: bytes) -> Value | None:
    form = DECIMAL if vr == "DS" else WHOLE
    content = data.rstrip(b" \x00")
    if not content.isascii():
        return None
    parts = [part.strip(" ") for part in content.decode("ascii").split("\\")]
    return ("numbers", tuple(number(part, form) for part in parts)) if all(map(form.fullmatch, parts)) else None


def _integers(vr: str, data: bytes) -> Value | None:
    form = _INTEGERS[vr]
    if len(data) == form.size:
        return ("integers", form.unpack(data))
    return ("integers", tuple(one for (one,) in form.iter_unpack(data))) if len(data) % form.size == 0 else None


@cache
def _vr(tag: int) -> str:
    """The dictionary's VR of a tag, by which implicit syntaxes are read; none for private and unknown tags."""
    try:
        return dictionary_VR(tag)
    except KeyError:
        return ""


_READERS: dict[str, Callable[[str, bytes], Value | None]] = {
    **dict.fromkeys(("LO", "SH"), _text),
    "PN": _name,
    **dict.fromkeys(("AS", "CS", "DA", "DT", "TM", "UI"), _texts),
    **dict.fromkeys(("DS", "IS"), _numbers),
    **dict.fromkeys(_INTEGERS, _integers),
}
