"""One door for every kind of image that can be fingerprinted."""

from __future__ import annotations

from mithridate.ledger.fingerprint.model import Fingerprint, FingerprintError, Limits

_DICOM_MARK = b"DICM"


def fingerprint_image(data: bytes, name: str, limits: Limits | None = None) -> Fingerprint:
    """Fingerprint the bytes of a DICOM, PNG, JPEG or TIFF file, known by its content; `name` is for messages.

    The result has a fault when the pixels cannot be read exactly.  Raises FingerprintError when less than that can be.
    """
    if data[128:132] == _DICOM_MARK:
        from mithridate.ledger.fingerprint.dicom import fingerprint_dicom  # pydicom takes a while to import

        return fingerprint_dicom(data, name, limits)
    from mithridate.ledger.fingerprint.raster import fingerprint_raster, is_raster

    if is_raster(data):
        return fingerprint_raster(data, name, limits)
    raise FingerprintError(f"{name} is no DICOM, PNG, JPEG or TIFF file: other kinds cannot be fingerprinted")
