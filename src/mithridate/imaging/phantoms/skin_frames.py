"""Coordinate frames and textures of the skin phantom: where a pixel lies on the body, and what is drawn there.

A camera view maps pixels to the patient's skin; a lesion has its own frame on that skin.  Slow random fields are drawn
once on small sheets and sampled through these maps, so that a second shot shows the same anatomy, turned and shifted,
and a phantom looks the same at every resolution.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial import cKDTree

from mithridate.imaging.phantoms.texture import Array, noise

SHEET = 64
"""Side of a sheet in samples."""

_CELLS, _CELL_PIXELS = 16, 32  # a power of two in all, so that wrapping is one bit mask


@dataclass(frozen=True)
class Frame:
    """An affine map from a rectangle of pixels to local coordinates: (x, y) = matrix @ (column, row) + origin.

    Columns and rows are pixel indices in the rectangle, `width` x `height`; `left` and `top` place it in the image.
    """

    matrix: NDArray[np.float64]
    origin: NDArray[np.float64]
    width: int
    height: int
    left: int = 0
    top: int = 0

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the image that the rectangle covers."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    @property
    def pixel(self) -> float:
        """Side of a pixel in local units (geometric mean over the axes)."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix))))

    def coordinates(self) -> tuple[Array, Array]:
        """Local (x, y) at the pixel centers, each float32 height x width."""
        column = (np.arange(self.width, dtype=np.float32) + 0.5)[None, :]
        row = (np.arange(self.height, dtype=np.float32) + 0.5)[:, None]
        m, o = self.matrix.astype(np.float32), self.origin.astype(np.float32)
        return m[0, 0] * column + m[0, 1] * row + o[0], m[1, 0] * column + m[1, 1] * row + o[1]

    def local(self, center: tuple[float, float], axes: tuple[float, float], angle: float) -> Frame:
        """The frame of an ellipse on this frame: its outline is the unit circle there."""
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / np.array(axes)[:, None]
        return replace(self, matrix=turn @ self.matrix, origin=turn @ (self.origin - np.array(center)))

    def crop(self, reach: float) -> Frame:
        """The part of this frame that covers the disc of radius `reach` around its origin; at least one pixel."""
        inverse = np.linalg.inv(self.matrix)
        middle = inverse @ -self.origin
        half = reach * np.sqrt((inverse**2).sum(axis=1))  # extent of an ellipse along the image axes
        limit = np.array([self.width, self.height])
        low = np.clip(np.floor(middle - half), 0, limit - 1).astype(int)
        high = np.maximum(np.clip(np.ceil(middle + half), 0, limit).astype(int), low + 1)
        shifted = self.origin + self.matrix @ low
        return Frame(
            self.matrix,
            shifted,
            int(high[0] - low[0]),
            int(high[1] - low[1]),
            self.left + int(low[0]),
            self.top + int(low[1]),
        )

    def sample(self, sheet: Image.Image, span: float) -> Array:
        """Values of a sheet whose middle lies at the local origin and which is `span` local units wide; 0 beyond it."""
        per_unit = sheet.width / span
        m, o = self.matrix * per_unit, self.origin * per_unit + sheet.width / 2
        data = (m[0, 0], m[0, 1], o[0], m[1, 0], m[1, 1], o[1])
        turned = sheet.transform(
            (self.width, self.height), Image.Transform.AFFINE, data, resample=Image.Resampling.BICUBIC
        )
        return np.asarray(turned, dtype=np.float32)


def view_frame(size: int, angle: float, zoom: float, shift: tuple[float, float]) -> Frame:
    """The patient's skin as a camera sees it; the middle of the unmoved, unzoomed view is the origin, its side is 1."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / (zoom * size)
    middle = np.array([0.5 + shift[0], 0.5 + shift[1]]) * size
    return Frame(turn, -turn @ middle, size, size)


def sheet(rng: np.random.Generator, slope: float, side: int = SHEET) -> Image.Image:
    """A sheet of 1 / f**slope noise, zero mean and unit variance."""
    return Image.fromarray(noise(side, slope, rng))


def wide_sheet(rng: np.random.Generator, slope: float, side: int = SHEET) -> Image.Image:
    """A sheet repeated to twice its side, for fields that must not end inside the picture."""
    return Image.fromarray(np.pad(noise(side, slope, rng), side // 2, mode="wrap"))


@dataclass(frozen=True)
class Cells:
    """A cellular texture at some points: what lies there is looked up in a periodic tile when it is asked for."""

    tile: NDArray[np.float32]
    index: NDArray[np.intp]

    @property
    def center(self) -> Array:
        """Distance to the center of the cell, in cell sides."""
        return np.asarray(self.tile[0].take(self.index), dtype=np.float32)

    @property
    def wall(self) -> Array:
        """Distance to the nearest wall, in cell sides; 0 on it."""
        return np.asarray(self.tile[1].take(self.index), dtype=np.float32)

    @property
    def mark(self) -> Array:
        """A number that a cell keeps over its whole area, uniform in [0, 1)."""
        return np.asarray(self.tile[2].take(self.index), dtype=np.float32)


@lru_cache(maxsize=2)
def _tile(irregular: bool) -> NDArray[np.float32]:
    """A periodic tile of cells, 3 x pixels (see Cells): a jittered honeycomb, or cells of very unequal size."""
    rng = np.random.default_rng(7 if irregular else 5)
    if irregular:
        points = rng.uniform(0, _CELLS, (int(0.8 * _CELLS**2), 2))
        # Drawing the points together in places makes the meshes unequal, as in an atypical pigment network.
        points += 0.9 * np.sin(2 * np.pi * points[:, ::-1] * 3 / _CELLS)
    else:
        row, column = np.mgrid[0:_CELLS, 0:_CELLS].reshape(2, -1).astype(float)
        points = np.stack([column + 0.5 * (row % 2), row], axis=1) + rng.normal(0, 0.23, (_CELLS**2, 2))
    points %= _CELLS
    axis = (np.arange(_CELLS * _CELL_PIXELS) + 0.5) / _CELL_PIXELS
    x, y = np.meshgrid(axis, axis)
    distance, index = cKDTree(points, boxsize=_CELLS).query(np.stack([x, y], axis=-1), k=2)
    marks = rng.uniform(size=len(points))[index[..., 0]]
    wall = (distance[..., 1] - distance[..., 0]) / 2
    tile: NDArray[np.float32] = np.stack([distance[..., 0], wall, marks]).reshape(3, -1).astype(np.float32)
    tile.flags.writeable = False
    return tile


def cells(x: Array, y: Array, side: float, irregular: bool = False) -> Cells:
    """The cellular texture at the coordinates (x, y), with cells of the given side in the same units."""
    tile = _tile(irregular)
    scale, pixels = np.float32(_CELL_PIXELS / side), _CELLS * _CELL_PIXELS
    column = np.floor(x * scale).astype(np.intp) & (pixels - 1)
    row = np.floor(y * scale).astype(np.intp) & (pixels - 1)
    return Cells(tile, row * pixels + column)
