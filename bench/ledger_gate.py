"""The gate against the least that anybody must do with an image: parse, decode, SHA-256.

    python bench/ledger_gate.py

Both sides take the same bytes in the same process, in turns, many times; the ratio is of the medians of processor time,
which does not depend on what else the machine does.  Three sizes, each as recorded (IDENTICAL) and in another transfer
syntax (TRANSCODED, which compares pixels and attributes).  Two lines for each: the gate's own work on the image, and
the whole admission, with the ledger asked and its proof checked, of which most is the ledger's and does not grow with
the image.
"""

from __future__ import annotations

import hashlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset
from pydicom.pixels import pixel_array
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from record import Measurement, record

from mithridate.ledger.bundle import check_bundle, judge_checked
from mithridate.ledger.fingerprint.image import open_image
from mithridate.ledger.gate import STORED, Gate, Policy
from mithridate.ledger.gate.pixels import read_frames
from mithridate.ledger.gate.preprocessing import tensor_hash
from mithridate.ledger.log import Ledger

COMMAND = "python bench/ledger_gate.py"
TARGET = 1.5
SIDES = {"39 KB": 128, "0.5 MB": 512, "8.4 MB": 2048}
SECONDS = 2.0


def main() -> None:
    measurements = []
    with tempfile.TemporaryDirectory() as folder, Ledger.create(Path(folder) / "ledger", origin="bench/gate") as ledger:
        station = ledger.add_station("bench")
        gate = Gate(Policy(log_key=str(ledger.verifier()), identity="optional"), ledger, listeners=())
        for label, side in SIDES.items():
            native = image(side, ExplicitVRLittleEndian)
            index = ledger.capture(native, label, station=station).index
            checked = check_bundle(ledger.prove(index), ledger.verifier())

            def own_work(data: bytes, checked: object = checked) -> None:
                opened = open_image(data, "image")
                assert judge_checked(checked, opened.fingerprint).is_accepted  # type: ignore[arg-type]
                frames = read_frames(opened, data, "image")
                tensor_hash(frames.frames[0], STORED, frames.digest)

            for kind, data in (("as recorded", native), ("transcoded", image(side, ImplicitVRLittleEndian))):
                least, own, whole = medians(data, baseline, own_work, gate.admit)
                for what, value, target in (("own work", own, TARGET), ("with ledger and proof", whole, None)):
                    name = f"gate, {what}: {label}, {kind}, against parse + decode + SHA-256"
                    measurements.append(Measurement(name, value / least, target, "x", False, COMMAND))
                    print(f"{name}: {value / least:.2f} ({value * 1e3:.2f} ms against {least * 1e3:.2f} ms)")
    record(measurements)


def baseline(data: bytes) -> None:
    pixel_array(pydicom.dcmread(io.BytesIO(data)))
    hashlib.sha256(data).digest()


def medians(data: bytes, *functions: Callable[[bytes], object]) -> list[float]:
    """Median processor seconds of each, taken in turns, so that what slows the machine slows all of them."""
    times: list[list[float]] = [[] for _ in functions]
    end = time.process_time() + SECONDS
    while time.process_time() < end or len(times[0]) < 5:
        for function, taken in zip(functions, times, strict=True):
            begin = time.process_time()
            function(data)
            taken.append(time.process_time() - begin)
    return [statistics.median(taken) for taken in times]


def image(side: int, syntax: pydicom.uid.UID) -> bytes:
    """CT_small with side x side samples of noise, in a native syntax."""
    dataset: FileDataset = pydicom.dcmread(Path(pydicom.__file__).parent / "data" / "test_files" / "CT_small.dcm")
    for element in dataset.iterall():
        str(element.value)
    noise = np.random.default_rng(1).integers(-1000, 3000, (side, side), dtype=np.int16)
    dataset.Rows = dataset.Columns = side
    dataset.PixelData = noise.tobytes()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.set_original_encoding(syntax == ImplicitVRLittleEndian, True, dataset.original_character_set)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
