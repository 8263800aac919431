"""The film the chest phantom is drawn on: body coordinates for every pixel, and crisp shapes laid on them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from mithridate.imaging.phantoms.texture import Array, grid, noise

Points = NDArray[np.float64]  # ... x P x 2, columns (u, v) in the body or (x, y) on the film
Line = tuple[Points, NDArray[np.float64]]  # P x 2 points and P widths
Batch = tuple[Points, NDArray[np.float64]]  # B x P x 2 points and B x P widths

_SPREAD = 0.6  # Pillow fills about this many pixels beyond a polygon's true width


@dataclass(frozen=True)
class Frame:
    """A square film of `size` pixels and the similarity that lays the body on it.

    The body's middle (u = 0, v = 0.5) falls on `center`; `scale` is film sides per body unit; `angle` is in radians.
    """

    size: int
    center: tuple[float, float]
    scale: float
    angle: float

    @property
    def oversample(self) -> int:
        """At least 256 fine pixels across the film, so that thin lines keep their density on small films."""
        return max(2, -(-256 // self.size))

    @cached_property
    def body(self) -> tuple[Array, Array]:
        """Body coordinates (u, v) of the pixel centers."""
        x, y = grid(self.size)
        dx = (x - np.float32(self.center[0])) / np.float32(self.scale)
        dy = (y - np.float32(self.center[1])) / np.float32(self.scale)
        c, s = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        return c * dx + s * dy, np.float32(0.5) - s * dx + c * dy

    def to_film(self, points: Points) -> Points:
        """Body coordinates to film coordinates in the unit square; any leading shape."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        turned = (points - [0.0, 0.5]) @ np.array([[c, s], [-s, c]])
        moved: Points = self.scale * turned + np.asarray(self.center)
        return moved

    def stroke(self, lines: list[Line]) -> Array:
        """Coverage of lines given in body coordinates, widths in body units."""
        return self.ribbons(batched(lines))

    def ribbons(self, batches: list[Batch]) -> Array:
        """Coverage of batches of lines: B x P x 2 points and B x P widths in body units.

        A line thinner than a fine pixel is drawn one pixel wide and proportionally fainter.
        """
        fine = self.size * self.oversample
        canvas = Image.new("L", (fine, fine), 0)
        draw = ImageDraw.Draw(canvas)
        for points, widths in batches:
            film = self.to_film(points) * fine
            broad = widths * (self.scale * fine)
            along = np.empty_like(film)
            along[:, 1:-1] = film[:, 2:] - film[:, :-2]
            along[:, 0], along[:, -1] = film[:, 1] - film[:, 0], film[:, -1] - film[:, -2]
            half = 0.5 * np.maximum(broad - _SPREAD, 0.05) / (np.hypot(along[..., 0], along[..., 1]) + 1e-9)
            across = np.stack([-along[..., 1] * half, along[..., 0] * half], axis=2)
            outline = np.concatenate([film + across, (film - across)[:, ::-1]], axis=1)
            paths = film.reshape(len(film), -1)
            mean = broad.mean(axis=1)
            order = np.argsort(mean, kind="stable")  # broad lines last: a faint line never erases a dense one
            thin = int(np.searchsorted(mean[order], 1.6))
            for path, level in zip(paths[order[:thin]].tolist(), mean[order].tolist(), strict=False):
                draw.line(path, fill=int(255 * min(1.0, level)), width=1)
            for path in outline.reshape(len(film), -1)[order[thin:]].tolist():
                draw.polygon(path, fill=255)
        return self._reduce(canvas)

    def fill(self, polygons: list[Points]) -> Array:
        """Anti-aliased coverage of the union of polygons given in body coordinates."""
        fine = self.size * self.oversample
        canvas = Image.new("L", (fine, fine), 0)
        draw = ImageDraw.Draw(canvas)
        for polygon in polygons:
            draw.polygon((self.to_film(polygon) * fine).ravel().tolist(), fill=255)
        return self._reduce(canvas)

    def _reduce(self, canvas: Image.Image) -> Array:
        return np.asarray(canvas.reduce(self.oversample), dtype=np.float32) / np.float32(255)


def fork(rng: np.random.Generator) -> np.random.Generator:
    """A generator of its own for draws whose number depends on the film's size, so that the rest does not."""
    return np.random.default_rng(int(rng.integers(2**63)))


def batched(lines: list[Line]) -> list[Batch]:
    """Lines of equal length stacked together, for `Frame.ribbons`."""
    by_length: dict[int, list[Line]] = {}
    for line in lines:
        by_length.setdefault(len(line[0]), []).append(line)
    return [
        (np.stack([points for points, _ in group]), np.stack([widths for _, widths in group]))
        for group in by_length.values()
    ]


def blur(field: Array, radius: float) -> Array:
    """Gaussian blur of standard deviation `radius` image sides, on a coarse grid: meant for radius >= 0.02."""
    size = field.shape[0]
    coarse = min(size, max(16, round(1.6 / radius)))
    small = np.asarray(Image.fromarray(field).resize((coarse, coarse), Image.Resampling.BOX))
    small = gaussian_filter(small, radius * coarse, mode="nearest", truncate=3.0)
    return np.asarray(Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC), dtype=np.float32)


def shading(size: int, slope: float, rng: np.random.Generator) -> Array:
    """Slow 1 / frequency**slope noise of unit variance, the same at every film size: drawn at 64 and enlarged."""
    coarse = Image.fromarray(noise(64, slope, rng))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float32)


def soften(field: Array, radius: float) -> Array:
    """Gaussian blur of standard deviation `radius` image sides at full resolution: for radii of a few pixels."""
    softened: Array = gaussian_filter(field, radius * field.shape[0], mode="nearest", truncate=2.5)
    return softened


def dome(q: Array) -> Array:
    """Depth of an ellipsoid along the beam: 1 in the middle (q = 0), steep to 0 at the outline (q = 1)."""
    return np.asarray(np.sqrt(np.maximum(1.0 - q, 0.0)), dtype=np.float32)


def curve(knots: list[tuple[float, float]] | Points, count: int) -> Points:
    """Catmull-Rom spline through the knots, resampled to `count` points."""
    points: Points = _catmull_rom(len(knots), count) @ np.asarray(knots, dtype=float)
    return points


@lru_cache(maxsize=64)
def _catmull_rom(knots: int, count: int) -> NDArray[np.float64]:
    """The spline as a count x knots matrix: it is linear in its knots; end tangents by reflection."""
    identity = np.eye(knots)
    p = np.vstack([2 * identity[0] - identity[1], identity, 2 * identity[-1] - identity[-2]])
    position = np.linspace(0.0, knots - 1 - 1e-9, count)
    i = position.astype(int)
    t = (position - i)[:, None]
    a, b, c, d = p[i], p[i + 1], p[i + 2], p[i + 3]
    matrix: NDArray[np.float64] = 2 * b + (c - a) * t
    matrix += (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - 3 * c + d - a) * t**3
    return 0.5 * matrix
