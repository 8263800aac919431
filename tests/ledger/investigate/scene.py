"""A small hospital with a ledger, and the ways in which its images go wrong."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from ledger.dicom_files import read, to_syntax, write
from mithridate.ledger.log import Ledger
from mithridate.ledger.station import Station

ORIGIN = "hospital.example/radiology"


@dataclass
class Scene:
    """A ledger with stations, a folder of images as captured and one as they are found."""

    ledger: Ledger
    ct: Station
    archive: Path
    found: Path

    def capture(self, name: str, data: bytes, station: Station | None = None, channel: str = "dimse") -> int:
        (self.archive / name).write_bytes(data)
        return self.ledger.capture(data, name, station=station or self.ct, channel=channel).index

    def find(self, name: str, data: bytes) -> Path:
        path = self.found / name
        path.write_bytes(data)
        return path


def build(folder: Path) -> Scene:
    for name in ("archive", "found"):
        (folder / name).mkdir(parents=True)
    ledger = Ledger.create(folder / "ledger", origin=ORIGIN)
    ct = ledger.add_station("CT1", manufacturer="Maker", model="Scan 64", serial_number="0042", software_version="2.1")
    return Scene(ledger, ct, folder / "archive", folder / "found")


def changed(name: str, change: Callable[[Dataset], object]) -> bytes:
    """One of pydicom's files with something changed in it."""
    dataset = read(name)
    change(dataset)
    return write(dataset)


def with_pixels(name: str, change: Callable[[np.ndarray], object]) -> bytes:
    """One of pydicom's files with its stored values changed in place."""

    def apply(dataset: Dataset) -> None:
        pixels = dataset.pixel_array.copy()
        change(pixels)
        dataset.PixelData = pixels.tobytes()

    return changed(name, apply)


def transcoded(name: str) -> bytes:
    return write(to_syntax(deepcopy(read(name)), ImplicitVRLittleEndian))


def png(pixels: np.ndarray, path: Path) -> bytes:
    Image.fromarray(pixels).save(path)
    return path.read_bytes()
