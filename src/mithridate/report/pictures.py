"""Arrays as pictures that a page can hold, and changes made large enough to see."""

from __future__ import annotations

import base64
import io
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Encoding = Literal["png", "lossless", "display"]
"""png; lossless WebP (the same pixels, smaller); display: WebP at quality 92, for the eye only."""

FACTORS = (1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000)

Array = NDArray[np.float32]


def to_bytes(image: Array) -> NDArray[np.uint8]:
    """C x H x W in [0, 1] as H x W (gray) or H x W x 3 of 8 bits; channels other than 1 or 3 are averaged."""
    pixels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    if len(pixels) == 3:
        return np.ascontiguousarray(pixels.transpose(1, 2, 0))
    gray: NDArray[np.uint8] = pixels.mean(0).round().astype(np.uint8)
    return gray


def data_uri(image: Array, encoding: Encoding = "lossless") -> str:
    """C x H x W in [0, 1] as a data URI."""
    picture, buffer = Image.fromarray(to_bytes(image)), io.BytesIO()
    if encoding == "png":
        picture.save(buffer, "PNG", optimize=True)
    elif encoding == "lossless":
        picture.save(buffer, "WEBP", lossless=True, quality=80, method=4)
    else:
        picture.save(buffer, "WEBP", quality=92, method=4)
    kind = "png" if encoding == "png" else "webp"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def factor_for(largest: float) -> int:
    """The greatest round factor that keeps changes up to `largest` within what a gray middle can show; at least 1.

    A part in a thousand is forgiven: a difference of float32 pixels is seldom exactly epsilon.
    """
    return max((f for f in FACTORS if f * largest <= 0.5 * (1 + 1e-3)), default=1)


def amplified(clean: Array, candidate: Array, factor: float) -> Array:
    """The change around middle gray, 0.5 + factor x (candidate - clean), cut to [0, 1]; C x H x W."""
    shown: Array = np.clip(0.5 + factor * (candidate - clean), 0.0, 1.0).astype(np.float32)
    return shown
