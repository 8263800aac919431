"""What is done to the verified samples before the model sees them: named, versioned, and part of the tensor's hash.

A detector's output or a prediction can be traced to its input only when both are fixed: the hash F5 covers every byte
of the array handed to the model, its shape and type, and the name and version of what made it.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mithridate.ledger.fingerprint.dicom import OpenedDicom
from mithridate.ledger.fingerprint.model import digest_bytes, digest_value
from mithridate.ledger.fingerprint.raster import OpenedRaster
from mithridate.ledger.gate.pixels import Frames
from mithridate.media.raster import read_raster

Tensor = NDArray[Any]


@dataclass(frozen=True)
class Verified:
    """An image that the ledger vouches for: its bytes, what was parsed of them, and the samples in them."""

    data: bytes
    name: str
    image: OpenedDicom | OpenedRaster
    samples: Frames


@dataclass(frozen=True)
class Preprocessing:
    """A function from a verified image to the array that the model takes.

    `apply` must read nothing but what it is given, and give the same array every time.  Change `version` with
    whatever may change the array.
    """

    name: str
    version: str
    apply: Callable[[Verified], Tensor]

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


def tensor_hash(array: Tensor, preprocessing: Preprocessing, digest: bytes | None = None) -> bytes:
    """F5, 32 bytes: SHA-256 over preprocessing, type, shape, and the array's bytes, little endian, in C order.

    `digest` is that of the bytes, as F2 makes it, where it is known already.
    """
    plain = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    content = digest or digest_bytes("samples", plain.reshape(-1).view(np.uint8).data)
    header = (preprocessing.name, preprocessing.version, plain.dtype.str, tuple(map(int, array.shape)), content)
    return digest_value("tensor", header)


def _stored(verified: Verified) -> Tensor:
    frames = verified.samples.frames
    return frames[0] if len(frames) == 1 else np.stack(frames)


def _display(verified: Verified) -> Tensor:
    image = verified.image
    if isinstance(image, OpenedRaster):
        return read_raster(cast("Path", _NamedBytes(verified.data, verified.name)))
    from mithridate.media.dicom import render

    dataset = image.file.dataset
    rendered = [render(dataset, frame, frame=number) for number, frame in enumerate(verified.samples.frames)]
    return rendered[0] if len(rendered) == 1 else np.stack(rendered)


class _NamedBytes(io.BytesIO):
    """A file in memory, for a reader that opens whatever Pillow can and calls it by its name."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name

    def __str__(self) -> str:
        return str(self.name)


STORED = Preprocessing("stored", "1", _stored)
"""Sample values as stored: height x width (x channels), with a leading axis where there are several frames."""

DISPLAY = Preprocessing("display", "1", _display)
"""What a reader would see, as the program's models take it: float32, height x width x channels in [0, 1]."""

PREPROCESSING = {one.name: one for one in (STORED, DISPLAY)}
