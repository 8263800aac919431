"""The fingerprint of a DICOM image, from a file's bytes or from a data set as an association transfers it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mithridate.ledger.fingerprint.codestream import DamagedStream
from mithridate.ledger.fingerprint.dicom_attributes import attribute_digests, coding_digests, identity_digests
from mithridate.ledger.fingerprint.dicom_document import fingerprint_document, is_document
from mithridate.ledger.fingerprint.dicom_file import DicomFile, damaged, parse_data_set, parse_file
from mithridate.ledger.fingerprint.dicom_pixels import PixelLayout, pixel_root, read_layout
from mithridate.ledger.fingerprint.dicom_schema import SCHEMA
from mithridate.ledger.fingerprint.dicom_stream import CodedStream, NativeStream, read_stream
from mithridate.ledger.fingerprint.file_hash import begin_file_hash
from mithridate.ledger.fingerprint.model import Fingerprint, FingerprintError, Limits
from mithridate.media.quiet import quiet

MEDIA = "dicom"


@dataclass(frozen=True)
class OpenedDicom:
    """A fingerprint with the parsed object that it is of.

    `layout` is None where the pixels cannot be read, `stream` where the object is no image and has none.
    """

    fingerprint: Fingerprint
    file: DicomFile
    stream: NativeStream | CodedStream | None
    layout: PixelLayout | None


@dataclass(frozen=True)
class _Pixels:
    root: bytes | None
    layout: PixelLayout | None
    fault: str | None = None


def fingerprint_dicom(data: bytes, name: str, limits: Limits | None = None) -> Fingerprint:
    """Fingerprint the bytes of a DICOM file; `name` is how messages call it.

    The result has a fault when the pixels cannot be read exactly.  Raises FingerprintError when not even the data set
    can be: no header, an unknown transfer syntax, a damaged or ambiguous structure, an image without pixels, too large.
    """
    return open_dicom(data, name, limits).fingerprint


def open_dicom(data: bytes, name: str, limits: Limits | None = None, *, digest: bytes | None = None) -> OpenedDicom:
    """`fingerprint_dicom` for whoever goes on to use the image; `digest` is the data's SHA-256, if it is known."""
    limits = limits or Limits()
    _check_size(data, name, limits)
    return _guarded(lambda: parse_file(data, name, limits), data, name, limits, digest)


def fingerprint_data_set(data: bytes, syntax: str, name: str, limits: Limits | None = None) -> Fingerprint:
    """Fingerprint an encoded data set that came without a header, in the transfer syntax that was agreed on.

    F0 is of the data set alone: whoever receives it decides what to bind it to.  Raises as `fingerprint_dicom` does.
    """
    limits = limits or Limits()
    _check_size(data, name, limits)
    return _guarded(lambda: parse_data_set(data, syntax, name, limits), data, name, limits).fingerprint


def _guarded(
    parse: Callable[[], DicomFile], data: bytes, name: str, limits: Limits, digest: bytes | None = None
) -> OpenedDicom:
    """Parse and fingerprint; whatever a damaged value makes pydicom raise becomes a refusal."""
    try:
        with quiet():  # whatever matters is refused, not warned of
            file_hash = begin_file_hash(data) if digest is None else lambda: digest
            return _fingerprint(parse(), file_hash, name, limits)
    except FingerprintError:
        raise
    except Exception as error:
        raise damaged(name, error) from error


def _fingerprint(file: DicomFile, file_hash: Callable[[], bytes], name: str, limits: Limits) -> OpenedDicom:
    if is_document(file):
        return OpenedDicom(fingerprint_document(file, file_hash(), MEDIA), file, None, None)
    stream = read_stream(file, name)
    pixels = _read_pixels(file, stream, name, limits)
    fingerprint = Fingerprint(
        media=MEDIA,
        schema=SCHEMA,
        frames=pixels.layout.frames if pixels.layout is not None else 0,
        stream=stream.digest(),
        pixels=pixels.root,
        coding=coding_digests(file),
        attributes=attribute_digests(file, is_rotated=_is_rotated(stream)),
        identity=identity_digests(file),
        fault=pixels.fault,
        file=file_hash(),  # last, because it may still be made meanwhile
    )
    return OpenedDicom(fingerprint, file, stream, pixels.layout)


def _read_pixels(file: DicomFile, stream: NativeStream | CodedStream, name: str, limits: Limits) -> _Pixels:
    """F2, or None where the stream is the authority, or the reason why neither can be."""
    try:
        keyword = stream.keyword if isinstance(stream, NativeStream) else "PixelData"
        layout = read_layout(file, keyword, name, limits)
        if isinstance(stream, CodedStream) and not stream.is_reversible:
            if not stream.is_video and len(stream.codestreams) != layout.frames:
                raise FingerprintError(
                    f"{name} has {len(stream.codestreams)} frames and says that it has {layout.frames}"
                )
            return _Pixels(None, layout)
        return _Pixels(pixel_root(file, stream, layout, name), layout)
    except FingerprintError as error:
        return _Pixels(None, None, str(error))
    except DamagedStream as error:
        return _Pixels(None, None, f"{name} is damaged: {error}")


def _is_rotated(stream: NativeStream | CodedStream) -> bool:
    try:
        return isinstance(stream, CodedStream) and stream.is_rotated
    except DamagedStream:  # reported as a fault of the pixels
        return False


def _check_size(data: bytes, name: str, limits: Limits) -> None:
    if len(data) > limits.file_bytes:
        raise FingerprintError(f"{name} has {len(data):,} bytes, above the limit of {limits.file_bytes:,}")
