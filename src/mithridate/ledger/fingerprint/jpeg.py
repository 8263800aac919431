"""JPEG files: the stream that every decoder starts from, and the labels that tell it what the samples are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from mithridate.ledger.canonical import Value
from mithridate.ledger.fingerprint.model import FingerprintError, Limits
from mithridate.ledger.fingerprint.raster_parts import RasterParts, check_area, open_picture

JPEG_MARK = b"\xff\xd8\xff"

_APP0, _APP1, _APP14, _APP15, _COMMENT = 0xE0, 0xE1, 0xEE, 0xEF, 0xFE
_SOS, _EOI = 0xDA, 0xD9
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_MODES = {1: "L", 3: "RGB", 4: "CMYK"}


def read_jpeg(data: bytes, name: str, limits: Limits) -> RasterParts:
    """The parts of a JPEG file.  Raises FingerprintError when it is damaged, ends early or is above the limits.

    Bytes after the image's end, where cameras keep previews, are no part of it.
    """
    stream = hashlib.sha256(b"mithridate/jpeg-stream/1\x00")
    frame = adobe = jfif = None
    exif = 0
    for marker, segment in _segments(data, name):
        content = segment[2:]
        if _APP0 <= marker <= _APP15 or marker == _COMMENT:
            adobe = content if marker == _APP14 and content.startswith(b"Adobe") else adobe
            exif += marker == _APP1 and content.startswith(b"Exif\x00")
            jfif = True if marker == _APP0 and content.startswith(b"JFIF\x00") else jfif
            continue
        frame = content if marker in _FRAMES and frame is None else frame
        stream.update(bytes([0xFF, marker]) + len(segment).to_bytes(8, "big") + segment)
    if frame is None or len(frame) < 6 or frame[5] not in _MODES:
        raise FingerprintError(f"{name} is damaged: it has no frame header of 1, 3 or 4 components; fetch it again")
    if exif > 1:
        raise FingerprintError(f"{name} has {exif} EXIF blocks, which readers resolve differently: save it with one")
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    check_area(width, height, frame[5], name, limits)
    image = open_picture(data, "JPEG", name)
    orientation, profile = image.getexif().get(0x0112), image.info.get("icc_profile")
    attributes: dict[str, Value | None] = {
        "mode": (_MODES[frame[5]],),
        "width": (width,),
        "height": (height,),
        "pages": 1,
        "icc_profile": profile if isinstance(profile, bytes) else None,
        "orientation": (orientation,) if isinstance(orientation, int) else None,
        "adobe_transform": adobe,
        "jfif": jfif,
    }
    return RasterParts("jpeg", stream.digest(), attributes, 1)


def _segments(data: bytes, name: str) -> Iterator[tuple[int, bytes]]:
    """Every marker up to the image's end with what follows it: its length, its content and a scan's coded data."""
    place = 2
    while True:
        while data[place : place + 2] == b"\xff\xff":  # fill bytes
            place += 1
        if data[place : place + 1] != b"\xff" or place + 2 > len(data):
            raise FingerprintError(f"{name} ends early or is damaged at its byte {place:,}: fetch it again")
        marker = data[place + 1]
        if marker == _EOI:
            return
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        end = place + 2 + length
        if length < 2 or end > len(data):
            raise FingerprintError(f"{name} ends early or is damaged at its byte {place:,}: fetch it again")
        if marker == _SOS:
            end = _end_of_scan(data, end)
        yield marker, data[place + 2 : end]
        place = end


def _end_of_scan(data: bytes, place: int) -> int:
    """Where the coded data end: at the first marker that is neither a stuffed byte nor a restart."""
    while (place := data.find(b"\xff", place)) >= 0:
        following = data[place + 1 : place + 2]
        if not following or following == b"\xff":
            place += 1
        elif following == b"\x00" or 0xD0 <= following[0] <= 0xD7:
            place += 2
        else:
            return place
    return len(data)
