"""The samples of an image that was fingerprinted, from the very bytes that were, by a decoder that is named.

Native and losslessly coded images give the samples whose hash was verified, without a second reading wherever memory
allows.  Lossy ones are known by their stream, and what they decode to depends on the decoder; so it is fixed here, and
named with its version.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mithridate.ledger.fingerprint.dicom import OpenedDicom
from mithridate.ledger.fingerprint.dicom_pixels import PixelLayout, stored_frames
from mithridate.ledger.fingerprint.dicom_stream import NativeStream
from mithridate.ledger.fingerprint.dicom_words import value_range
from mithridate.ledger.fingerprint.raster import OpenedRaster
from mithridate.ledger.gate.refusal import GateRefusal, RefusalCode
from mithridate.media.quiet import quiet

Samples = NDArray[Any]

EXACT = "exact"
"""The decoder's name where every decoder must give the same samples."""

_AS_STORED = {"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_RCT"}
_PACKAGES = {"pylibjpeg": "pylibjpeg", "gdcm": "python-gdcm", "pillow": "pillow", "pyjpegls": "pyjpegls"}


@dataclass(frozen=True)
class Frames:
    """The frames of one image, each height x width or height x width x channels.

    Attributes: frames, decoder (EXACT, or library and version), digest (of the only frame's bytes, where its
    verification has hashed them already, else None).
    """

    frames: tuple[Samples, ...]
    decoder: str
    digest: bytes | None = None


def read_frames(image: OpenedDicom | OpenedRaster, data: bytes, name: str) -> Frames:
    """All frames as stored: sample values, not yet rescaled or windowed; color as RGB; signed where it is signed.

    Raises GateRefusal when no decoder reads them.
    """
    if isinstance(image, OpenedRaster):
        return _raster_frames(image, data, name)
    layout = image.layout
    if layout is None or image.stream is None:
        raise GateRefusal(RefusalCode.UNREADABLE, image.fingerprint.fault or f"{name} has no pixels that can be read")
    if image.fingerprint.pixels is not None and layout.photometric in _AS_STORED:
        words = tuple(stored_frames(image.file, image.stream, layout, name))
        frames = tuple(_samples(one, layout) for one in words)
        return Frames(frames, EXACT, _known_digest(image, frames))
    return _decoded(image, layout, name)


def _known_digest(image: OpenedDicom, frames: tuple[Samples, ...]) -> bytes | None:
    """The digest made for F2, if the one frame is the stream's own bytes and nothing but them."""
    stream = image.stream
    if not isinstance(stream, NativeStream) or len(frames) != 1:
        return None
    (frame,) = frames
    is_whole = frame.base is not None and frame.flags.c_contiguous and frame.nbytes == len(stream.data)
    return stream.samples if is_whole else None


def _samples(words: Samples, layout: PixelLayout) -> Samples:
    """Words as numbers: the bits of the sample alone, with its sign; one channel without an axis of its own."""
    if words.shape[2] == 1:
        words = words[:, :, 0]
    if layout.is_float:
        return words
    size, bits = words.dtype.itemsize, layout.bits_stored
    unsigned = words.view(f"<u{size}") if words.flags.c_contiguous else words.astype(f"<u{size}")
    spare = 8 * size - bits
    is_proper = spare <= 0 or value_range(unsigned, bits, is_signed=layout.is_signed)[0]
    if not layout.is_signed:
        return unsigned if is_proper else unsigned & unsigned.dtype.type((1 << bits) - 1)
    signed = unsigned.view(f"<i{size}")
    return signed if is_proper else (signed << spare) >> spare


def _decoded(image: OpenedDicom, layout: PixelLayout, name: str) -> Frames:
    """Frames through a decoding library: lossy streams, and color that has to be turned into RGB."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.pixels.utils import pixel_array

    from mithridate.media.decoders import order_plugins

    dataset = image.file.dataset
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = image.file.syntax
    plugins = (
        ("",)
        if isinstance(image.stream, NativeStream)
        else order_plugins(get_decoder(image.file.syntax).available_plugins)
    )
    reasons = []
    for plugin in plugins:
        try:
            with quiet():
                frames = tuple(
                    pixel_array(dataset, index=number, decoding_plugin=plugin) for number in range(layout.frames)
                )
        except Exception as error:  # decoders raise many types on damaged streams
            reasons.append((str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(":. "))
            continue
        return Frames(frames, EXACT if image.fingerprint.pixels is not None else _library(plugin))
    why = "; ".join(reasons) or "no decoder for it is installed"
    raise GateRefusal(RefusalCode.UNREADABLE, f"{name} cannot be decoded as {image.file.syntax.name} ({why})")


def _raster_frames(image: OpenedRaster, data: bytes, name: str) -> Frames:
    if image.parts.pages is not None:
        return Frames(image.parts.pages, EXACT)
    try:
        with quiet(), Image.open(BytesIO(data), formats=(image.fingerprint.media.upper(),)) as picture:
            return Frames((np.array(picture),), _library("pillow"))
    except Exception as error:  # damaged files raise nearly every type
        raise GateRefusal(RefusalCode.UNREADABLE, f"{name} is damaged and cannot be decoded: fetch it again") from error


def _library(plugin: str) -> str:
    package = _PACKAGES.get(plugin, "pydicom")
    return f"{package} {version(package)}"
