"""The values of attributes that are not as recorded, in words."""

from __future__ import annotations

from collections.abc import Iterable

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword

from mithridate.ledger.fingerprint.dicom_schema import IDENTITY
from mithridate.ledger.investigate.findings import AttributeChange

LONGEST = 120
ABSENT = "absent"


def describe_changes(
    names: Iterable[str], captured: Dataset | None, found: Dataset | None, *, with_identity: bool
) -> tuple[AttributeChange, ...]:
    """One change for each name; values are given where a data set states them and, of identities, only when asked."""
    changes = []
    for name in names:
        is_identity = name in IDENTITY
        withheld = is_identity and not with_identity
        before, after = (None if withheld else _value(dataset, name) for dataset in (captured, found))
        changes.append(AttributeChange(name, before, after, is_identity))
    return tuple(changes)


def _value(dataset: Dataset | None, name: str) -> str | None:
    """A top-level attribute's value on one line, cut where it is long; None when it is not known."""
    if dataset is None:
        return None
    if name == "TransferSyntaxUID":
        return str(dataset.file_meta.get(name, ABSENT))
    if tag_for_keyword(name) is None:  # inside a functional group or an overlay, of which there may be several
        return None
    if name not in dataset:
        return ABSENT
    element = dataset[name]
    if element.VR == "SQ":
        return f"{len(element.value)} items"
    if isinstance(element.value, bytes):
        return f"{len(element.value):,} bytes"
    text = " ".join(str(element.value).split()) or "empty"
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
