"""`make bench-ledger`: the receiver, with fingerprint and durable log, beside a bare pynetdicom receiver.

DCMTK's storescu sends to both, in turns, in one run; ratios are of the medians.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid
from pynetdicom import AE, AllStoragePresentationContexts, evt
from record import Measurement, record

from mithridate.ledger.log import Ledger
from mithridate.ledger.receive.dicom import DicomReceiver
from mithridate.ledger.receive.intake import Intake

COMMAND = "make bench-ledger"
SMALL, HALF = 64, 512
"""Sides of square 16-bit images: 8 KB of pixels (10 KB files), and 0.5 MB."""
TARGETS = {(SMALL, 1): 8.0, (HALF, 1): 0.7, (HALF, 8): 0.7}
"""By side and senders.  Stock pynetdicom lets each small object wait about 45 ms for an acknowledgement.  With eight
senders these waits overlap and cost it nothing, so eight senders of small objects are measured and have no target."""


def write_images(folder: Path, side: int, count: int) -> Path:
    """Random images, each an instance of its own."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(side)
    dataset = dcmread(str(get_testdata_file("MR_small.dcm")))
    dataset.Rows = dataset.Columns = side
    for number in range(count):
        dataset.PixelData = rng.integers(0, 4096, (side, side), dtype=np.uint16).tobytes()
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.save_as(folder / f"{number:04}.dcm")
    return folder


def rate(port: int, folders: list[Path]) -> float:
    """Images a second, with one storescu for each folder, all at the same time."""
    sender = shutil.which("storescu")
    assert sender is not None, "install dcmtk"

    def send(folder: Path) -> None:
        subprocess.run([sender, "+sd", "127.0.0.1", str(port), str(folder)], check=True, capture_output=True)

    threads = [threading.Thread(target=send, args=(folder,)) for folder in folders]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(len(list(folder.iterdir())) for folder in folders) / (time.perf_counter() - started)


def bare() -> Any:
    """pynetdicom as it comes: takes the bytes and says Success."""

    def take(event: Any) -> int:
        event.encoded_dataset()
        return 0x0000

    entity = AE("BARE")
    entity.supported_contexts = AllStoragePresentationContexts
    return entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, take)])


def compare(ours: int, stock: int, make: Callable[[str], list[Path]], rounds: int) -> tuple[float, float]:
    """Median rates of both; every round sends instances that the ledger has not seen."""
    rates: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        folders = make(str(number))
        rates[0].append(rate(ours, folders))
        rates[1].append(rate(stock, folders))
    return statistics.median(rates[0]), statistics.median(rates[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=240, help="sent by a lone sender; others send fewer")
    parser.add_argument("--dry", action="store_true", help="print, do not record")
    arguments = parser.parse_args()
    found = []
    server = bare()
    with tempfile.TemporaryDirectory() as folder, Ledger.create(Path(folder) / "log", origin="bench/log") as ledger:
        station = ledger.add_station("BENCH")
        with DicomReceiver(Intake(ledger, station), port=0) as receiver:
            for what, side in (("small objects", SMALL), ("objects of 0.5 MB", HALF)):
                for senders in (1, 8):
                    count = arguments.images // (1 if side == SMALL else 2) // (1 if senders == 1 else 4)

                    def make(name: str, side: int = side, senders: int = senders, count: int = count) -> list[Path]:
                        place = Path(folder) / f"{side}-{senders}-{name}"
                        return [write_images(place / str(number), side, count) for number in range(senders)]

                    ours, stock = compare(receiver.port, int(server.server_address[1]), make, arguments.rounds)
                    name = f"receiver, {what}, {senders} {'sender' if senders == 1 else 'senders'}"
                    print(f"{name}: {ours:.0f} images/s, bare pynetdicom {stock:.0f}")
                    found.append(Measurement(name, ours, None, "images/s", True, COMMAND))
                    target = TARGETS.get((side, senders))
                    found.append(Measurement(f"{name}, to bare pynetdicom", ours / stock, target, "x", True, COMMAND))
    server.shutdown()
    if not arguments.dry:
        record(found)


if __name__ == "__main__":
    main()
