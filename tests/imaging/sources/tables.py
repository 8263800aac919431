"""Small label tables and image folders for the tests of sources."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PIL import Image


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def images(folder: Path, names: Iterable[str]) -> Path:
    """An image file for each name; building a catalog must not read it, so it is as small as can be."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (1, 1)).save(path)
    return folder
