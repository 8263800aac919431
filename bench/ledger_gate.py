"""The gate against the least that anybody must do with an image: parse, decode, SHA-256.

    python bench/ledger_gate.py

Both sides take the same bytes in the same process, in turns; the ratios are of the medians.  Three sizes, each as
recorded (IDENTICAL) and in another transfer syntax (TRANSCODED, which compares pixels and attributes), and every image
is seen once.  The gate's own work on the image is told apart from the whole admission, with the ledger in the same
process asked and its proof checked, of which most is the ledger's and does not grow with the image.

Each is measured twice.  Elapsed time is what whoever waits for the image waits.  Processor time does not depend on what
else the machine does, and is what a busy server runs out of: a large image costs nearly two passes of SHA-256, over the
file and over its samples, which the gate makes on two processors at once, and the least that anybody does is one.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import statistics
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset
from pydicom.pixels import pixel_array
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from record import Measurement, record

from mithridate.ledger.bundle import CheckedBundle, check_bundle, judge_checked
from mithridate.ledger.fingerprint.image import open_image
from mithridate.ledger.gate import STORED, Gate, Policy
from mithridate.ledger.gate.pixels import read_frames
from mithridate.ledger.gate.preprocessing import tensor_hash
from mithridate.ledger.log import Ledger

COMMAND = "make bench-ledger"
TARGET = 1.5
SIZES = {"39 KB": (128, 150), "0.5 MB": (512, 100), "8.4 MB": (2048, 12)}
"""Sides of the images, and how many are seen of each kind."""
ELAPSED, PROCESSOR = "", ", processor time"
CLOCKS = {ELAPSED: time.perf_counter, PROCESSOR: time.process_time}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dry", action="store_true", help="print, do not record")
    arguments = parser.parse_args()
    measurements = []
    with tempfile.TemporaryDirectory() as folder, Ledger.create(Path(folder) / "ledger", origin="bench/gate") as ledger:
        station = ledger.add_station("bench")
        gate = Gate(Policy(log_key=str(ledger.verifier()), identity="optional"), ledger, listeners=())
        for label, (side, count) in SIZES.items():
            pairs = [images(side, seed) for seed in range(2 * count)]
            indices = [ledger.capture(native, label, station=station).index for native, _ in pairs]
            proofs = [check_bundle(ledger.prove(index), ledger.verifier()) for index in indices]
            for which, kind in enumerate(("as recorded", "transcoded")):
                every = slice(which, None, 2)
                found = medians(gate, [pair[which] for pair in pairs[every]], proofs[every])
                for clock, (least, own, whole) in found.items():
                    own_target = TARGET if clock == ELAPSED else None
                    for what, value, target in (("own work", own, own_target), ("with ledger and proof", whole, None)):
                        name = f"gate, {what}{clock}: {label}, {kind}, against parse + decode + SHA-256"
                        measurements.append(Measurement(name, value / least, target, "x", False, COMMAND))
                        print(f"{name}: {value / least:.2f} ({value * 1e3:.2f} ms against {least * 1e3:.2f} ms)")
    if not arguments.dry:
        record(measurements)


def own_work(data: bytes, proof: CheckedBundle) -> None:
    """What the gate does with an image once it has the image's proof."""
    opened = open_image(data, "image")
    assert judge_checked(proof, opened.fingerprint).is_accepted
    frames = read_frames(opened, data, "image")
    tensor_hash(frames.frames[0], STORED, frames.digest)


def baseline(data: bytes) -> None:
    pixel_array(pydicom.dcmread(io.BytesIO(data)))
    hashlib.sha256(data).digest()


def medians(gate: Gate, data: Sequence[bytes], proofs: Sequence[CheckedBundle]) -> dict[str, list[float]]:
    """Median seconds of the baseline, of the gate's own work and of the whole, in turns over the images, by clock."""
    times: dict[str, tuple[list[float], ...]] = {clock: ([], [], []) for clock in CLOCKS}
    for number, (image, proof) in enumerate(zip(data, proofs, strict=True)):
        works = (partial(baseline, image), partial(own_work, image, proof), partial(gate.admit, image))
        for turn in range(len(works)):
            which = (number + turn) % len(works)  # whoever comes first finds the image in no cache
            begin = [read() for read in CLOCKS.values()]
            works[which]()
            ends = [read() for read in CLOCKS.values()]
            if number:  # the first is warming up
                for clock, started, ended in zip(CLOCKS, begin, ends, strict=True):
                    times[clock][which].append(ended - started)
    return {clock: [statistics.median(one) for one in taken] for clock, taken in times.items()}


def images(side: int, seed: int) -> tuple[bytes, bytes]:
    """CT_small with side x side samples of noise, an instance of its own, in two native syntaxes."""
    dataset: FileDataset = pydicom.dcmread(Path(pydicom.__file__).parent / "data" / "test_files" / "CT_small.dcm")
    for element in dataset.iterall():
        str(element.value)
    noise = np.random.default_rng([side, seed]).integers(-1000, 3000, (side, side), dtype=np.int16)
    dataset.Rows = dataset.Columns = side
    dataset.PixelData = noise.tobytes()
    uid = generate_uid(entropy_srcs=[str(side), str(seed)])
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
    explicit, implicit = (_written(dataset, syntax) for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian))
    return explicit, implicit


def _written(dataset: FileDataset, syntax: UID) -> bytes:
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.set_original_encoding(syntax == ImplicitVRLittleEndian, True, dataset.original_character_set)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
