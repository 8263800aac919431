"""TIFF files without loss: every page's samples, and the labels that say what they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PIL import Image, ImageSequence

from mithridate.ledger.canonical import Value
from mithridate.ledger.fingerprint.model import FingerprintError, Limits, digest_bytes
from mithridate.ledger.fingerprint.raster_parts import (
    RasterParts,
    damaged,
    load_samples,
    open_picture,
    trim_palette,
)

TIFF_MARKS = (b"II*\x00", b"MM\x00*")

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIPS, _STRIP_SIZES, _ORIENTATION, _TILES, _TILE_SIZES, _PROFILE = 273, 279, 274, 324, 325, 34675
_LOSSLESS = {
    1: "none",
    5: "LZW",
    8: "Deflate",
    32773: "PackBits",
    32946: "Deflate",
    3: "G3",
    4: "G4",
    50000: "Zstandard",
}
_OWN_PHOTOMETRIC = {"1": 1, "L": 1, "I;16": 1, "I": 1, "F": 1, "LA": 1, "RGB": 2, "RGBA": 2, "P": 3, "CMYK": 5}
_SAMPLE_BITS = {"1": 1, "L": 8, "LA": 8, "P": 8, "RGB": 8, "RGBA": 8, "CMYK": 8, "I;16": 16, "I": 32, "F": 32}


def read_tiff(data: bytes, name: str, limits: Limits) -> RasterParts:
    """The parts of a TIFF file.

    Raises FingerprintError when it is damaged, above the limits, compressed with loss, or holds samples of which the
    decoder would drop bits.
    """
    image = open_picture(data, "TIFF", name)
    labels: list[dict[str, Value | None]] = []
    modes, pages, strips = [], [], []
    try:
        if getattr(image, "n_frames", 1) > limits.frames:
            raise FingerprintError(f"{name} has more pages than the limit of {limits.frames:,}: refused")
        for page in ImageSequence.Iterator(image):
            tags = dict(getattr(page, "tag_v2", {}))
            labels.append(_labels(page, tags, name))
            strips.append(_strips(data, tags, name))
            modes.append(_mode(page))
            pages.append(load_samples(page, name, limits))
    except FingerprintError:
        raise
    except Exception as error:  # damaged directories raise nearly every type
        raise damaged(name, error) from error
    attributes: dict[str, Value | None] = {"pages": len(pages)}
    for key in labels[0]:
        values = tuple(label[key] for label in labels)
        attributes[key] = values if any(value is not None for value in values) else None
    profiles = attributes.pop("icc_profile", None)
    attributes["icc_profile"] = profiles[0] if isinstance(profiles, tuple) and len(profiles) == 1 else profiles
    stream = digest_bytes("tiff-stream", *(part for page_strips in strips for part in page_strips))
    return RasterParts("tiff", stream, attributes, len(pages), tuple(modes), tuple(pages))


def _labels(page: Image.Image, tags: Mapping[int, Any], name: str) -> dict[str, Value | None]:
    """F3 of one page, read before its samples are: loading may turn the image and drop the tag that says so."""
    compression, mode = int(tags.get(_COMPRESSION, 1)), _mode(page)
    if compression not in _LOSSLESS:
        raise FingerprintError(f"{name} is a TIFF file with compression {compression}, which may lose: save it as LZW")
    bits = [int(number) for number in tags.get(_BITS, (1,))]
    if mode not in _SAMPLE_BITS or max(bits) > _SAMPLE_BITS[mode]:
        raise FingerprintError(
            f"{name} has samples of {max(bits)} bits in {len(bits)} channels, of which the decoder would drop some: "
            "save them as one gray image a channel"
        )
    photometric, orientation, profile = (tags.get(tag) for tag in (_PHOTOMETRIC, _ORIENTATION, _PROFILE))
    palette = page.getpalette("RGB") if mode == "P" else None
    return {
        "mode": mode,
        "width": int(tags[_WIDTH]),
        "height": int(tags[_HEIGHT]),
        "palette": trim_palette(bytes(palette)) if palette is not None else None,
        "orientation": int(orientation) if orientation is not None else None,
        "photometric": None if photometric == _OWN_PHOTOMETRIC[mode] else int(photometric or 0),
        "icc_profile": bytes(profile) if isinstance(profile, bytes) else None,
    }


def _mode(page: Image.Image) -> str:
    return "I;16" if page.mode.startswith("I;16") else page.mode


def _strips(data: bytes, tags: Mapping[int, Any], name: str) -> list[bytes]:
    """The coded pieces of one page, in order, each after its length."""
    places, sizes = (
        (tags.get(_STRIPS), tags.get(_STRIP_SIZES)) if _STRIPS in tags else (tags.get(_TILES), tags.get(_TILE_SIZES))
    )
    if not places or not sizes or len(places) != len(sizes):
        raise FingerprintError(f"{name} does not say where its pixels stand: it is damaged, fetch it again")
    pieces = []
    for place, size in zip(places, sizes, strict=True):
        piece = data[place : place + size]
        if len(piece) != size:
            raise FingerprintError(f"{name} ends early: fetch it again")
        pieces += [len(piece).to_bytes(8, "big"), piece]
    return pieces
