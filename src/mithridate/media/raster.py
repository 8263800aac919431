"""PNG, JPEG, TIFF, BMP, GIF, WebP and JPEG 2000 files as arrays.

Decisions that change pixels, in one place:

* a sample is divided by the largest value its format can hold (255, 65535, or 4095 for 12-bit TIFF), never by the
  largest value found, so two images keep their relative brightness; color with 16 bits a channel keeps its upper 8;
* transparency is composited over black, the color of the unlit field in medical images;
* palettes and CMYK become RGB; a color profile is not applied;
* the EXIF orientation is applied;
* a file with several frames is refused unless one is named: taking the first silently could take a thumbnail.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from mithridate.errors import UserError
from mithridate.media.quiet import quiet

Array = NDArray[np.float32]

MAX_PIXELS = 80_000_000
"""Largest accepted image, in pixels: four times the largest mammogram, and below the size at which Pillow warns."""

# Formats are listed so that a file cannot reach the rest of Pillow's readers (EPS would start an interpreter).
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "JPEG2000", "PPM")
_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262  # TIFF tags
_SIXTEEN_BIT = {"I;16", "I;16L", "I;16B", "I;16N"}


def read_raster(path: Path, *, frame: int | None = None, max_pixels: int = MAX_PIXELS) -> Array:
    """Read a raster image: float32, H x W x C with C = 1 (gray) or 3 (RGB), in [0, 1].

    The size is checked against `max_pixels` from the header, before any pixel is decoded.
    Raises UserError, naming the file, for anything that cannot be read exactly.
    """
    try:
        with quiet(), _open(path, max_pixels) as image:
            _select(image, path, frame)
            _check_size(path, image.width, image.height, max_pixels)
            image.load()
            tags = dict(getattr(image, "tag_v2", {}))  # of a TIFF; turning the image loses them
            return _to_array(ImageOps.exif_transpose(image), tags, path)
    except UserError:
        raise
    except Exception as error:  # damaged files raise nearly every type there is, from SyntaxError to struct.error
        raise UserError(
            f"{path} is damaged and cannot be decoded ({_gist(error)}): replace it or take it out of the list"
        ) from error


def size_refusal(path: Path, width: int, height: int, max_pixels: int) -> UserError:
    """The one sentence for an image above the pixel limit."""
    return UserError(
        f"{path} has {width:,} x {height:,} pixels, above the limit of {max_pixels:,}: "
        "downscale it or cut tiles from it first"
    )


def _open(path: Path, max_pixels: int) -> Image.Image:
    """Open the header only; Pillow's own guard against decompression bombs becomes our sentence."""
    try:
        return Image.open(path, formats=_FORMATS)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):  # the first where warnings are errors
        raise UserError(
            f"{path} has more pixels than the limit of {max_pixels:,}: downscale it or cut tiles from it first"
        ) from None
    except UnidentifiedImageError:
        raise UserError(
            f"{path} is not an image that can be read: its header is damaged or its format is unknown; replace it"
        ) from None


def _check_size(path: Path, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise size_refusal(path, width, height, max_pixels)


def _select(image: Image.Image, path: Path, frame: int | None) -> None:
    """Move to the frame asked for."""
    frames = int(getattr(image, "n_frames", 1))
    if image.format == "MPO":  # a camera's JPEG: the first picture is the photograph, the rest are previews of it
        frames = 1
    if frame is None and frames > 1:
        raise UserError(f"{path} holds {frames} frames: name one, from {path.name}#0 to {path.name}#{frames - 1}")
    if frame is not None and not 0 <= frame < frames:
        raise UserError(f"{path} has no frame {frame}: it holds {frames}, counted from 0")
    if frame:
        image.seek(frame)


def _to_array(image: Image.Image, tags: dict[int, Any], path: Path) -> Array:
    mode = image.mode
    if mode in _SIXTEEN_BIT:
        return _sixteen_bit(image, tags)
    if mode == "F":
        return _float_samples(image, path)
    if mode == "1":
        return np.asarray(image, dtype=np.float32)[:, :, None]
    if mode in {"La", "RGBa"}:  # already multiplied by alpha, which is compositing over black
        return _unit(image)[:, :, :-1].copy()
    if mode in {"L", "LA"}:
        return _composite(image.convert("LA")) if _is_transparent(image) else _unit(image.convert("L"))
    if mode in {"RGB", "RGBA", "P", "PA"}:
        return _composite(image.convert("RGBA")) if _is_transparent(image) else _unit(image.convert("RGB"))
    if mode in {"RGBX", "CMYK", "YCbCr", "HSV"}:
        return _unit(image.convert("RGB"))
    raise UserError(
        f"{path} stores samples of kind '{mode}', which have no stated range: save it as 8- or 16-bit gray or RGB"
    )


def _is_transparent(image: Image.Image) -> bool:
    return "A" in image.mode or "transparency" in image.info


def _unit(image: Image.Image) -> Array:
    samples = np.asarray(image, dtype=np.float32) / np.float32(255)
    return samples if samples.ndim == 3 else samples[:, :, None]


def _composite(image: Image.Image) -> Array:
    samples = _unit(image)
    return np.ascontiguousarray(samples[:, :, :-1] * samples[:, :, -1:])


def _sixteen_bit(image: Image.Image, tags: dict[int, Any]) -> Array:
    """One gray channel of 16-bit (or 12-bit TIFF) samples over their full range."""
    bits = int(tags.get(_BITS_PER_SAMPLE, (16,))[0])
    samples = np.asarray(image).astype(np.float32) / np.float32(2**bits - 1)
    if tags.get(_PHOTOMETRIC) == 0:  # white is zero; Pillow inverts 8-bit samples of this kind but not 16-bit ones
        samples = 1 - samples
    return samples[:, :, None]


def _float_samples(image: Image.Image, path: Path) -> Array:
    samples = np.asarray(image, dtype=np.float32)[:, :, None]
    if not (np.isfinite(samples).all() and samples.min() >= 0 and samples.max() <= 1):
        raise UserError(f"{path} stores floating-point samples outside 0..1: rescale it to 0..1 or save it as 16-bit")
    return samples.copy()


def _gist(error: Exception) -> str:
    """The first line of a library's message, without a full stop: it becomes part of one sentence."""
    lines = str(error).strip().splitlines()
    return (lines[0].rstrip(". ") if lines else "") or type(error).__name__
