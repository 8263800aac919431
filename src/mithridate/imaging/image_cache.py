"""Decoded images on disk: one small file each, safe when a process is killed and when several write at once.

A file is written under a name of its own and renamed, and carries a checksum; whatever does not verify is decoded
again.  A cache that cannot be written (full disk, no rights) is left alone: it is a convenience, never a condition.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mithridate.errors import UserError
from mithridate.imaging.phantoms.location import PHANTOM_PREFIX

CACHE_BYTES = 16 * 2**30
"""Size to which the cache folder is trimmed when it is opened: 16 GiB, 57,000 images of 3 x 224 x 224."""

_PIPELINE = 1  # raise when decoding or scaling changes any pixel
_STALE_SECONDS = 3600.0


class ImageCache:
    """Images as C x S x S 16-bit integers under a folder, keyed by what they were decoded from."""

    def __init__(self, folder: Path, limit: int = CACHE_BYTES) -> None:
        """Open or make the folder and trim it.  Raises UserError when the path is taken by something else."""
        self._folder, self._is_writable = folder, True
        if folder.exists() and not folder.is_dir():
            raise UserError(f"the cache {folder} is not a folder: name another place")
        self._room = limit - _trim(folder, limit)
        self._lock = threading.Lock()

    def key(self, root: Path, path: str, shape: tuple[int, int, int]) -> str:
        """A name for one image at one shape that changes when the file is replaced or edited.

        The file's size and both times of change stand for its content: the second cannot be set by a copying tool.
        """
        if path.startswith(PHANTOM_PREFIX):
            from mithridate.imaging.phantoms.cohort import renderer_fingerprint

            identity: list[object] = [path, renderer_fingerprint()]
        else:
            file = root / path
            if not file.exists():
                file = root / path.rpartition("#")[0]
            try:
                status = file.stat()
            except OSError:
                raise UserError(f"there is no file {root / path}: restore it or build the catalog again") from None
            identity = [str((root / path).absolute()), status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        return hashlib.sha256(json.dumps([_PIPELINE, identity, shape]).encode()).hexdigest()

    def read(self, key: str, shape: tuple[int, int, int]) -> NDArray[np.uint16] | None:
        """The image, or None when it is absent, of another shape, or does not match its checksum."""
        try:
            data = self._path(key).read_bytes()
        except OSError:
            return None
        body, checksum = data[:-4], data[-4:]
        if len(body) != 2 * int(np.prod(shape)) or zlib.crc32(body).to_bytes(4, "little") != checksum:
            return None
        return np.frombuffer(body, dtype="<u2").astype(np.uint16).reshape(shape)

    def write(self, key: str, image: NDArray[np.uint16]) -> None:
        """Keep an image; does nothing when the cache is at its limit or cannot be written."""
        body = image.astype("<u2").tobytes()
        with self._lock:
            if not self._is_writable or self._room < len(body) + 4:
                return
            self._room -= len(body) + 4
        path = self._path(key)
        partial = path.with_name(f".{key}.{os.getpid()}.{threading.get_ident()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(body + zlib.crc32(body).to_bytes(4, "little"))
            partial.replace(path)
        except OSError:
            self._is_writable = False
            partial.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / key


def _trim(folder: Path, limit: int) -> int:
    """Remove leftovers of killed writers and, above the limit, the oldest images down to 80% of it; bytes that stay."""
    files: list[tuple[float, int, Path]] = []
    for path in folder.glob("??/*"):
        try:
            status = path.stat()
            if path.name.endswith(".part") and time.time() - status.st_mtime > _STALE_SECONDS:
                path.unlink()
            else:
                files.append((status.st_mtime, status.st_size, path))
        except OSError:  # another process removed it at this moment
            continue
    total = sum(size for _, size, _ in files)
    if total > limit:
        for _, size, path in sorted(files):
            if total <= 0.8 * limit:
                break
            path.unlink(missing_ok=True)
            total -= size
    return total
