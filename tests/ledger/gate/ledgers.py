"""Ledgers to test with: made once, copied for every test, so that each may be spoiled."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.dicom_files import FOLDER, read, write
from mithridate.ledger.checkpoint import add_signatures
from mithridate.ledger.keys import FileSigner
from mithridate.ledger.log import Ledger
from mithridate.ledger.note import parse_note
from mithridate.ledger.note_keys import COSIGNATURE, NoteKey

ORIGIN = "hospital.example/ledger"
STATION = "CT1"
CT = (FOLDER / "CT_small.dcm").read_bytes()
CT_PATIENT, CT_UID = "1CT1", "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"
CT_INDEX = 2
"""Of the record of CT, after the enrolments of operator and station."""


def make_template(folder: Path) -> Path:
    """A closed ledger with one station and one image."""
    with Ledger.create(folder, origin=ORIGIN) as ledger:
        station = ledger.add_station(STATION, manufacturer="Maker", model="Model")
        assert ledger.capture(CT, "CT_small.dcm", station=station).index == CT_INDEX
    return folder


@contextmanager
def copied(template: Path, folder: Path) -> Iterator[Ledger]:
    shutil.copytree(template, folder)
    with Ledger.open(folder) as ledger:
        yield ledger


def capture(ledger: Ledger, data: bytes, name: str = "image") -> int:
    return ledger.capture(data, name, station=ledger.station(STATION)).index


def edited(**values: object) -> bytes:
    """CT with other values of some attributes."""
    dataset = read("CT_small.dcm")
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return write(dataset)


def altered() -> bytes:
    """CT with one bit of one pixel changed."""
    dataset = read("CT_small.dcm")
    pixels = bytearray(dataset.PixelData)
    pixels[1000] ^= 1
    dataset.PixelData = bytes(pixels)
    return write(dataset)


def witness(number: int, time: float) -> NoteKey:
    return NoteKey(f"witness{number}.example", FileSigner.from_seed(bytes([number]) * 32), COSIGNATURE, lambda: time)


def cosign(ledger: Ledger, *keys: NoteKey) -> None:
    """Have witnesses cosign the ledger's checkpoint, and publish that."""
    ledger.endorse(add_signatures(parse_note(ledger.checkpoint()), keys).encode())
