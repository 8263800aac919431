"""What the readers of the raster formats have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mithridate.ledger.canonical import Value
from mithridate.ledger.fingerprint.model import FingerprintError, Limits


@dataclass(frozen=True)
class RasterParts:
    """What a reader finds in a file.

    Attributes: media, stream (F1), attributes (F3 by name, None or missing for absent), modes and pages (the kind and
    the samples of each page, height x width or height x width x channels), None where the stream is the authority.
    """

    media: str
    stream: bytes
    attributes: Mapping[str, Value | None]
    frames: int
    modes: tuple[str, ...] = ()
    pages: tuple[NDArray[Any], ...] | None = None


def open_picture(data: bytes, kind: str, name: str) -> Image.Image:
    """A lazily decoded picture of exactly this format.  Raises FingerprintError when its header cannot be read."""
    try:
        return Image.open(BytesIO(data), formats=(kind,))
    except Exception as error:  # damaged headers raise nearly every type
        raise damaged(name, error) from error


def load_samples(image: Image.Image, name: str, limits: Limits) -> NDArray[Any]:
    """The samples of the current page.  Raises FingerprintError when they are too many or the data are damaged."""
    check_area(image.width, image.height, len(image.getbands()), name, limits)
    try:
        image.load()
        samples = np.array(image)
    except Exception as error:
        raise damaged(name, error) from error
    return samples


def check_area(width: int, height: int, channels: int, name: str, limits: Limits) -> None:
    """Raises FingerprintError when a page has more samples than the limit allows."""
    if width * height * channels > limits.frame_samples:
        raise FingerprintError(
            f"{name} has {width:,} x {height:,} pixels of {channels} samples, above the limit of "
            f"{limits.frame_samples:,} samples"
        )


def trim_palette(palette: bytes) -> bytes:
    """RGB triples without the black ones at the end, which some formats add to fill the table."""
    while palette.endswith(b"\x00\x00\x00") and len(palette) % 3 == 0:
        palette = palette[:-3]
    return palette


def damaged(name: str, error: Exception) -> FingerprintError:
    """The one sentence for a file that cannot be decoded."""
    lines = str(error).strip().splitlines()
    gist = lines[0].rstrip(". ") if lines else type(error).__name__
    return FingerprintError(f"{name} is damaged and cannot be decoded ({gist}): fetch it again")
