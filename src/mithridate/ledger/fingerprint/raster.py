"""The fingerprint of a PNG, JPEG or TIFF file.

PNG and lossless TIFF share their canonical samples, so one may become the other.  A JPEG, whose decoders differ in the
last gray level, is known by its stream: everything in it but comments and application segments.  So is a PNG with
16 bits a color channel, of which the decoder would give the upper half.  These formats have no identity attributes:
whose image it is must come from elsewhere.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mithridate.ledger import merkle
from mithridate.ledger.fingerprint.jpeg import JPEG_MARK, read_jpeg
from mithridate.ledger.fingerprint.model import (
    Fingerprint,
    FingerprintError,
    Limits,
    digest_bytes,
    frame_leaf,
    named_digests,
)
from mithridate.ledger.fingerprint.png import PNG_MARK, read_png
from mithridate.ledger.fingerprint.raster_parts import RasterParts
from mithridate.ledger.fingerprint.raster_schema import ATTRIBUTES, SCHEMA
from mithridate.ledger.fingerprint.tiff import TIFF_MARKS, read_tiff
from mithridate.media.quiet import quiet


def is_raster(data: bytes) -> bool:
    """Whether the bytes start as a PNG, JPEG or TIFF file does."""
    return data.startswith((PNG_MARK, JPEG_MARK, *TIFF_MARKS))


@dataclass(frozen=True)
class OpenedRaster:
    """A fingerprint with the parts of the file that it is of."""

    fingerprint: Fingerprint
    parts: RasterParts


def fingerprint_raster(data: bytes, name: str, limits: Limits | None = None) -> Fingerprint:
    """Fingerprint the bytes of a PNG, JPEG or TIFF file; `name` is how messages call it.

    Raises FingerprintError when it is damaged, too large, or of a kind that cannot be read exactly.
    """
    return open_raster(data, name, limits).fingerprint


def open_raster(data: bytes, name: str, limits: Limits | None = None, *, digest: bytes | None = None) -> OpenedRaster:
    """`fingerprint_raster` for whoever goes on to use the image; `digest` is the data's SHA-256, if it is known."""
    limits = limits or Limits()
    if len(data) > limits.file_bytes:
        raise FingerprintError(f"{name} has {len(data):,} bytes, above the limit of {limits.file_bytes:,}")
    with quiet():
        parts = _read(data, name, limits)
    fingerprint = Fingerprint(
        media=parts.media,
        schema=SCHEMA,
        frames=parts.frames,
        file=digest or hashlib.sha256(data).digest(),
        stream=parts.stream,
        pixels=_pixel_root(parts),
        coding={},
        attributes=named_digests("attribute", parts.attributes, ATTRIBUTES),
        identity={},
    )
    return OpenedRaster(fingerprint, parts)


def _read(data: bytes, name: str, limits: Limits) -> RasterParts:
    if data.startswith(PNG_MARK):
        return read_png(data, name, limits)
    if data.startswith(JPEG_MARK):
        return read_jpeg(data, name, limits)
    if data.startswith(TIFF_MARKS):
        return read_tiff(data, name, limits)
    raise FingerprintError(f"{name} is no PNG, JPEG or TIFF file: other kinds cannot be fingerprinted")


def _pixel_root(parts: RasterParts) -> bytes | None:
    """F2: the Merkle root over the pages' samples, or None where the stream is the authority."""
    if parts.pages is None:
        return None
    pages = zip(parts.modes, parts.pages, strict=True)
    return merkle.tree_root(
        frame_leaf((mode, samples.shape), digest_bytes("samples", _little_endian(samples))) for mode, samples in pages
    )


def _little_endian(samples: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(samples).astype(samples.dtype.newbyteorder("<"), copy=False).tobytes()
