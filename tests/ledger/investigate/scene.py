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


def build_case(folder: Path) -> Scene:
    """Everything that can happen to a patient's images at once: by several doors, altered in every way, and missing."""
    scene = build(folder)
    us = scene.ledger.add_station("US7", manufacturer="Sonic", model="Scan <7>", software_version="9")
    for name, data, channel in (
        ("ct.dcm", write(read("CT_small.dcm")), "dimse"),
        ("mr.dcm", write(read("MR_small.dcm")), "stow"),
        ("report.dcm", write(read("reportsi.dcm")), "dimse"),
        ("lossy.dcm", write(read("SC_rgb_small_odd_jpeg.dcm")), "stow"),
    ):
        scene.capture(name, data, channel=channel)
    scene.capture("palette.dcm", write(read("examples_palette.dcm")), us, "http")
    scene.capture("color.dcm", write(read("SC_rgb_small_odd.dcm")), us, "dimse")
    void = scene.capture("void.dcm", write(read("rtdose_1frame.dcm")), us, "dimse")
    fundus = np.tile(np.arange(240, dtype=np.uint8)[:, None, None], (1, 320, 3))
    scene.capture("fundus.png", png(fundus, scene.archive / "fundus.png"), us, "file")
    scene.capture("absent.dcm", changed("CT_small.dcm", _second_instance), channel="dimse")
    with scene.ledger._store.reading() as connection:
        row = scene.ledger._store.entry(connection, void)
    assert row is not None
    scene.ledger.revoke("record", row.leaf, "taken of another patient")

    scene.find("ct.dcm", with_pixels("CT_small.dcm", _paste))
    scene.find("mr.dcm", transcoded("MR_small.dcm"))
    scene.find("mr one gray level brighter with quite a long file name, as exports have them.dcm", with_pixels(
        "MR_small.dcm", lambda pixels: pixels.__setitem__((30, 31), pixels[30, 31] + 1)
    ))  # fmt: skip
    scene.find("report.dcm", changed("reportsi.dcm", lambda one: delattr(one, "ContentSequence")))
    scene.find("windowed.dcm", changed("MR_small.dcm", _relabel))
    scene.find("palette.dcm", write(read("examples_palette.dcm")))
    scene.find("color.dcm", with_pixels("SC_rgb_small_odd.dcm", lambda pixels: pixels.__setitem__(..., 255 - pixels)))
    scene.find("void.dcm", write(read("rtdose_1frame.dcm")))
    scene.find("stranger.dcm", write(read("examples_overlay.dcm")))
    fundus[60:90, 200:240] = (200, 40, 30)
    scene.find("fundus.png", png(fundus, scene.found / "fundus.png"))
    scene.find("notes.txt", b"no image")
    return scene


def _second_instance(dataset: Dataset) -> None:
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.3680043.9.1"
    dataset.PixelData = bytes(len(dataset.PixelData))


def _paste(pixels: np.ndarray) -> None:
    rows, columns = np.ogrid[-9:10, -9:10]
    pixels[50:69, 80:99][rows**2 + columns**2 <= 81] += 300


def _relabel(dataset: Dataset) -> None:
    dataset.PatientID, dataset.PatientName = "SOMEBODY ELSE", "Else^Somebody"
    dataset.WindowCenter, dataset.WindowWidth = "10", "20"
