"""F2 of a DICOM image: the stored values of every frame in one form.

Little endian, samples interleaved, each in the fewest whole bytes that hold its bits, without color conversion or
rescale.  Shape, bits and signedness are hashed with the samples.  Bits of a word beside the sample's own are copies of
its sign or zero; where they are not, another reader sees other values, so they are hashed too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder

from mithridate.ledger import merkle
from mithridate.ledger.canonical import Value
from mithridate.ledger.fingerprint.dicom_elements import known_tag
from mithridate.ledger.fingerprint.dicom_file import DicomFile
from mithridate.ledger.fingerprint.dicom_plain import plain_integer
from mithridate.ledger.fingerprint.dicom_stream import CodedStream, NativeStream
from mithridate.ledger.fingerprint.dicom_words import word_digests
from mithridate.ledger.fingerprint.model import FingerprintError, Limits, frame_leaf
from mithridate.media.decoders import order_plugins
from mithridate.media.quiet import decoding

Samples = NDArray[Any]

_FLOATS = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}


@dataclass(frozen=True)
class PixelLayout:
    """What the image pixel module says of one frame (PS3.3 C.7.6.3)."""

    frames: int
    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    is_signed: bool
    is_planar: bool
    is_float: bool
    photometric: str

    @property
    def is_subsampled(self) -> bool:
        """Whether two pixels share their color, so that a pixel has two samples on average."""
        return self.photometric == "YBR_FULL_422"

    def header(self, samples: int) -> Value:
        """What is hashed with every frame; `samples` a pixel, as they stand in the stream."""
        kind = "float" if self.is_float else "signed" if self.is_signed else "unsigned"
        return (self.rows, self.columns, samples, self.bits_stored, kind)


def read_layout(file: DicomFile, keyword: str, name: str, limits: Limits) -> PixelLayout:
    """The layout of a file's frames.  Raises FingerprintError for what is absent, impossible or too large."""
    is_float = keyword in _FLOATS
    allocated = _integer(file, "BitsAllocated", name)
    layout = PixelLayout(
        frames=_integer(file, "NumberOfFrames", name, default=1),
        rows=_integer(file, "Rows", name),
        columns=_integer(file, "Columns", name),
        samples=_integer(file, "SamplesPerPixel", name),
        bits_allocated=allocated,
        bits_stored=allocated if is_float else _integer(file, "BitsStored", name),
        is_signed=not is_float and _integer(file, "PixelRepresentation", name) == 1,
        is_planar=_integer(file, "PlanarConfiguration", name, default=0) == 1,
        is_float=is_float,
        photometric=str(file.dataset.get("PhotometricInterpretation", "")),
    )
    if allocated not in (1, 8, 16, 32, 64) or _FLOATS.get(keyword, allocated) != allocated:
        raise FingerprintError(f"{name} has {allocated} bits allocated to a sample, which cannot be fingerprinted")
    if not 1 <= layout.bits_stored <= allocated or layout.samples not in (1, 3, 4):
        raise FingerprintError(
            f"{name} has {layout.bits_stored} of {allocated} bits stored and {layout.samples} samples a pixel, "
            "which is no image: have the sender correct it"
        )
    if not 1 <= layout.frames <= limits.frames or min(layout.rows, layout.columns) < 1:
        raise FingerprintError(f"{name} has {layout.frames} frames of {layout.columns} x {layout.rows} pixels: refused")
    if layout.rows * layout.columns * layout.samples > limits.frame_samples:
        raise FingerprintError(
            f"{name} has {layout.rows * layout.columns * layout.samples:,} samples in a frame, "
            f"above the limit of {limits.frame_samples:,}"
        )
    return layout


def pixel_root(file: DicomFile, stream: NativeStream | CodedStream, layout: PixelLayout, name: str) -> bytes:
    """F2: the Merkle root over the frames.  Raises FingerprintError when a frame cannot be read exactly."""
    leaves = merkle.Frontier()
    whole = stream if isinstance(stream, NativeStream) else None
    for words in stored_frames(file, stream, layout, name):
        digest, residue = word_digests(
            words, layout.bits_stored, is_signed=layout.is_signed, is_float=layout.is_float, stream=whole
        )
        leaves.append(frame_leaf(layout.header(words.shape[2]), digest, residue))
    return leaves.root()


def stored_frames(
    file: DicomFile, stream: NativeStream | CodedStream, layout: PixelLayout, name: str
) -> Iterator[Samples]:
    """Each frame's words as they stand in the stream, rows x columns x samples; subsampled color as 2 samples.

    Raises FingerprintError when a frame is missing, incomplete, or beyond the decoders that are installed.
    """
    if isinstance(stream, NativeStream):
        yield from _native_frames(file, stream, layout, name)
        return
    if len(stream.codestreams) != layout.frames:
        raise FingerprintError(f"{name} has {len(stream.codestreams)} frames and says that it has {layout.frames}")
    for number, codestream in enumerate(stream.codestreams):
        yield _decode(stream, codestream, number, layout, name)


def _native_frames(file: DicomFile, stream: NativeStream, layout: PixelLayout, name: str) -> Iterator[Samples]:
    if not file.is_little_endian and layout.bits_allocated > 16:
        raise FingerprintError(
            f"{name} has {layout.bits_allocated}-bit samples in big-endian order, which readers resolve differently: "
            "convert it to little endian"
        )
    per_pixel = 2 if layout.is_subsampled else layout.samples
    count = layout.rows * layout.columns * per_pixel
    bits = count * layout.bits_allocated
    total = -(-bits * layout.frames // 8)
    excess = len(stream.data) - total
    is_odd = excess < 0 or excess > max(1, bits // 8 - 1)
    if is_odd or bytes(stream.data[total:]).strip(b"\x00"):  # zeros may fill up the end
        verb = "ends early" if excess < 0 else "has more pixel data than its frames"
        raise FingerprintError(f"{name} {verb}: {len(stream.data):,} bytes instead of {total:,}")
    for number in range(layout.frames):
        if layout.bits_allocated == 1:
            words = _unpack_bits(stream.data, number * count, count)
        else:
            dtype = np.dtype(f"<{'f' if layout.is_float else 'u'}{layout.bits_allocated // 8}")
            words = np.frombuffer(stream.data, dtype, count, number * bits // 8)
        yield _interleave(words, layout, per_pixel)


def _interleave(words: Samples, layout: PixelLayout, per_pixel: int) -> Samples:
    if layout.is_planar and per_pixel > 1 and not layout.is_subsampled:
        return words.reshape(per_pixel, layout.rows, layout.columns).transpose(1, 2, 0)
    return words.reshape(layout.rows, layout.columns, per_pixel)


def _unpack_bits(data: bytes | memoryview, start: int, count: int) -> Samples:
    """Single bits, the lowest of each byte first; a frame may start inside a byte (PS3.5 8.1.1)."""
    first = start // 8
    packed = np.frombuffer(data, np.uint8, -(-(start + count) // 8) - first, first)
    return np.unpackbits(packed, bitorder="little")[start - first * 8 :][:count]


def _decode(stream: CodedStream, codestream: bytes, number: int, layout: PixelLayout, name: str) -> Samples:
    """One frame through the first decoder that reads it; reversible streams give every decoder the same samples."""
    try:
        decoder = get_decoder(stream.syntax)
        plugins = order_plugins(decoder.available_plugins)
    except NotImplementedError:
        plugins = ()
    reasons = []
    for plugin in plugins:
        try:
            with decoding():
                decoded, _ = decoder.as_array(
                    encapsulate([codestream], has_bot=False),
                    index=0,
                    raw=True,
                    decoding_plugin=plugin,
                    **_options(layout),
                )
            return np.asarray(decoded).reshape(layout.rows, layout.columns, layout.samples)
        except Exception as error:  # decoders raise many types on damaged streams
            reasons.append((str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(":. "))
    why = "; ".join(reasons) or "no decoder for it is installed"
    raise FingerprintError(f"{name} cannot be decoded at frame {number} as {stream.syntax.name} ({why})")


def _options(layout: PixelLayout) -> dict[str, Any]:
    return {
        "rows": layout.rows,
        "columns": layout.columns,
        "samples_per_pixel": layout.samples,
        "bits_allocated": layout.bits_allocated,
        "bits_stored": layout.bits_stored,
        "pixel_representation": int(layout.is_signed),
        "photometric_interpretation": layout.photometric,
        "planar_configuration": int(layout.is_planar),
        "number_of_frames": 1,
        "pixel_keyword": "PixelData",
    }


def _integer(file: DicomFile, keyword: str, name: str, default: int | None = None) -> int:
    element = file.elements.get(known_tag(keyword))
    if isinstance(element, RawDataElement) and (plain := plain_integer(element)) is not None:
        return plain
    value = file.dataset.get(keyword) if element is not None else None
    if value in (None, ""):
        if default is None:
            raise FingerprintError(f"{name} does not state its {keyword}: have the sender correct it")
        return default
    try:
        return int(value)
    except (TypeError, ValueError):
        raise FingerprintError(f"{name} states {value!r} as its {keyword}: have the sender correct it") from None
