"""What a compressed frame says of itself, whatever the file around it claims: how it was coded, in which colors."""

from __future__ import annotations

from collections.abc import Iterator

JPEG_START = b"\xff\xd8"
J2K_START = b"\xff\x4f"
JP2_START = b"\x00\x00\x00\x0cjP  \r\n\x87\n"

_SOS, _SOT, _COD, _COC, _SIZ = 0xDA, 0x90, 0x52, 0x53, 0x51
_LOSSLESS_FRAMES = {0xC3, 0xC7, 0xCB, 0xCF}  # JPEG's lossless processes
_JPEG_LS_FRAME = 0xF7
_STANDALONE = {0x01, *range(0xD0, 0xD8)}


class DamagedStream(ValueError):
    """A codestream's headers cannot be followed."""


def is_reversible_jpeg(stream: bytes) -> bool:
    """Whether a JPEG stream is of a lossless process.  Raises DamagedStream when its headers cannot be followed."""
    frames = [
        marker for marker, _ in jpeg_segments(stream) if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)
    ]
    if len(frames) != 1:
        raise DamagedStream("a JPEG stream has one frame header, this one has another number")
    return frames[0] in _LOSSLESS_FRAMES


def is_reversible_jpeg_ls(stream: bytes) -> bool:
    """Whether every scan of a JPEG-LS stream is lossless (NEAR = 0)."""
    markers = [marker for marker, _ in jpeg_segments(stream)]
    if _JPEG_LS_FRAME not in markers:
        raise DamagedStream("a JPEG-LS stream has the frame header SOF55, this one has not")
    # Behind FF the coded data have a byte below 80, so FF DA is only ever the start of a scan.
    place, nears = 0, []
    while (place := stream.find(b"\xff\xda", place)) >= 0:
        components = stream[place + 4 : place + 5]
        near = stream[place + 5 + 2 * components[0] :][:1] if components else b""
        if not near:
            raise DamagedStream("a JPEG-LS scan's header ends early")
        nears.append(near[0])
        place += 2
    return bool(nears) and not any(nears)


def is_reversible_j2k(stream: bytes) -> bool:
    """Whether a JPEG 2000 stream uses the reversible 5/3 wavelet for every component."""
    kinds = []
    wide = False
    for marker, body in _j2k_segments(stream):
        if marker == _SIZ and len(body) >= 36:
            wide = int.from_bytes(body[34:36], "big") >= 257
        if marker == _COD and len(body) >= 10:
            kinds.append(body[9])
        if marker == _COC:
            kinds += body[6 + wide : 7 + wide]
    if not kinds:
        raise DamagedStream("a JPEG 2000 stream says how it is coded, this one does not")
    return all(kind == 1 for kind in kinds)


def rotates_color(stream: bytes) -> bool:
    """Whether a JPEG 2000 stream keeps RGB as a rotated color space that every decoder turns back."""
    return any(marker == _COD and len(body) >= 5 and body[4] == 1 for marker, body in _j2k_segments(stream))


def jpeg_segments(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """The markers of a JPEG or JPEG-LS stream up to its first scan, that one included, with what they hold."""
    if not stream.startswith(JPEG_START):
        raise DamagedStream("a JPEG stream starts with FF D8, this one does not")
    place = 2
    while True:
        while stream[place : place + 2] == b"\xff\xff":  # fill bytes
            place += 1
        marker, body, place = _segment(stream, place)
        yield marker, body
        if marker == _SOS:
            return


def _j2k_segments(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """The markers of a JPEG 2000 stream's main header."""
    stream = _unwrap(stream)
    if not stream.startswith(J2K_START):
        raise DamagedStream("a JPEG 2000 stream starts with FF 4F, this one does not")
    place = 2
    while stream[place : place + 2] != bytes([0xFF, _SOT]):
        marker, body, place = _segment(stream, place)
        yield marker, body


def _unwrap(stream: bytes) -> bytes:
    """The codestream inside a JP2 file, which DICOM does not allow and some writers embed.

    Raises DamagedStream for one with a palette or a channel order of its own, which not every decoder applies.
    """
    if not stream.startswith(JP2_START):
        return stream
    place = 0
    while place < len(stream):
        length, kind = int.from_bytes(stream[place : place + 4], "big"), stream[place + 4 : place + 8]
        end = place + length if length else len(stream)
        if length == 1 or end < place + 8:
            break
        if kind == b"jp2c":
            return stream[place + 8 : end]
        if kind == b"jp2h" and any(box in stream[place:end] for box in (b"pclr", b"cmap", b"cdef")):
            raise DamagedStream("a JP2 header maps the samples to others, which decoders do differently")
        place = end
    raise DamagedStream("a JP2 file holds no codestream that can be followed")


def _segment(stream: bytes, place: int) -> tuple[int, bytes, int]:
    """A marker, what it holds, and where the next one starts."""
    if stream[place : place + 1] != b"\xff" or place + 2 > len(stream):
        raise DamagedStream("a codestream's headers end early or are damaged")
    marker = stream[place + 1]
    if marker in _STANDALONE:
        return marker, b"", place + 2
    length = int.from_bytes(stream[place + 2 : place + 4], "big")
    end = place + 2 + length
    if length < 2 or end > len(stream):
        raise DamagedStream("a codestream's headers end early or are damaged")
    return marker, stream[place + 4 : end], end
