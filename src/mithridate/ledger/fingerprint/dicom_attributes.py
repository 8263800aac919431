"""F3 and F4 of a DICOM image: the values of the attributes that the schema names, present or explicitly absent."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import takewhile

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from mithridate.ledger.canonical import Value
from mithridate.ledger.fingerprint.dicom_elements import Element, known_tag
from mithridate.ledger.fingerprint.dicom_file import DicomFile
from mithridate.ledger.fingerprint.dicom_plain import plain_value
from mithridate.ledger.fingerprint.dicom_schema import (
    ATTRIBUTES,
    CODING,
    IDENTITY,
    MACROS,
    OTHER_IN_MACRO,
    OTHER_OVERLAY,
    OVERLAY_ELEMENTS,
    SCOPES,
    TOP_LEVEL,
)
from mithridate.ledger.fingerprint.dicom_values import canonical_value, element_value, public_tags
from mithridate.ledger.fingerprint.model import Named, digest_value, named_digests

_NATIVE = "native"
_F3 = "attribute"
_SHORT = 64  # bytes of a value that is worth remembering


def identity_digests(file: DicomFile) -> Named:
    """F4: the identity attributes, by keyword."""
    values = _values(file, IDENTITY)
    return named_digests("identity", values, IDENTITY)


def coding_digests(file: DicomFile) -> Named:
    """How the stream is coded: all uncompressed syntaxes are one, compressed ones are named."""
    syntax = str(file.syntax) if file.syntax.is_encapsulated else _NATIVE
    return named_digests("coding", {CODING[0]: syntax, **_values(file, CODING[1:])}, CODING)


def attribute_digests(file: DicomFile, *, is_rotated: bool) -> Named:
    """F3: the model-visible attributes, by the names of the schema.

    `is_rotated` says that the stream keeps RGB in a rotated color space (JPEG 2000), whose label then means RGB.
    """
    values = _overlays(file)
    for scope in SCOPES:
        values |= _functional_groups(file, scope)
    digests = dict(named_digests(_F3, values, ATTRIBUTES))
    for keyword, tag in _tags(TOP_LEVEL):
        if tag in file.elements:
            digests[keyword] = _attribute_digest(file.elements[tag], file)
    if is_rotated and digests["PhotometricInterpretation"] == digest_value(_F3, ("texts", ("YBR_RCT",))):
        digests["PhotometricInterpretation"] = digest_value(_F3, ("texts", ("RGB",)))
    return digests


def _attribute_digest(element: Element, file: DicomFile) -> bytes:
    """The digest of one value of F3."""
    if isinstance(element, RawDataElement) and element.is_little_endian and 0 < element.length <= _SHORT:
        known = _plain_digest(int(element.tag), element.VR, element.value)
        if known is not None:
            return known
    return digest_value(_F3, element_value(element, file.dataset, file.is_little_endian))


@lru_cache(1 << 12)
def _plain_digest(tag: int, vr: str | None, data: bytes) -> bytes | None:
    """The digest of a value of F3 that is plain; remembered, because the images of a series share nearly all of them.

    What identifies a patient (F4) is not, so that it stays in memory no longer than it must.
    """
    value = plain_value(RawDataElement(BaseTag(tag), vr, len(data), data, 0, vr is None, True, True))
    return None if value is None else digest_value(_F3, value)


def _values(file: DicomFile, keywords: tuple[str, ...]) -> dict[str, Value | None]:
    """The values of those of the keywords that are present."""
    found, dataset, little = file.elements, file.dataset, file.is_little_endian
    present = [(keyword, found[tag]) for keyword, tag in _tags(keywords) if tag in found]
    return {keyword: element_value(element, dataset, little) for keyword, element in present}


def _overlays(file: DicomFile) -> dict[str, Value | None]:
    """For each overlay attribute, its value in every group that has one."""
    found: dict[str, list[Value]] = {}
    last = takewhile(lambda tag: tag >> 16 >= 0x6000, reversed(file.elements))  # they ascend, and few come as late
    for tag in reversed(list(last)):
        group, number = tag >> 16, tag & 0xFFFF
        if group <= 0x60FE and group % 2 == 0 and number:
            value = element_value(file.elements[tag], file.dataset, file.is_little_endian)
            name = OVERLAY_ELEMENTS.get(number, OTHER_OVERLAY)
            found.setdefault(name, []).append((int(tag), value))
    return {name: tuple(values) for name, values in found.items()}


def _functional_groups(file: DicomFile, scope: str) -> dict[str, Value | None]:
    """For each attribute of each macro, its value in every item of the groups; None when no item has one."""
    groups = _items(file.dataset, scope)
    if groups is None:
        return {}
    values: dict[str, Value | None] = {f"{scope}.items": len(groups)}
    for macro, keywords in MACROS.items():
        macros = [_items(group, macro) or () for group in groups]
        named: set[int] = {known_tag(keyword) for keyword in keywords}
        for keyword in keywords:
            values[f"{scope}.{macro}.{keyword}"] = _over_items(
                [
                    [canonical_value(item, known_tag(keyword), file.is_little_endian) for item in items]
                    for items in macros
                ]
            )
        values[f"{scope}.{macro}.{OTHER_IN_MACRO}"] = _over_items(
            [[_others(item, named, file.is_little_endian) for item in items] for items in macros]
        )
    return values


def _over_items(values: Sequence[Sequence[Value | None]]) -> Value | None:
    """The values of all items, or None when all of them are absent."""
    if all(value is None for items in values for value in items):
        return None
    return tuple(tuple(items) for items in values)


def _others(item: Dataset, named: set[int], little: bool) -> Value | None:
    tags = [tag for tag in public_tags(item) if tag not in named]
    return tuple((int(tag), canonical_value(item, tag, little)) for tag in tags) or None


def _items(dataset: Dataset, keyword: str) -> Sequence[Dataset] | None:
    """The items of a sequence, None when it is absent or is no sequence."""
    value = dataset.get(keyword)
    if value is None or isinstance(value, str | bytes) or not all(isinstance(item, Dataset) for item in value):
        return None
    return list(value)


@cache
def _tags(keywords: tuple[str, ...]) -> tuple[tuple[str, BaseTag], ...]:
    return tuple((keyword, known_tag(keyword)) for keyword in keywords)
