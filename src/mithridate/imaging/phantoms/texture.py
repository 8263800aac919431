"""Drawing primitives that the phantoms share: coordinate grids, 1/f noise, soft edges, anti-aliased strokes.

Everything is a float32 NumPy array on the unit square: x grows to the right, y grows downwards, both in [0, 1].
Sizes are relative to the image side, so a phantom looks the same at every resolution.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Array = NDArray[np.float32]


@lru_cache(maxsize=8)
def grid(size: int) -> tuple[Array, Array]:
    """Pixel-center coordinates (x, y) of a size x size image, each float32 in (0, 1); read-only, cached."""
    axis = ((np.arange(size) + 0.5) / size).astype(np.float32)
    x, y = np.meshgrid(axis, axis)
    x.flags.writeable = y.flags.writeable = False
    return x, y


def smoothstep(low: float, high: float, value: Array) -> Array:
    """Cubic ramp from 0 (value <= low) to 1 (value >= high); low > high gives a falling ramp."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    ramp: Array = (t * t * (3.0 - 2.0 * t)).astype(np.float32)
    return ramp


@lru_cache(maxsize=16)
def _spectrum(size: int, slope: float) -> Array:
    fy = np.fft.fftfreq(size)[:, None]
    fx = np.fft.rfftfreq(size)[None, :]
    radius = np.hypot(fx, fy)
    radius[0, 0] = np.inf  # no constant term: the noise has zero mean
    spectrum: Array = (radius ** (-slope)).astype(np.float32)
    return spectrum


def noise(size: int, slope: float, rng: np.random.Generator) -> Array:
    """Gaussian noise whose amplitude spectrum falls as 1 / frequency**slope; zero mean, unit variance, size x size.

    slope 0 is white; 1 looks like tissue texture; 2 and more like slow shading.
    """
    white = rng.standard_normal((size, size), dtype=np.float32)
    field = np.fft.irfft2(np.fft.rfft2(white) * _spectrum(size, slope), s=(size, size))
    normal: Array = (field / (field.std() + 1e-9)).astype(np.float32)
    return normal


def strokes(size: int, lines: list[tuple[NDArray[np.floating], NDArray[np.floating]]], oversample: int = 3) -> Array:
    """Anti-aliased coverage in [0, 1] of poly-lines with varying width, as a size x size mask.

    Each line is (points, widths): points P x 2 as (x, y) in the unit square, widths P in units of the image side.
    """
    fine = size * oversample
    canvas = Image.new("L", (fine, fine), 0)
    draw = ImageDraw.Draw(canvas)
    for points, widths in lines:
        scaled = np.asarray(points, dtype=float) * fine
        for (x0, y0), (x1, y1), width in zip(scaled[:-1], scaled[1:], np.asarray(widths)[:-1] * fine, strict=True):
            draw.line((x0, y0, x1, y1), fill=255, width=max(1, round(float(width))))
            half = float(width) / 2
            if half > 1:  # round joints, so that bends do not show notches
                draw.ellipse((x1 - half, y1 - half, x1 + half, y1 + half), fill=255)
    small = canvas.reduce(oversample)
    return np.asarray(small, dtype=np.float32) / 255.0
