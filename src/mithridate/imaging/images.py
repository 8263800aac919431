"""Images of a catalog as arrays of one size: decoded when asked for, in parallel, and kept in memory and on disk.

An image is cut to its central square and scaled so that its shorter side is `size`, with an antialiasing triangle
filter.  Values are kept as 16-bit integers, cached or not, so a result never depends on the cache; an 8-bit image that
needs no scaling comes back exactly.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mithridate.errors import UserError
from mithridate.imaging.catalog import Catalog
from mithridate.imaging.image_cache import CACHE_BYTES, ImageCache
from mithridate.imaging.phantoms.location import PHANTOM_PREFIX
from mithridate.media import read_image

Progress = Callable[[str, int, int], None]
Quantized = NDArray[np.uint16]

MEMORY_BYTES = 4 * 2**30
"""Decoded images kept in memory by one store: 4 GiB, which is 14,000 images of 3 x 224 x 224."""

MINIMUM_SIDE = 16
"""Files with a shorter side below this are refused: they show nothing, and often stand for a failed export."""

_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601, as in JPEG
_STEPS = np.float32(65535)


class ImageStore:
    """The pixels of a catalog, N x C x size x size.

    catalog       its rows number the images
    size          side in pixels, at least 8
    channels      1 or 3; None for the task's own.  Color becomes luminance, gray is repeated
    cache         a folder for decoded images, shared safely by concurrent processes; None for none.  It is keyed by the
                  file's path, size and times of change, and trimmed to 16 GiB, oldest first, when a store is opened
    workers       decoding threads; None for one a processor, at most 8
    minimum_side  the shortest side in pixels that a file may have

    Raises UserError for a size or channels that make no sense.
    """

    def __init__(
        self,
        catalog: Catalog,
        size: int,
        channels: int | None = None,
        cache: Path | None = None,
        workers: int | None = None,
        *,
        minimum_side: int = MINIMUM_SIDE,
        memory_bytes: int = MEMORY_BYTES,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.channels = catalog.task.channels if channels is None else channels
        if self.channels not in (1, 3):
            raise UserError(f"images cannot be loaded with {channels} channels: ask for 1 (gray) or 3 (color)")
        if size < 8:
            raise UserError(f"images cannot be loaded at {size} x {size} pixels: ask for at least 8")
        self.catalog, self.size = catalog, size
        self.ids: NDArray[np.str_] = catalog.table["id"].to_numpy(dtype=str)
        self.groups: NDArray[np.str_] = catalog.table["group"].to_numpy(dtype=str)
        self.labels: NDArray[np.int8] = catalog.labels
        self._paths: list[str] = catalog.table["path"].tolist()
        self._cache = ImageCache(cache, cache_bytes) if cache is not None else None
        self._workers = workers or min(8, os.cpu_count() or 1)
        self._minimum_side = minimum_side
        self._memory: dict[int, Quantized] = {}
        self._room = memory_bytes // (self.channels * size * size * 2)

    def __len__(self) -> int:
        return len(self._paths)

    def load(
        self, rows: Sequence[int] | slice | NDArray[Any] | None = None, progress: Progress | None = None
    ) -> NDArray[np.float32]:
        """Pixels of some rows (all when None), in their order: float32 len(rows) x C x size x size in [0, 1].

        `progress` is called with (what, done, total).  Raises UserError that names the file and the row.
        """
        everything = np.arange(len(self))
        chosen = everything if rows is None else everything[rows if isinstance(rows, slice) else np.asarray(rows, int)]
        images = np.empty((len(chosen), self.channels, self.size, self.size), dtype=np.float32)
        places: dict[int, list[int]] = {}
        for place, row in enumerate(chosen.tolist()):
            places.setdefault(row, []).append(place)
        for done, (row, image) in enumerate(self._each(list(places)), start=1):
            images[places[row]] = image / _STEPS
            if progress is not None:
                progress("loading images", done, len(places))
        return images

    def _each(self, rows: list[int]) -> Any:
        """(row, image) in the order of rows; decoded by threads, because decoders release the interpreter."""
        if self._workers == 1 or all(row in self._memory for row in rows):
            for row in rows:
                yield row, self._one(row)
            return
        pool = ThreadPoolExecutor(min(self._workers, len(rows)))
        try:
            yield from zip(rows, pool.map(self._one, rows), strict=True)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _one(self, row: int) -> Quantized:
        """One image from memory, else from the disk cache, else decoded."""
        kept = self._memory.get(row)
        if kept is not None:
            return kept
        try:
            image = self._from_disk(row)
        except UserError as error:
            raise UserError(f"{error} (row {row} of the catalog, id {self.ids[row]})") from error
        if len(self._memory) < self._room:
            self._memory[row] = image
        return image

    def _from_disk(self, row: int) -> Quantized:
        path, shape = self._paths[row], (self.channels, self.size, self.size)
        if self._cache is None:
            return self._decode(path)
        key = self._cache.key(self.catalog.root, path, shape)
        image = self._cache.read(key, shape)
        if image is None:
            image = self._decode(path)
            self._cache.write(key, image)
        return image

    def _decode(self, path: str) -> Quantized:
        if path.startswith(PHANTOM_PREFIX):
            from mithridate.imaging.phantoms.cohort import render_phantom

            pixels = render_phantom(path, self.size)
        else:
            pixels = read_catalog_path(self.catalog.root, path)
            if min(pixels.shape[:2]) < self._minimum_side:
                height, width = pixels.shape[:2]
                raise UserError(
                    f"{self.catalog.root / path} is {width} x {height} pixels, below the {self._minimum_side} that a "
                    "study needs: replace it or take it out of the list"
                )
        return square(pixels, self.size, self.channels)


def read_catalog_path(root: Path, path: str) -> NDArray[np.float32]:
    """Read what a catalog's path names: a file, `file#frame`, or `archive.npz#number`.  H x W x C in [0, 1].

    Raises UserError.
    """
    whole, hash_sign, number = path.rpartition("#")
    if not hash_sign or not number.isdigit() or (root / path).is_file():
        return read_image(root / path)
    if whole.endswith(".npz"):
        from mithridate.media.npz import read_npz_image

        if not (root / whole).is_file():
            raise UserError(f"there is no file {root / whole}: restore it or build the catalog again")
        return read_npz_image(root / whole, int(number))
    return read_image(root / whole, frame=int(number))


def square(pixels: NDArray[np.float32], size: int, channels: int) -> Quantized:
    """The central square of an H x W x C image in [0, 1], scaled to C x size x size, as 16-bit integers."""
    if channels == 1 and pixels.shape[2] == 3:
        pixels = (pixels @ _LUMINANCE)[:, :, None]
    height, width = pixels.shape[:2]
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    if (side, left % 1, top % 1) == (size, 0, 0):
        scaled = pixels[int(top) : int(top) + side, int(left) : int(left) + side].transpose(2, 0, 1)
    else:
        box = (left, top, left + side, top + side)
        planes = [np.ascontiguousarray(pixels[:, :, c], dtype=np.float32) for c in range(pixels.shape[2])]
        scaled = np.stack(
            [np.asarray(Image.fromarray(p).resize((size, size), Image.Resampling.BILINEAR, box=box)) for p in planes]
        )
    quantized = np.rint(np.clip(scaled, 0, 1) * _STEPS).astype(np.uint16)
    return np.ascontiguousarray(np.broadcast_to(quantized, (channels, size, size)))
