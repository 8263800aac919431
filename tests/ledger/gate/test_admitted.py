"""What is admitted: the array that was verified, decoded from the bytes that were, and its hash."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.pixels import pixel_array
from pydicom.uid import ImplicitVRLittleEndian, RLELossless

from ledger.dicom_files import FOLDER, LOSSLESS, LOSSY, read, to_native, to_syntax, write
from ledger.gate.ledgers import CT, CT_INDEX, CT_PATIENT, CT_UID, capture
from mithridate.ledger.fingerprint import Verdict
from mithridate.ledger.gate import DISPLAY, STORED, Expected, Gate, GateRefusal, Policy, Preprocessing, RefusalCode
from mithridate.ledger.gate.preprocessing import Verified, tensor_hash
from mithridate.ledger.log import Ledger
from mithridate.media import read_image

RNG = np.random.default_rng(4)

# Frames are compared one by one where there are several; these state no bit depth that a display needs.
_WITHOUT_DISPLAY = {"rtdose_rle.dcm"}
_BEYOND_DECODERS = {"JPEG-lossy.dcm", "JPEG2000-embedded-sequence-delimiter.dcm"}  # 12-bit JPEG, and no image at all
_LONG = {"examples_ybr_color.dcm"}  # 30 frames of lossy color, of which other files have one


def test_the_image_is_admitted_with_all_that_is_known_of_it(ledger: Ledger, policy: Policy) -> None:
    gate = Gate(policy.model_copy(update={"identity": "required"}), ledger)
    expected = Expected(patient=CT_PATIENT, accession=None, sop_instance_uid=CT_UID)
    admitted = gate.admit(CT, expected=expected)
    assert admitted.verdict is Verdict.IDENTICAL
    assert (admitted.index, admitted.size) == (CT_INDEX, ledger.size)
    assert admitted.device == ledger.station("CT1").device_id
    assert admitted.file == hashlib.sha256(CT).digest()
    assert admitted.data == CT
    assert admitted.decoder == "exact"
    np.testing.assert_array_equal(admitted.array, pixel_array(read("CT_small.dcm")))


def test_a_transcoded_image_gives_the_same_array_and_the_same_tensor(shared_gate: Gate) -> None:
    gate = shared_gate
    native = to_native(read("CT_small.dcm"))
    first = gate.admit(CT)
    compressed = read("CT_small.dcm")
    compressed.compress(RLELossless, encoding_plugin="pylibjpeg", generate_instance_uid=False)
    for data in (write(to_syntax(native, ImplicitVRLittleEndian)), write(compressed)):
        admitted = gate.admit(data)
        assert admitted.verdict is Verdict.TRANSCODED
        np.testing.assert_array_equal(admitted.array, first.array)
        assert admitted.tensor == first.tensor


@pytest.mark.parametrize("name", [*LOSSLESS, *sorted(set(LOSSY) - _BEYOND_DECODERS - _LONG)])
def test_arrays_are_those_that_the_library_and_the_models_read(
    name: str, shared_gate: Gate, shared_ledger: Ledger
) -> None:
    """As stored, what pydicom gives; as displayed, what the program's own models were trained on."""
    gate, ledger = shared_gate, shared_ledger
    data = (FOLDER / name).read_bytes()
    capture(ledger, data, name)
    stored = gate.admit(data)
    dataset = read(name)
    expected = pixel_array(dataset)
    np.testing.assert_array_equal(stored.array, expected)
    assert (stored.decoder == "exact") == (name not in LOSSY)
    if expected.dtype.kind in "iu" and name not in _WITHOUT_DISPLAY:
        displayed = Gate(gate.policy, ledger, DISPLAY).admit(data)
        frames = int(dataset.get("NumberOfFrames") or 1)
        shown = displayed.array if frames > 1 else displayed.array[None]
        for number, frame in enumerate(shown):
            theirs = read_image(FOLDER / name, frame=number if frames > 1 else None)
            np.testing.assert_array_equal(frame, theirs)


@pytest.mark.parametrize("name", sorted(_BEYOND_DECODERS))
def test_what_no_installed_decoder_reads_is_refused(name: str, shared_gate: Gate, shared_ledger: Ledger) -> None:
    data = (FOLDER / name).read_bytes()
    capture(shared_ledger, data, name)
    with pytest.raises(GateRefusal, match="cannot be decoded") as refused:
        shared_gate.admit(data)
    assert refused.value.code is RefusalCode.UNREADABLE


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16", "P", "1"])
def test_raster_files_are_admitted(mode: str, shared_gate: Gate, shared_ledger: Ledger, tmp_path: Path) -> None:
    gate, ledger = shared_gate, shared_ledger
    kind = "TIFF" if mode in ("I;16", "1") else "PNG"
    samples = RNG.integers(0, 2**16 if mode == "I;16" else 256, (9, 7, 3) if mode == "RGB" else (9, 7))
    image = Image.fromarray(samples.astype("<u2" if mode == "I;16" else np.uint8))
    image = image.convert(mode) if mode in ("P", "1") else image
    path = tmp_path / "image"
    image.save(path, format=kind)
    capture(ledger, path.read_bytes())
    np.testing.assert_array_equal(gate.admit(path).array, np.asarray(image))
    np.testing.assert_array_equal(Gate(gate.policy, ledger, DISPLAY).admit(path).array, read_image(path))


def test_a_jpeg_file_names_its_decoder(shared_gate: Gate, shared_ledger: Ledger) -> None:
    buffer = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (16, 24, 3), np.uint8)).save(buffer, "JPEG")
    capture(shared_ledger, buffer.getvalue())
    admitted = shared_gate.admit(buffer.getvalue())
    assert admitted.decoder.startswith("pillow ")
    np.testing.assert_array_equal(admitted.array, np.asarray(Image.open(buffer)))


def test_nobody_can_change_the_array(shared_gate: Gate) -> None:
    array = shared_gate.admit(CT).array
    with pytest.raises(ValueError, match="read-only"):
        array[0, 0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        array.flags.writeable = True  # the bytes under it cannot be written to either


def test_a_file_that_is_exchanged_while_it_is_verified_changes_nothing(
    ledger: Ledger, policy: Policy, tmp_path: Path
) -> None:
    path = tmp_path / "image.dcm"
    path.write_bytes(CT)

    def exchange(event: object) -> None:
        path.write_bytes(b"something else")

    def reads_late(verified: Verified) -> np.ndarray:
        path.write_bytes(b"something else")
        return STORED.apply(verified)

    gate = Gate(policy, ledger, Preprocessing("late", "1", reads_late), listeners=(exchange,))
    admitted = gate.admit(path)
    np.testing.assert_array_equal(admitted.array, pixel_array(read("CT_small.dcm")))
    assert admitted.data == CT


def test_a_signed_derivation_counts_only_where_the_policy_says_so(gate: Gate, ledger: Ledger) -> None:
    dataset = read("CT_small.dcm")
    dataset.PixelData = (np.asarray(dataset.pixel_array) + 1).tobytes()
    derived = write(dataset)
    station = ledger.station("CT1")
    ledger.derive(derived, "derived", source=CT_INDEX, operation="denoise", software="Denoiser 1", station=station)
    verdicts = (*gate.policy.verdicts, "DERIVED")
    assert gate.admit(derived, policy=gate.policy.model_copy(update={"verdicts": verdicts})).verdict is Verdict.DERIVED
    with pytest.raises(Exception, match="DERIVED"):
        gate.admit(derived)


@pytest.mark.parametrize(
    "change",
    [
        lambda array: array + np.int16(1),
        lambda array: array.astype(np.int32),
        lambda array: array.reshape(-1),
        lambda array: array.view(np.uint16),
    ],
    ids=["value", "type", "shape", "sign"],
)
def test_the_tensors_hash_covers_values_type_and_shape(change: object) -> None:
    array = np.arange(12, dtype=np.int16).reshape(3, 4)
    assert tensor_hash(change(array), STORED) != tensor_hash(array, STORED)  # type: ignore[operator]


def test_the_tensors_hash_covers_the_preprocessing_and_nothing_of_memory_layout() -> None:
    array = np.arange(12, dtype=np.int16).reshape(3, 4)
    for other in (Preprocessing("stored", "2", STORED.apply), Preprocessing("other", "1", STORED.apply)):
        assert tensor_hash(array, other) != tensor_hash(array, STORED)
    assert tensor_hash(np.asfortranarray(array), STORED) == tensor_hash(array, STORED)
    assert tensor_hash(array.astype(">i2"), STORED) == tensor_hash(array, STORED)


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_expb.dcm", "SC_rgb_rle_2frame.dcm", "liver_1frame.dcm"])
def test_a_hash_that_is_taken_over_from_verification_is_the_arrays_own(
    name: str, shared_gate: Gate, shared_ledger: Ledger
) -> None:
    data = (FOLDER / name).read_bytes()
    capture(shared_ledger, data, name)
    admitted = shared_gate.admit(data)
    assert admitted.tensor == tensor_hash(admitted.array, STORED)
