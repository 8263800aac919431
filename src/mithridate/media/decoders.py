"""Which decoder reads which file: a choice by content, never by name, and a list of what this machine can decode."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mithridate.errors import UserError
from mithridate.media.raster import MAX_PIXELS, read_raster

Kind = Literal["dicom", "raster"]

# The compressed DICOM decoders in the order in which they are tried.  Lossy decoders differ in the last bit, so the
# order is fixed here and not left to what a library happens to list first.
PREFERENCE = ("pylibjpeg", "gdcm", "pillow", "pyjpegls", "pydicom")

_DICOM_SUFFIXES = {".dcm", ".dic", ".dicom", ".ima"}
_RASTER_MAGIC = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"II*\x00",
    b"MM\x00*",
    b"BM",
    b"GIF87a",
    b"GIF89a",
    b"\x00\x00\x00\x0cjP  \r\n\x87\n",
    b"\xff\x4f\xff\x51",
    b"P5",
    b"P6",
)


@dataclass(frozen=True)
class Decoder:
    """A decoder library: what it reads and which version is installed (None when it is absent)."""

    library: str
    reads: str
    version: str | None


@dataclass(frozen=True)
class TransferSyntax:
    """A DICOM transfer syntax and the installed plugins that decode it, in the order in which they are tried."""

    uid: str
    name: str
    plugins: tuple[str, ...]
    available: bool


def decoders() -> tuple[Decoder, ...]:
    """The decoder libraries with their installed versions, for manifests and bug reports."""
    known = {
        "pillow": "PNG, JPEG, TIFF, BMP, GIF, WebP, JPEG 2000",
        "pydicom": "DICOM",
        "pylibjpeg-openjpeg": "DICOM JPEG 2000 and HTJ2K",
        "pylibjpeg-rle": "DICOM RLE",
        "pylibjpeg-libjpeg": "DICOM JPEG and JPEG-LS (optional)",
        "python-gdcm": "DICOM JPEG, JPEG-LS and JPEG 2000",
    }
    return tuple(Decoder(library, reads, _installed(library)) for library, reads in known.items())


def transfer_syntaxes() -> tuple[TransferSyntax, ...]:
    """Every image transfer syntax that pydicom knows, with the plugins that can decode it on this machine."""
    from pydicom.pixels.decoders import base

    found = [value for value in vars(base).values() if isinstance(value, base.Decoder)]
    listed = [
        TransferSyntax(str(d.UID), d.UID.name, order_plugins(d.available_plugins), bool(d.is_available)) for d in found
    ]
    return tuple(sorted(listed, key=lambda syntax: syntax.uid))


def order_plugins(available: tuple[str, ...]) -> tuple[str, ...]:
    """The available plugins in the fixed order of `PREFERENCE`; unknown ones last."""
    rank = {name: place for place, name in enumerate(PREFERENCE)}
    return tuple(sorted(available, key=lambda name: (rank.get(name, len(rank)), name)))


def sniff(path: Path) -> Kind | None:
    """What a file is by its first bytes: "dicom", "raster", or None when it is neither.

    A DICOM file without the 128-byte preamble has no mark of its own; it is taken for one by its suffix.
    Raises UserError when the file cannot be opened.
    """
    try:
        with path.open("rb") as file:
            head = file.read(132)
    except OSError as error:
        raise UserError(f"{path} cannot be opened ({error.strerror or error}): check the path and its rights") from None
    if head[128:132] == b"DICM":
        return "dicom"
    if head.startswith(_RASTER_MAGIC) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return "raster"
    return "dicom" if head and path.suffix.lower() in _DICOM_SUFFIXES else None


def read_image(path: Path, *, frame: int | None = None, max_pixels: int = MAX_PIXELS) -> NDArray[np.float32]:
    """Read one image file of any supported kind: float32, H x W x C with C = 1 or 3, in [0, 1].

    `frame` counts from 0 and is required for a file with several frames.  Raises UserError, naming the file, when it
    is missing, of no supported kind, damaged, or larger than `max_pixels`.
    """
    kind = sniff(path)
    if kind == "dicom":
        from mithridate.media.dicom import read_dicom  # pydicom takes a while to import; raster folders never need it

        return read_dicom(path, frame=frame, max_pixels=max_pixels)
    if kind == "raster":
        return read_raster(path, frame=frame, max_pixels=max_pixels)
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty: replace it or take it out of the list")
    raise UserError(f"{path} is not an image: give PNG, JPEG, TIFF, BMP, GIF, WebP, JPEG 2000 or DICOM")


def _installed(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None
