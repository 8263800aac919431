"""Whose image the caller means: a genuine image of another patient, or of another order, is an attack all the same."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from mithridate.ledger import canonical
from mithridate.ledger.canonical import Value
from mithridate.ledger.fingerprint.dicom import OpenedDicom
from mithridate.ledger.fingerprint.raster import OpenedRaster
from mithridate.ledger.gate.refusal import GateRefusal, RefusalCode

_KEYWORDS = {"patient": "PatientID", "accession": "AccessionNumber", "sop_instance_uid": "SOPInstanceUID"}
_DOMAIN = b"mithridate/expected/1\x00"


@dataclass(frozen=True)
class Expected:
    """What the order says of the image: Patient ID, Accession Number, SOP Instance UID; or the log entry of its
    record, from the receipt, which is the one way to expect a PNG, JPEG or TIFF file.  None is not compared."""

    patient: str | None = None
    accession: str | None = None
    sop_instance_uid: str | None = None
    entry: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is expected."""
        return self.entry is None and not self.stated()

    def stated(self) -> dict[str, str]:
        """The DICOM keyword of each field that is given, with its value."""
        values = {keyword: getattr(self, field) for field, keyword in _KEYWORDS.items()}
        return {keyword: value for keyword, value in values.items() if value is not None}

    def digest(self) -> bytes:
        """32 bytes that stand for exactly these expectations, by which a nonce is bound to them."""
        values: dict[str, Value] = {**self.stated()}
        if self.entry is not None:
            values["entry"] = self.entry
        return hashlib.sha256(_DOMAIN + canonical.encode(values)).digest()


def check_expected(
    image: OpenedDicom | OpenedRaster, expected: Expected, index: int | None, name: str, *, required: bool
) -> None:
    """Raises GateRefusal unless the image states, itself, all that is expected of it, and was judged by entry `index`
    if one is expected.

    The values are read from the very bytes that the ledger vouches for.  A PNG, JPEG or TIFF file states nothing, so
    only its entry can be expected of one.
    """
    if expected.entry not in (None, index):
        raise GateRefusal(
            RefusalCode.UNEXPECTED_IDENTITY,
            f"{name} is not the image that was asked for: it was judged by entry {index}, not by {expected.entry}",
        )
    stated = expected.stated()
    if not stated:
        if required and expected.entry is None:
            raise GateRefusal(
                RefusalCode.IDENTITY_MISSING,
                f"nothing is expected of {name}, so it could be anybody's: state patient, accession number or SOP "
                "instance UID, or set identity: optional in the policy",
            )
        return
    if isinstance(image, OpenedRaster):
        raise GateRefusal(
            RefusalCode.IDENTITY_MISSING,
            f"{name} is a {image.fingerprint.media.upper()} file, which does not say whose it is: send it as DICOM, or "
            "expect the entry of its record",
        )
    dataset = image.file.dataset
    wrong = [keyword for keyword, value in stated.items() if _text(dataset.get(keyword)) != value.strip(" ")]
    if wrong:  # which values, the caller may not be entitled to know
        raise GateRefusal(
            RefusalCode.UNEXPECTED_IDENTITY,
            f"{name} is not the image that was asked for: it has another {', another '.join(wrong)}",
            attributes=tuple(wrong),
        )


def _text(value: object) -> str | None:
    """The value of a single text; None for what is absent, empty or several values, which match nothing."""
    text = value.strip(" \x00") if isinstance(value, str) else ""
    return text or None
