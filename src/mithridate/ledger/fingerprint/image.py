"""One door for every kind of image that can be fingerprinted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mithridate.ledger.fingerprint.model import Fingerprint, FingerprintError, Limits
from mithridate.ledger.fingerprint.raster import OpenedRaster, is_raster, open_raster

if TYPE_CHECKING:  # pydicom takes a while to import
    from mithridate.ledger.fingerprint.dicom import OpenedDicom

_DICOM_MARK = b"DICM"


def fingerprint_image(data: bytes, name: str, limits: Limits | None = None) -> Fingerprint:
    """Fingerprint the bytes of a DICOM, PNG, JPEG or TIFF file, known by its content; `name` is for messages.

    The result has a fault when the pixels cannot be read exactly.  Raises FingerprintError when less than that can be.
    """
    return open_image(data, name, limits).fingerprint


def open_image(
    data: bytes, name: str, limits: Limits | None = None, *, digest: bytes | None = None
) -> OpenedDicom | OpenedRaster:
    """`fingerprint_image` for whoever goes on to use the image: what was fingerprinted is what they get.

    `digest` is the SHA-256 of the data where whoever received them has made it meanwhile.
    """
    if data[128:132] == _DICOM_MARK:
        from mithridate.ledger.fingerprint.dicom import open_dicom

        return open_dicom(data, name, limits, digest=digest)
    if is_raster(data):
        return open_raster(data, name, limits, digest=digest)
    raise FingerprintError(f"{name} is no DICOM, PNG, JPEG or TIFF file: other kinds cannot be fingerprinted")
