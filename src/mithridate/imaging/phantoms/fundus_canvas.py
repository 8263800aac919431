"""Drawing surface of the fundus phantom: filled shapes, tapering ribbons, and texture that does not depend on the size.

Shapes are batches of outlines on the unit square (x right, y down).  A shape thinner than a pixel of the oversampled
canvas is drawn fainter instead of thinner, so that a fine vessel keeps its integrated darkness at every resolution.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mithridate.imaging.phantoms.texture import Array

Points = NDArray[np.float64]

_LEFT_OUT_BELOW = 0.04  # coverage of a canvas pixel under which a shape is not worth drawing


def rgb(red: float, green: float, blue: float) -> Array:
    """Three channel values as 3 x 1 x 1, to go with planar pictures."""
    return np.array([red, green, blue], dtype=np.float32).reshape(3, 1, 1)


class Canvas:
    """A size x size coverage mask in [0, 1], drawn at `oversample` times its resolution; later shapes cover earlier."""

    def __init__(self, size: int, oversample: int = 3) -> None:
        self._fine = size * oversample
        self._oversample = oversample
        self._image = Image.new("L", (self._fine, self._fine), 0)
        self._draw = ImageDraw.Draw(self._image)

    def polygons(self, outlines: Points, opacity: Points) -> None:
        """Fill closed outlines (B x P x 2), each with its own opacity (B) in [0, 1]."""
        scaled = (outlines * self._fine).reshape(len(outlines), 2 * outlines.shape[1])
        fills = np.round(255 * opacity).astype(int)
        for flat, fill in zip(scaled.tolist(), fills.tolist(), strict=True):
            if fill > 0:
                self._draw.polygon(flat, fill=fill)

    def ribbons(self, curves: Points, widths: Points, opacity: float | Points) -> None:
        """Fill ribbons along curves (B x P x 2) of varying width (B x P, in image sides)."""
        along = np.gradient(curves, axis=1)
        along /= np.linalg.norm(along, axis=2, keepdims=True) + 1e-12
        across = np.stack([-along[..., 1], along[..., 0]], axis=-1)
        drawn = np.maximum(widths, 1.0 / self._fine)
        offset = across * (drawn / 2)[..., None]
        outlines = np.concatenate([curves + offset, (curves - offset)[:, ::-1]], axis=1)
        thin = np.minimum(widths.mean(axis=1) * self._fine, 1.0)
        cover = np.where(thin > _LEFT_OUT_BELOW, thin, 0.0) * opacity
        self.polygons(outlines, np.broadcast_to(cover, (len(curves),)))

    def mask(self) -> Array:
        """What has been drawn, averaged down to size x size."""
        return np.asarray(self._image.reduce(self._oversample), dtype=np.float32) / np.float32(255.0)


@lru_cache(maxsize=32)
def _amplitude(band: int, low: float, slope: float) -> NDArray[np.float32]:
    fy = np.fft.fftfreq(band, 1 / band)[:, None]
    fx = np.arange(band // 2 + 1)[None, :]
    radius = np.hypot(fx, fy)
    radius[0, 0] = 1.0
    amplitude = np.where(radius < low, 0.0, radius ** (-slope))
    amplitude[0, 0] = 0.0  # no constant term
    # columns other than the first stand for their mirror image too, so they weigh twice in the field
    power = 4 * float((amplitude[:, 1:-1] ** 2).sum()) + float((amplitude[:, 0] ** 2).sum())
    scaled: NDArray[np.float32] = (amplitude / np.sqrt(power)).astype(np.float32)
    return scaled


def field(
    size: int,
    rng: np.random.Generator,
    slope: float,
    band: int = 64,
    low: float = 1.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Array:
    """Random field with zero mean and about unit variance, the same pattern at every size (unlike `texture.noise`).

    It holds the frequencies from `low` to band / 2 cycles a side with amplitude 1 / frequency**slope, is periodic, and
    is moved by `shift` (x, y) image sides.  Frequencies that the size cannot show are left out.
    """
    half = band // 2
    draws = rng.standard_normal((2, band, half + 1), dtype=np.float32) * _amplitude(band, low, slope)
    spectrum: NDArray[np.complex64] = draws[0] + 1j * draws[1]
    if shift != (0.0, 0.0):
        down = np.exp(-2j * np.pi * shift[1] * np.fft.fftfreq(band, 1 / band)).astype(np.complex64)
        right = np.exp(-2j * np.pi * shift[0] * np.arange(half + 1)).astype(np.complex64)
        spectrum = spectrum * down[:, None] * right
    kept = min(half, size // 2)
    padded = np.zeros((size, size // 2 + 1), dtype=np.complex64)
    padded[:kept, :kept] = spectrum[:kept, :kept]
    padded[-kept + 1 :, :kept] = spectrum[-kept + 1 :, :kept]
    return np.fft.irfft2(padded, s=(size, size), norm="forward").astype(np.float32)


def blobs(centers: Points, radii: Points, rng: np.random.Generator, roughness: float, points: int = 12) -> Points:
    """Irregular closed outlines (B x points x 2) around centers (B x 2) of the given radii (B).

    `roughness` is the relative standard deviation of the radius along the outline; the shapes are drawn before any
    size is known, so they do not change with it.
    """
    count = len(centers)
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    order = np.arange(2, 5)
    phase = rng.uniform(0, 2 * np.pi, (count, 3, 1))
    weight = rng.normal(0, roughness, (count, 3, 1)) / np.sqrt(order / 2)[None, :, None]
    wobble = 1 + (weight * np.cos(order[None, :, None] * angle + phase)).sum(axis=1)
    reach = radii[:, None] * np.clip(wobble, 0.3, 2.0)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    outlines: Points = centers[:, None, :] + reach[..., None] * ring
    return outlines
