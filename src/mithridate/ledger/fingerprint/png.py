"""PNG files, taken apart chunk by chunk (ISO/IEC 15948)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from mithridate.ledger.canonical import Value
from mithridate.ledger.fingerprint.model import FingerprintError, Limits, digest_bytes
from mithridate.ledger.fingerprint.raster_parts import (
    RasterParts,
    check_area,
    load_samples,
    open_picture,
    trim_palette,
)

PNG_MARK = b"\x89PNG\r\n\x1a\n"

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ONCE = (b"IHDR", b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"eXIf", b"IEND")
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_MAX_PROFILE = 16 << 20


def read_png(data: bytes, name: str, limits: Limits) -> RasterParts:
    """The parts of a PNG file.  Raises FingerprintError when it is damaged, animated or above the limits."""
    chunks: dict[bytes, bytes] = {}
    compressed = bytearray()
    for kind, content in _chunks(data, name):
        if kind == b"IDAT":
            compressed += content
        elif kind == b"acTL":
            raise FingerprintError(f"{name} is animated: save its frames as one file each")
        elif kind in chunks and kind in _ONCE:
            raise FingerprintError(f"{name} has the chunk {kind.decode()} twice, which readers resolve differently")
        else:
            chunks[kind] = content
    header = chunks.get(b"IHDR", b"")
    if len(header) != 13 or b"IEND" not in chunks or header[9] not in _CHANNELS or header[8] not in (1, 2, 4, 8, 16):
        raise FingerprintError(f"{name} is damaged: its header or its end is missing; fetch it again")
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    depth, color = header[8], header[9]
    check_area(width, height, _CHANNELS[color], name, limits)
    stream = digest_bytes("png-stream", header, _inflate(bytes(compressed), _raw_size(header), name))
    image = open_picture(data, "PNG", name)
    is_exact = depth < 16 or color == 0
    pages = (load_samples(image, name, limits),) if is_exact else None
    mode = image.mode if is_exact else f"{image.mode};16"
    attributes: dict[str, Value | None] = {
        "mode": (mode,),
        "width": (width,),
        "height": (height,),
        "pages": 1,
        "palette": (trim_palette(chunks.get(b"PLTE", b"")),) if color == 3 else None,
        "transparency": (depth if color != 3 else 8, chunks[b"tRNS"]) if b"tRNS" in chunks else None,
        "gamma": chunks.get(b"gAMA"),
        "chromaticities": chunks.get(b"cHRM"),
        "srgb_intent": chunks.get(b"sRGB"),
        "icc_profile": _profile(chunks.get(b"iCCP"), name),
        "orientation": _orientation(image.getexif().get(0x0112)),
    }
    return RasterParts("png", stream, attributes, 1, (mode,), pages)


def _chunks(data: bytes, name: str) -> Iterator[tuple[bytes, bytes]]:
    place = len(PNG_MARK)
    while place < len(data):
        length, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        content, check = data[place + 8 : place + 8 + length], data[place + 8 + length : place + 12 + length]
        if len(check) != 4 or zlib.crc32(kind + content) != int.from_bytes(check, "big"):
            raise FingerprintError(f"{name} is damaged at its byte {place:,}: fetch it again")
        yield kind, content
        if kind == b"IEND":
            return
        place += 12 + length


def _raw_size(header: bytes) -> int:
    """Bytes of all filtered rows, from the header alone."""
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    bits = header[8] * _CHANNELS[header[9]]
    if not header[12]:
        return height * (1 + -(-width * bits // 8))
    total = 0
    for left, top, across, down in _ADAM7:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        total += rows * (1 + -(-columns * bits // 8)) if columns > 0 and rows > 0 else 0
    return total


def _inflate(compressed: bytes, size: int, name: str) -> bytes:
    """The rows as they were filtered; exactly as many bytes as the header asks for, so never a bomb."""
    machine = zlib.decompressobj()
    try:
        rows = machine.decompress(compressed, size + 1)
    except zlib.error as error:
        raise FingerprintError(f"{name} is damaged ({error}): fetch it again") from error
    if len(rows) != size or not machine.eof:
        raise FingerprintError(f"{name} has more or fewer pixels than its header says: it is damaged, fetch it again")
    return rows


def _profile(chunk: bytes | None, name: str) -> bytes | None:
    """The color profile, without its name, which means nothing."""
    if chunk is None:
        return None
    machine = zlib.decompressobj()
    try:
        profile = machine.decompress(chunk.partition(b"\x00")[2][1:], _MAX_PROFILE)
    except zlib.error as error:
        raise FingerprintError(f"{name} has a damaged color profile ({error}): save it again") from error
    if not machine.eof:
        raise FingerprintError(f"{name} has a color profile that ends early or is above the limit: save it again")
    return profile


def _orientation(value: object) -> Value | None:
    return (value,) if isinstance(value, int) else None
