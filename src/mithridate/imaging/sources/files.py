"""Finding the image files that a label table names, in one walk over the folder."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from mithridate.errors import UserError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".jp2", ".gif", ".dcm", ".dicom", ".ima")


class FileIndex:
    """Image files below a folder, found by relative path, by name, or by name without suffix.

    Links to folders are followed once; files and folders that start with a dot are left out.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._by_path: set[str] = set()
        self._by_name: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        for relative in walk(root):
            name = relative.rsplit("/", 1)[-1]
            stem, suffix = os.path.splitext(name)  # noqa: PTH122  pathlib is ten times slower over 100,000 files
            if suffix.lower() in IMAGE_SUFFIXES:
                self._by_path.add(relative)
                self._by_name.setdefault(name, []).append(relative)
                self._by_stem.setdefault(stem, []).append(relative)

    def __len__(self) -> int:
        return len(self._by_path)

    def find(self, name: str) -> str | None:
        """The relative path of an image, or None.  Raises UserError when two files could be meant."""
        name = name.replace("\\", "/").removeprefix("./")
        if name in self._by_path:
            return name
        base = name.rsplit("/", 1)[-1]
        found = self._by_name.get(base) or self._by_stem.get(base) or []
        if "/" in name:  # the table states a folder, so a file of that name elsewhere is another image
            found = [path for path in found if path.endswith("/" + name) or path.startswith(name + ".")]
        if len(found) > 1:
            raise UserError(
                f"{self.root} holds {len(found)} images that '{name}' could mean ({found[0]}, {found[1]}): "
                "write their paths in the table, or remove one"
            )
        return found[0] if found else None


def walk(root: Path) -> list[str]:
    """All files below a folder as relative paths with forward slashes, sorted.  Raises UserError when unreadable."""
    found: list[str] = []
    seen: set[tuple[int, int]] = set()

    def fail(error: OSError) -> None:
        raise UserError(f"{error.filename} cannot be listed ({error.strerror or error}): check its rights")

    for folder, folders, files in os.walk(root, onerror=fail, followlinks=True):
        status = os.stat(folder)  # noqa: PTH116
        if (status.st_dev, status.st_ino) in seen:  # a link that leads back up
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        prefix = os.path.relpath(folder, root).replace(os.sep, "/")
        prefix = "" if prefix == "." else prefix + "/"
        found.extend(prefix + name for name in files if not name.startswith("."))
    return sorted(found)


def resolve_paths(
    names: pd.Series[str], root: Path | None, where: str, *, missing: str, notes: list[str]
) -> pd.Series[str]:
    """The relative path of each named image, indexed like `names`; rows with missing images left out when allowed.

    Without a root, names stand for themselves.  `where` names the table; the index of `names` holds its lines.
    Raises UserError that says how many images are missing and names three.
    """
    if root is None:
        return names
    index = FileIndex(root)
    paths = pd.Series([index.find(name) for name in names], index=names.index, dtype=object)
    absent = paths.isna().to_numpy()
    if absent.any():
        count, examples = int(absent.sum()), names[absent].tolist()
        told = f"{where} names {count:,} of {len(names):,} images that are not below {root} ({listed(examples)})"
        if missing != "drop" or absent.all():
            raise UserError(f"{told}: complete the folder, correct the path, or leave them out with --missing drop")
        notes.append(f"{told}; they were left out.")
    found = paths[np.logical_not(absent)].astype("str")
    twice = found.duplicated(keep=False)
    if twice.any():
        first = found[twice].iloc[0]
        lines = found.index[found == first]
        raise UserError(f"{where} names the same file {first} on lines {lines[0]} and {lines[1]}: keep one line")
    return found


def listed(names: Iterable[str], most: int = 3) -> str:
    """The first three names, for a message."""
    several = list(names)
    return ", ".join(several[:most]) + (", ..." if len(several) > most else "")
