"""Images inside NumPy archives, as MedMNIST distributes them."""

from __future__ import annotations

import threading
import zipfile
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mithridate.errors import UserError

_LOCK = threading.Lock()  # or every loading thread would unpack the archive for itself

SPLITS = {"train": "train", "val": "validation", "test": "test"}
"""Names of the splits inside the archive, in the order in which images are numbered, and ours."""


def read_labels(path: Path) -> dict[str, NDArray[np.int64]]:
    """Labels of each split (ours: train, validation, test), N or N x L integers; reads no pixels.

    Raises UserError when the file is not a MedMNIST archive.
    """
    with _archive(path) as archive:
        names = set(archive.files)
        parts = {ours: f"{theirs}_labels" for theirs, ours in SPLITS.items() if f"{theirs}_labels" in names}
        lacking = [key for key in parts.values() if key.replace("_labels", "_images") not in names]
        if not parts or lacking:
            raise UserError(
                f"{path} holds {', '.join(sorted(names)) or 'nothing'}, not the train_images, train_labels, ... of a "
                "MedMNIST archive: give such a file, or use the source folder-csv"
            )
        labels = {ours: _member(archive, key, path) for ours, key in parts.items()}
    for ours, values in labels.items():
        if values.ndim not in (1, 2) or not np.issubdtype(values.dtype, np.integer):
            raise UserError(f"{path} has {ours} labels of shape {values.shape} and type {values.dtype}: need integers")
    return {ours: values.astype(np.int64) for ours, values in labels.items()}


def read_npz_image(path: Path, index: int) -> NDArray[np.float32]:
    """Image `index`, counted through train, then validation, then test: float32, H x W x C in [0, 1]."""
    status = path.stat()
    with _LOCK:
        parts = _images(str(path), status.st_mtime_ns, status.st_size)
    for images in parts:
        if index < len(images):
            image: NDArray[np.float32] = images[index].astype(np.float32) / np.float32(255)
            return image if image.ndim == 3 else image[:, :, None]
        index -= len(images)
    raise UserError(f"{path} has no image with the number asked for: rebuild the catalog from this file")


@lru_cache(maxsize=2)
def _images(path: str, stamp: int, size: int) -> tuple[NDArray[np.generic], ...]:
    """All images of one archive: members are compressed whole, so one cannot be read without the rest."""
    del stamp, size  # part of the cache key: a replaced file is read again
    with _archive(Path(path)) as archive:
        keys = [f"{theirs}_images" for theirs in SPLITS if f"{theirs}_images" in archive.files]
        parts = tuple(_member(archive, key, Path(path)) for key in keys)
    for key, images in zip(keys, parts, strict=True):
        if (
            images.dtype != np.uint8
            or images.ndim not in (3, 4)
            or (images.ndim == 4 and images.shape[3] not in (1, 3))
        ):
            raise UserError(
                f"{path} has {key} of shape {images.shape} and type {images.dtype}: "
                "need 8-bit N x H x W or N x H x W x 3"
            )
    return parts


def _archive(path: Path) -> np.lib.npyio.NpzFile:
    try:
        archive = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} cannot be read as a NumPy archive ({error}): download it again") from None
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise UserError(f"{path} is a single array, not an archive: give a MedMNIST .npz file")
    return archive


def _member(archive: np.lib.npyio.NpzFile, key: str, path: Path) -> NDArray[np.generic]:
    try:
        return np.asarray(archive[key])
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is damaged at its member {key} ({error}): download it again") from None
