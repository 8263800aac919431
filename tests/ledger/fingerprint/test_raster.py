"""PNG, JPEG and TIFF files: saved again without loss, edited, and changed by one pixel."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from mithridate.errors import UserError
from mithridate.ledger.fingerprint import Verdict, compare, fingerprint_image
from mithridate.ledger.fingerprint.model import FingerprintError, Limits
from mithridate.ledger.fingerprint.verdict import Judgement

SALT = bytes(range(32))
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def picture(mode: str = "RGB", seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    if mode == "I;16":
        return Image.fromarray(rng.integers(0, 65536, (23, 17), dtype=np.uint16))
    if mode == "1":
        return Image.fromarray(rng.integers(0, 2, (23, 17), dtype=np.uint8) * 255).convert("1")
    channels = {"L": 1, "LA": 2, "P": 1, "RGB": 3, "RGBA": 4}[mode]
    values = rng.integers(0, 256, (23, 17, channels), dtype=np.uint8)
    if mode == "P":
        image = Image.fromarray(values[:, :, 0]).convert("P")
        image.putpalette(rng.integers(1, 256, 768, dtype=np.uint8).tobytes())
        return image
    return Image.fromarray(values[:, :, 0] if channels == 1 else values, mode)


def save(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def judge(before: bytes, after: bytes) -> Judgement:
    return compare(fingerprint_image(before, "before").seal(SALT), fingerprint_image(after, "after"), SALT)


@pytest.mark.parametrize("mode", MODES)
def test_every_lossless_way_of_saving_is_recognized(mode: str) -> None:
    image = picture(mode)
    before = save(image, "PNG")
    ways = [("PNG", {"compress_level": level}) for level in (0, 9)]
    ways += [("TIFF", {"compression": name}) for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits")]
    for kind, options in ways:
        assert (kind, options, judge(before, save(image, kind, **options)).verdict) == (
            kind,
            options,
            Verdict.TRANSCODED,
        )


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("mode", MODES)
def test_any_changed_sample_is_a_mismatch(mode: str, kind: str) -> None:
    image = picture(mode)
    before = save(image, kind)
    for place in ((0, 0), (16, 22), (8, 11)):
        changed = image.copy()
        value = image.getpixel(place)
        changed.putpixel(
            place, (value[0] ^ 1, *value[1:]) if isinstance(value, tuple) else value ^ (255 if mode == "1" else 1)
        )
        assert judge(before, save(changed, kind)).verdict is Verdict.MISMATCH


def test_interlacing_is_an_encoding() -> None:
    rows = np.asarray(picture("L"))
    assert judge(_png(rows, interlaced=False), _png(rows, interlaced=True)).verdict is Verdict.TRANSCODED


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_the_depth_in_which_grey_levels_are_kept_is_an_encoding(bits: int) -> None:
    levels = np.random.default_rng(0).integers(0, 1 << bits, (5, 8), dtype=np.uint8)
    packed = np.packbits(np.unpackbits(levels[:, :, None], axis=2)[:, :, 8 - bits :].reshape(5, -1), axis=1)
    data = _file(_header(8, 5, bits, 0), b"".join(b"\x00" + row.tobytes() for row in packed))
    image = Image.open(io.BytesIO(data))
    assert judge(data, save(image, "TIFF")).verdict is Verdict.TRANSCODED
    assert judge(data, save(image, "PNG")).verdict in (Verdict.TRANSCODED, Verdict.IDENTICAL)


def _png_edits() -> Iterator[tuple[str, bytes, bytes]]:
    """An attribute's name, and a file without and with it (or with another one)."""
    plain = save(picture("L"), "PNG")
    for name, kind, one, two in (
        ("gamma", b"gAMA", struct.pack(">I", 45455), struct.pack(">I", 100000)),
        ("chromaticities", b"cHRM", struct.pack(">8I", *range(1, 9)), struct.pack(">8I", *range(2, 10))),
        ("srgb_intent", b"sRGB", b"\x00", b"\x01"),
        ("transparency", b"tRNS", b"\x00\x10", b"\x00\x11"),
    ):
        with_one = _insert(plain, kind, one)
        yield name, plain, with_one
        yield name, with_one, plain
        yield name, with_one, _insert(plain, kind, two)
    profile = save(picture("L"), "PNG", icc_profile=PROFILE)
    yield "icc_profile", plain, profile
    yield "icc_profile", profile, save(picture("L"), "PNG", icc_profile=PROFILE[:-1] + b"\x01")
    yield "orientation", plain, save(picture("L"), "PNG", exif=_exif(6))
    yield "orientation", save(picture("L"), "PNG", exif=_exif(3)), save(picture("L"), "PNG", exif=_exif(6))
    palette = picture("P")
    before = save(palette, "PNG")
    colors = bytearray(palette.getpalette() or [])
    colors[5] ^= 1
    palette.putpalette(bytes(colors))
    yield "palette", before, save(palette, "PNG")
    yield "transparency", before, save(picture("P"), "PNG", transparency=3)


def test_every_edit_of_a_png_attribute_is_named() -> None:
    for name, before, after in _png_edits():
        judgement = judge(before, after)
        assert (judgement.verdict, judgement.attributes) == (Verdict.METADATA_EDITED, (name,))


def test_comments_are_no_edit() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "not for a model")
    assert judge(save(picture(), "PNG"), save(picture(), "PNG", pnginfo=text)).verdict is Verdict.TRANSCODED
    jpeg = save(picture(), "JPEG")
    assert judge(jpeg, save(picture(), "JPEG", comment=b"hello")).verdict is Verdict.TRANSCODED


def test_every_edit_of_a_tiff_attribute_is_named() -> None:
    plain = save(picture("L"), "TIFF")
    for name, options in (("orientation", {"tiffinfo": {274: 6}}), ("icc_profile", {"icc_profile": PROFILE})):
        other = save(picture("L"), "TIFF", **options)
        for before, after in ((plain, other), (other, plain)):
            judgement = judge(before, after)
            assert (judgement.verdict, judgement.attributes) == (Verdict.METADATA_EDITED, (name,))
    tag = plain.index(struct.pack("<HHII", 262, 3, 1, 1))
    inverted = plain[: tag + 8] + struct.pack("<I", 0) + plain[tag + 12 :]  # white is zero
    judgement = judge(plain, inverted)
    assert (judgement.verdict, judgement.attributes) == (Verdict.METADATA_EDITED, ("photometric",))


def test_the_pages_of_a_tiff_count() -> None:
    one, two = picture("L", 1), picture("L", 2)
    both = save(one, "TIFF", save_all=True, append_images=[two])
    assert judge(both, save(one, "TIFF", save_all=True, append_images=[two], compression="tiff_lzw")).verdict is (
        Verdict.TRANSCODED
    )
    for other in (save(two, "TIFF", save_all=True, append_images=[one]), save(one, "TIFF")):
        assert judge(both, other).verdict is Verdict.MISMATCH


def test_a_jpeg_is_known_by_its_stream() -> None:
    image = picture()
    jpeg = save(image, "JPEG", quality=95)
    assert fingerprint_image(jpeg, "JPEG").pixels is None
    for name, options in (("orientation", {"exif": _exif(6)}), ("icc_profile", {"icc_profile": PROFILE})):
        judgement = judge(jpeg, save(image, "JPEG", quality=95, **options))
        assert (judgement.verdict, judgement.attributes) == (Verdict.METADATA_EDITED, (name,))
    assert judge(jpeg, save(image, "JPEG", quality=94)).verdict is Verdict.MISMATCH
    decoded = Image.open(io.BytesIO(jpeg))
    assert judge(jpeg, save(decoded, "PNG")).verdict is Verdict.MISMATCH
    assert judge(jpeg, jpeg[:2] + b"\xff\xee\x00\x0eAdobe\x00d\x00\x00\x00\x00\x00" + jpeg[2:]).attributes == (
        "adobe_transform",
    )
    turned = save(image, "JPEG", quality=95, exif=_exif(6))
    block = turned[turned.index(b"\xff\xe1") :][
        : 2 + int.from_bytes(turned[turned.index(b"\xff\xe1") + 2 :][:2], "big")
    ]
    with pytest.raises(FingerprintError, match="2 EXIF blocks"):
        fingerprint_image(turned[:2] + block + turned[2:], "twice")
    jfif = jpeg.index(b"\xff\xe0")
    assert judge(jpeg, jpeg[:jfif] + jpeg[jfif + 18 :]).attributes == ("jfif",)


def test_every_changed_byte_of_a_jpegs_coded_data_is_a_mismatch() -> None:
    jpeg = save(picture(), "JPEG", progressive=True)
    start = jpeg.index(b"\xff\xda")
    for place in range(start + 20, len(jpeg) - 2, 37):
        changed = jpeg[:place] + bytes([jpeg[place] ^ 2]) + jpeg[place + 1 :]
        try:
            assert judge(jpeg, changed).verdict is Verdict.MISMATCH
        except FingerprintError:
            continue


def test_sixteen_bits_a_channel_are_compared_in_full() -> None:
    rows = np.random.default_rng(0).integers(0, 65536, (5, 4, 3)).astype(">u2")
    before = _file(_header(4, 5, 16, 2), b"".join(b"\x00" + row.tobytes() for row in rows))
    again = _file(_header(4, 5, 16, 2), b"".join(b"\x00" + row.tobytes() for row in rows), level=0)
    assert judge(before, again).verdict is Verdict.TRANSCODED
    rows[2, 2, 2] ^= 1  # the decoder drops this bit
    changed = _file(_header(4, 5, 16, 2), b"".join(b"\x00" + row.tobytes() for row in rows))
    assert judge(before, changed).verdict is Verdict.MISMATCH


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (save(picture(), "TIFF", compression="jpeg"), "may lose"),
        (save(picture(), "PNG", save_all=True, append_images=[picture(seed=1)]), "animated"),
        (save(picture(), "WEBP", lossless=True), "no DICOM"),
        (save(picture(), "GIF"), "no DICOM"),
        (b"", "no DICOM"),
    ],
)
def test_kinds_that_cannot_be_read_exactly_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(FingerprintError, match=reason):
        fingerprint_image(data, "image")


def test_bombs_are_refused_before_they_are_decoded() -> None:
    limits = Limits(frame_samples=1000)
    for kind in ("PNG", "JPEG", "TIFF"):
        with pytest.raises(FingerprintError, match="above the limit"):
            fingerprint_image(save(picture(), kind), "large", limits)
    with pytest.raises(FingerprintError, match="more or fewer pixels"):
        fingerprint_image(_file(_header(2, 2, 8, 0), bytes(50_000_000)), "bomb")
    with pytest.raises(FingerprintError, match="above the limit"):
        fingerprint_image(_file(_header(2**31 - 1, 2**31 - 1, 8, 0), b""), "bomb")


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_every_cut_of_a_file_is_refused(kind: str) -> None:
    data = save(picture("L"), kind)
    for length in range(len(data)):
        with pytest.raises(UserError):
            fingerprint_image(data[:length], "cut")


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_changed_bytes_crash_the_readers_or_pass_as_untouched(data: st.DataObject) -> None:
    source = data.draw(st.sampled_from(SOURCES))
    place, value = data.draw(st.integers(0, len(source) - 1)), data.draw(st.integers(0, 255))
    changed = source[:place] + bytes([value]) + source[place + 1 :]
    if changed == source:
        return
    try:
        assert judge(source, changed).verdict is not Verdict.IDENTICAL
    except FingerprintError:
        return


SOURCES = [
    save(picture("P"), "PNG"),
    save(picture(), "JPEG"),
    save(picture("I;16"), "TIFF", compression="tiff_lzw"),
    save(picture("L"), "TIFF", save_all=True, append_images=[picture("RGB")]),
]


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def _header(width: int, height: int, depth: int, color: int, interlace: int = 0) -> bytes:
    return struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _file(header: bytes, rows: bytes, level: int = 9) -> bytes:
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows, level)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _insert(data: bytes, kind: bytes, content: bytes) -> bytes:
    """The PNG file with a chunk behind its header."""
    return data[:33] + _chunk(kind, content) + data[33:]


def _png(rows: np.ndarray, *, interlaced: bool) -> bytes:
    height, width = rows.shape
    if not interlaced:
        return _file(_header(width, height, 8, 0), b"".join(b"\x00" + row.tobytes() for row in rows))
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    parts = [rows[top::down, left::across] for left, top, across, down in passes]
    lines = b"".join(b"\x00" + line.tobytes() for part in parts if part.size for line in part)
    return _file(_header(width, height, 8, 0, 1), lines)
