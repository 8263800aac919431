"""From a captured image to a verdict that needs nothing but the log's checkpoint, the proof and the salt."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from ledger.dicom_files import FOLDER, read, write
from mithridate.ledger import merkle
from mithridate.ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from mithridate.ledger.entry import open_entry, sign_record
from mithridate.ledger.errors import EvidenceError
from mithridate.ledger.fingerprint import Judgement, Verdict, compare, fingerprint_image
from mithridate.ledger.identity import DeviceIdentity
from mithridate.ledger.keys import FileSigner
from mithridate.ledger.note_keys import COSIGNATURE, NoteKey, VerifierKey
from mithridate.ledger.record import Capture, Record
from mithridate.ledger.tile_reader import TileReader, folder_source
from mithridate.ledger.tile_writer import TileWriter

ORIGIN = "log.example/radiology"
LOG = NoteKey(ORIGIN, FileSigner.from_seed(b"\x01" * 32))
WITNESS = NoteKey("witness.example", FileSigner.from_seed(b"\x02" * 32), COSIGNATURE, clock=lambda: 1_700_000_000)
DEVICE_KEY = FileSigner.from_seed(b"\x03" * 32)
DEVICE = DeviceIdentity("CT1", "Maker", "Model", "0001", "1.2.3", DEVICE_KEY.public_key)
IMAGES = ("MR_small.dcm", "CT_small.dcm", "examples_rgb_color.dcm", "JPEG2000.dcm", "rtdose.dcm")


@dataclass(frozen=True)
class Evidence:
    """What travels with an image: all of it may come from an enemy."""

    checkpoint: bytes
    index: int
    entry: bytes
    proof: tuple[bytes, ...]
    salt: bytes


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Evidence]:
    folder = tmp_path_factory.mktemp("log")
    entries, salts = [], []
    for sequence, name in enumerate(IMAGES):
        salts.append(bytes([sequence]) * 32)
        sealed = fingerprint_image((FOLDER / name).read_bytes(), name).seal(salts[-1])
        record = Record(DEVICE.device_id, sequence, 1_700_000_000_000_000 + sequence, Capture(sealed))
        entries.append(sign_record(record, DEVICE, DEVICE_KEY))
    writer = TileWriter(folder)
    root = writer.append(entries)
    writer.publish(sign_checkpoint(Checkpoint(ORIGIN, writer.size, root), [LOG, WITNESS]))
    reader = TileReader(folder_source(folder), writer.size)
    checkpoint = (folder / "checkpoint").read_bytes()
    return {
        name: Evidence(checkpoint, index, reader.entry(index), reader.inclusion_proof(index), salts[index])
        for index, name in enumerate(IMAGES)
    }


def judge(data: bytes, evidence: Evidence, *, trusted: VerifierKey | None = None) -> Judgement:
    """What a gate does, offline."""
    keys = [trusted or LOG.verifier(), WITNESS.verifier()]
    checkpoint, endorsements = open_checkpoint(evidence.checkpoint, keys, origin=ORIGIN)
    if len(endorsements) < 2:  # this gate's policy: the log and the witness
        raise EvidenceError("a signature is missing")
    leaf = merkle.leaf_hash(evidence.entry)
    merkle.verify_inclusion(evidence.index, checkpoint.size, leaf, evidence.proof, checkpoint.root)
    record = open_entry(evidence.entry, DEVICE)
    assert isinstance(record.body, Capture)
    return compare(record.body.fingerprint, fingerprint_image(data, "image"), evidence.salt)


@pytest.mark.parametrize("name", IMAGES)
def test_the_captured_image_is_admitted(name: str, evidence: dict[str, Evidence]) -> None:
    assert judge((FOLDER / name).read_bytes(), evidence[name]).verdict is Verdict.IDENTICAL


def test_an_image_changed_by_one_grey_level_is_not(evidence: dict[str, Evidence]) -> None:
    dataset = read("CT_small.dcm")
    rng = np.random.default_rng(0)
    noise = rng.integers(-1, 2, dataset.pixel_array.shape).astype(np.int16)
    dataset.PixelData = (dataset.pixel_array + noise).tobytes()
    assert judge(write(dataset), evidence["CT_small.dcm"]).verdict is Verdict.MISMATCH


def test_another_patients_image_is_not(evidence: dict[str, Evidence]) -> None:
    judgement = judge((FOLDER / "MR_small.dcm").read_bytes(), evidence["CT_small.dcm"])
    assert judgement.verdict is Verdict.MISMATCH


def test_the_right_pixels_under_another_patient_are_not(evidence: dict[str, Evidence]) -> None:
    dataset = read("MR_small.dcm")
    dataset.PatientID = "another"
    judgement = judge(write(dataset), evidence["MR_small.dcm"])
    assert (judgement.verdict, judgement.attributes) == (Verdict.METADATA_EDITED, ("PatientID",))


def test_no_part_of_the_evidence_can_be_exchanged(evidence: dict[str, Evidence]) -> None:
    data = (FOLDER / "CT_small.dcm").read_bytes()
    own, other = evidence["CT_small.dcm"], evidence["MR_small.dcm"]
    forged = Record(DEVICE.device_id, 9, 0, open_entry(own.entry, DEVICE).body)
    for changed in (
        replace(own, index=other.index),
        replace(own, entry=other.entry),
        replace(own, proof=other.proof),
        replace(own, proof=()),
        replace(own, checkpoint=own.checkpoint.replace(b"\n5\n", b"\n4\n")),
        replace(own, entry=sign_record(forged, DEVICE, DEVICE_KEY)),  # signed by the device, and in no log
    ):
        with pytest.raises(EvidenceError):
            judge(data, changed)
    with pytest.raises(EvidenceError):
        judge(data, own, trusted=VerifierKey(ORIGIN, DEVICE_KEY.public_key))


def test_the_log_tells_nobody_whose_images_it_holds(evidence: dict[str, Evidence]) -> None:
    dataset = read("CT_small.dcm")
    for one in evidence.values():
        for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "SOPInstanceUID", "StudyDate"):
            assert str(dataset[keyword].value).encode() not in one.entry
    body = open_entry(evidence["CT_small.dcm"].entry, DEVICE).body
    again = fingerprint_image((FOLDER / "CT_small.dcm").read_bytes(), "CT").seal(b"\xff" * 32)
    assert isinstance(body, Capture)
    linked = {digest for digest in body.fingerprint.identity if digest} & {
        digest for digest in again.identity if digest
    }
    assert linked == set()


def test_an_entry_is_small_enough_for_a_large_archive(evidence: dict[str, Evidence]) -> None:
    assert max(len(one.entry) for one in evidence.values()) < 4096
