"""The fingerprint of a DICOM object that holds no image: a report, a presentation state, a treatment plan.

It makes no claim about pixels.  Its stream (F1) is everything that the object says but for its identity (F4), in the
form that every transfer syntax shares; private elements are left out, because implicit syntaxes lose their VR.
"""

from __future__ import annotations

from collections.abc import Collection

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import UID

from mithridate.ledger.canonical import Value
from mithridate.ledger.fingerprint.dicom_attributes import identity_digests
from mithridate.ledger.fingerprint.dicom_file import DicomFile
from mithridate.ledger.fingerprint.dicom_schema import DOCUMENT_SCHEMA, IDENTITY
from mithridate.ledger.fingerprint.dicom_stream import PIXEL_ELEMENTS
from mithridate.ledger.fingerprint.dicom_values import canonical_value, public_tags
from mithridate.ledger.fingerprint.model import Fingerprint, digest_value

_CHARACTER_SET = 0x00080005  # texts are compared as texts, however they are encoded
_NOT_CONTENT = frozenset((_CHARACTER_SET, *(tag for tag in map(tag_for_keyword, IDENTITY) if tag is not None)))
_ALWAYS_PIXELS = ("Image", "Segmentation", "Parametric Map")


def is_document(file: DicomFile) -> bool:
    """Whether an object has no pixels and need not have any, by its SOP class; an image that lost its pixels does."""
    if any(tag in file.elements for tag in PIXEL_ELEMENTS.values()):
        return False
    name = UID(str(file.dataset.get("SOPClassUID", ""))).name
    return "Storage" in name and ("Surface" in name or not any(word in name for word in _ALWAYS_PIXELS))


def fingerprint_document(file: DicomFile, digest: bytes, media: str) -> Fingerprint:
    """The fingerprint of an object for which `is_document` holds; `digest` is its F0."""
    return Fingerprint(
        media=media,
        schema=DOCUMENT_SCHEMA,
        frames=0,
        file=digest,
        stream=_content(file.dataset, file.is_little_endian, _NOT_CONTENT),
        pixels=None,
        coding={},
        attributes={},
        identity=identity_digests(file),
    )


def _content(dataset: Dataset, little: bool, without: Collection[int] = ()) -> bytes:
    """The digest of a data set's public elements, with the digest of each item in place of the item."""
    values: list[Value] = []
    for tag in public_tags(dataset):
        if tag in without:
            continue
        element = dataset[tag]
        if element.VR == "SQ":
            values.append((int(tag), "items", tuple(_content(item, little) for item in element.value)))
        else:
            values.append((int(tag), canonical_value(dataset, tag, little)))
    return digest_value("document", values)
