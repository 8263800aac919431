from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mithridate.errors import UserError
from mithridate.media import read_image
from mithridate.media.raster import MAX_PIXELS, read_raster

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)


def tiff(samples: bytes, *, width: int, height: int, bits: int, white_is_zero: bool = False, kind: int = 1) -> bytes:
    """A minimal little-endian TIFF of one uncompressed strip, for sample kinds that Pillow cannot write."""
    tags = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, 0 if white_is_zero else 1),
        (273, 4, 8 + 2 + 12 * 9 + 4),
        (277, 3, 1),
        (279, 4, len(samples)),
        (339, 3, kind),
    ]
    directory = b"".join(struct.pack("<HHII", tag, form, 1, value) for tag, form, value in tags)
    return b"II*\x00" + struct.pack("<IH", 8, len(tags)) + directory + struct.pack("<I", 0) + samples


def png_header(width: int, height: int) -> bytes:
    """A PNG that states a size and holds no pixels."""
    ihdr = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + ihdr + struct.pack(">I", zlib.crc32(ihdr))
    idat = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    return b"\x89PNG\r\n\x1a\n" + chunk + idat


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_eight_bit_gray_is_exact(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(RAMP).save(tmp_path / f"a{suffix}")
    pixels = read_image(tmp_path / f"a{suffix}")
    assert pixels.shape == (16, 16, 1)
    assert pixels.dtype == np.float32
    np.testing.assert_array_equal(pixels[:, :, 0], RAMP.astype(np.float32) / np.float32(255))


def test_sixteen_bit_is_divided_by_its_full_range(tmp_path: Path) -> None:
    values = np.array([[0, 1, 257], [300, 32768, 65535]], dtype=np.uint16)
    for name in ("a.png", "a.tif"):
        Image.fromarray(values).save(tmp_path / name)
        np.testing.assert_allclose(read_image(tmp_path / name)[:, :, 0], values / 65535, atol=1e-7)


def test_twelve_bit_tiff_is_divided_by_4095(tmp_path: Path) -> None:
    # Two 12-bit samples in three bytes: 0xFFF and 0x800.
    (tmp_path / "a.tif").write_bytes(tiff(b"\xff\xf8\x00", width=2, height=1, bits=12))
    np.testing.assert_allclose(read_image(tmp_path / "a.tif")[:, :, 0], [[1, 0x800 / 4095]], atol=1e-7)


def test_sixteen_bit_tiff_with_white_at_zero_is_inverted(tmp_path: Path) -> None:
    samples = np.array([0, 65535, 13107], dtype="<u2").tobytes()
    (tmp_path / "a.tif").write_bytes(tiff(samples, width=3, height=1, bits=16, white_is_zero=True))
    np.testing.assert_allclose(read_image(tmp_path / "a.tif")[:, :, 0], [[1, 0, 0.8]], atol=1e-6)


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    bits = np.array([[0, 1], [1, 0]], dtype=bool)
    Image.fromarray(bits).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[:, :, 0], bits)


def test_palette_gives_its_colors(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 255, 0, 51])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png")
    np.testing.assert_allclose(read_image(tmp_path / "a.png")[0], [[0, 0, 0], [1, 0, 0.2]], atol=1e-7)


def test_palette_with_a_transparent_entry_is_composited_over_black(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 255, 255, 255, 0, 51])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png", transparency=0)
    np.testing.assert_allclose(read_image(tmp_path / "a.png")[0], [[0, 0, 0], [1, 0, 0.2]], atol=1e-7)


@pytest.mark.parametrize(
    ("mode", "pixel", "expected"), [("RGBA", (255, 51, 0, 51), (0.2, 0.04, 0)), ("LA", (255, 51), (0.2,))]
)
def test_transparency_is_composited_over_black(
    tmp_path: Path, mode: str, pixel: tuple[int, ...], expected: tuple[float, ...]
) -> None:
    Image.new(mode, (3, 2), pixel).save(tmp_path / "a.png")
    pixels = read_image(tmp_path / "a.png")
    np.testing.assert_allclose(pixels, np.broadcast_to(expected, (2, 3, len(expected))), atol=1e-6)


@pytest.mark.parametrize("suffix", [".tif", ".jpg"])
def test_cmyk_becomes_rgb(tmp_path: Path, suffix: str) -> None:
    # Full cyan without black is (0, 1, 1) in RGB.
    Image.new("CMYK", (8, 8), (255, 0, 0, 0)).save(tmp_path / f"a{suffix}")
    np.testing.assert_allclose(read_image(tmp_path / f"a{suffix}")[4, 4], [0, 1, 1], atol=0.02)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (32, 16))
    image.paste((255, 255, 255), (0, 0, 16, 16))  # left half white
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate a quarter clockwise to show: left becomes top
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    pixels = read_image(tmp_path / "a.jpg")
    assert pixels.shape == (32, 16, 3)
    assert pixels[:12].min() > 0.9
    assert pixels[20:].max() < 0.1


@pytest.mark.parametrize("suffix", [".gif", ".tif", ".png"])
def test_several_frames_need_a_choice(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    frames = [Image.new("L", (20, 20), level) for level in (0, 102, 255)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.raises(UserError, match=r"holds 3 frames: name one, from .*#0 to .*#2"):
        read_image(path)
    assert read_image(path, frame=1)[5, 5, 0] == pytest.approx(0.4)
    with pytest.raises(UserError, match="no frame 3"):
        read_image(path, frame=3)


def test_a_camera_file_with_previews_is_its_photograph(tmp_path: Path) -> None:
    photograph = Image.new("RGB", (40, 40), (255, 255, 255))
    photograph.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[Image.new("RGB", (10, 10))])
    pixels = read_image(tmp_path / "a.jpg")
    assert pixels.shape == (40, 40, 3)
    assert pixels.min() > 0.95


def test_one_pixel_is_an_image(tmp_path: Path) -> None:
    Image.new("L", (1, 1), 51).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png") == pytest.approx(np.full((1, 1, 1), 0.2))


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (12_000, 8_000), (9_000, 9_000)])
def test_gigapixels_are_refused_from_the_header(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "slide.png"
    path.write_bytes(png_header(width, height))
    assert width * height > MAX_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserError, match=r"slide\.png has .*pixels.*limit of 80,000,000"):
            read_image(path)


def test_the_pixel_limit_is_a_parameter(tmp_path: Path) -> None:
    Image.new("L", (20, 20)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="20 x 20 pixels, above the limit of 399"):
        read_image(tmp_path / "a.png", max_pixels=399)
    assert read_image(tmp_path / "a.png", max_pixels=400).shape == (20, 20, 1)


def test_samples_without_a_range_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((2, 2), dtype=np.int32)).save(tmp_path / "int.tif")
    Image.fromarray(np.full((2, 2), 3.5, dtype=np.float32)).save(tmp_path / "float.tif")
    Image.fromarray(np.full((2, 2), 0.25, dtype=np.float32)).save(tmp_path / "unit.tif")
    with pytest.raises(UserError, match=r"int\.tif stores samples of kind 'I'"):
        read_image(tmp_path / "int.tif")
    with pytest.raises(UserError, match=r"float\.tif stores floating-point samples outside 0..1"):
        read_image(tmp_path / "float.tif")
    assert read_image(tmp_path / "unit.tif").max() == 0.25


def test_missing_empty_and_foreign_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.png cannot be opened"):
        read_image(tmp_path / "gone.png")
    (tmp_path / "empty.png").touch()
    with pytest.raises(UserError, match=r"empty\.png is empty"):
        read_image(tmp_path / "empty.png")
    (tmp_path / "text.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n")
    with pytest.raises(UserError, match=r"text\.png is not an image"):
        read_image(tmp_path / "text.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "WEBP", "JPEG2000"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_truncated_files_are_refused_by_name(tmp_path: Path, kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, kind)
    data = buffer.getvalue()
    path = tmp_path / "cut.png"  # a wrong suffix must not matter
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UserError, match=r"cut\.png"):
        read_image(path)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data(), kind=st.sampled_from(["PNG", "JPEG", "TIFF", "BMP", "GIF"]))
def test_damaged_files_give_pixels_or_a_sentence(tmp_path: Path, data: st.DataObject, kind: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(RAMP).save(buffer, kind)
    damaged = bytearray(buffer.getvalue())
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=6)):
        damaged[place] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.img"
    path.write_bytes(damaged)
    try:
        pixels = read_raster(path, max_pixels=10_000)
    except UserError as error:
        assert "damaged.img" in str(error)  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert pixels.ndim == 3
        assert pixels.shape[2] in (1, 3)
        assert 0 <= pixels.min() <= pixels.max() <= 1
