"""The same image in other encodings is the same image, and a changed pixel never is."""

from __future__ import annotations

import io

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEG2000, ExplicitVRBigEndian, ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from ledger.dicom_files import FOLDER, LOSSLESS, LOSSY, NATIVE, read, to_native, to_syntax, transcodings, write
from mithridate.ledger.fingerprint import Verdict, compare, fingerprint_image
from mithridate.ledger.fingerprint.dicom import fingerprint_data_set
from mithridate.ledger.fingerprint.model import Fingerprint
from mithridate.ledger.fingerprint.verdict import Judgement

SALT = bytes(range(32))
ENCODINGS = [name for name in LOSSLESS if name.startswith("MR_small")]


def judge(before: bytes | str, after: bytes) -> Judgement:
    recorded = (FOLDER / before).read_bytes() if isinstance(before, str) else before
    return compare(fingerprint_image(recorded, "before").seal(SALT), fingerprint_image(after, "after"), SALT)


def _of(name: str) -> Fingerprint:
    return fingerprint_image((FOLDER / name).read_bytes(), name)


@pytest.mark.parametrize("name", LOSSLESS)
def test_every_lossless_transcoding_is_recognized(name: str) -> None:
    recorded = (FOLDER / name).read_bytes()
    found = []
    for syntax, data in transcodings(name):
        judgement = judge(recorded, data)
        wanted = Verdict.IDENTICAL if data == recorded else Verdict.TRANSCODED
        found.append(syntax)
        assert (syntax.name, judgement.verdict, judgement.attributes) == (syntax.name, wanted, ())
    assert len(found) >= 3


def test_eight_encodings_of_one_image_have_one_canonical_hash() -> None:
    prints = [_of(name) for name in ENCODINGS]
    assert len(prints) == 8
    assert len({print_.pixels for print_ in prints}) == 1
    assert len({print_.file for print_ in prints}) >= 7


@pytest.mark.parametrize("name", LOSSY)
def test_a_lossy_image_is_known_by_its_stream(name: str) -> None:
    recorded = _of(name)
    assert recorded.pixels is None
    dataset = read(name)
    dataset.add_new(0x00091001, "LO", "not for a model")
    assert judge(name, write(dataset)).verdict is Verdict.TRANSCODED
    # Framed anew: an offset table of its own, and two fragments for each frame.
    streams = list(generate_frames(dataset.PixelData, number_of_frames=recorded.frames))
    dataset.PixelData = encapsulate([s[:-1] if s.endswith(b"\xff\xd9\x00") else s for s in streams], 2, has_bot=True)
    assert judge(name, write(dataset)).verdict is Verdict.TRANSCODED


@pytest.mark.parametrize("name", LOSSY)
def test_any_changed_byte_of_a_lossy_stream_is_a_mismatch(name: str) -> None:
    dataset = read(name)
    value = dataset.PixelData
    for place in np.linspace(len(value) * 2 // 3, len(value) - 20, 5, dtype=int):
        dataset.PixelData = value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]
        assert judge(name, write(dataset)).verdict is Verdict.MISMATCH


def test_decoding_a_lossy_image_is_a_mismatch_because_decoders_differ() -> None:
    dataset = read("JPEG2000.dcm")
    dataset.decompress(generate_instance_uid=False)
    judgement = judge("JPEG2000.dcm", write(dataset))
    assert judgement.verdict is Verdict.MISMATCH
    assert "lossy" in judgement.reason


@pytest.mark.parametrize("name", LOSSLESS)
def test_any_changed_bit_of_native_pixels_is_a_mismatch(name: str) -> None:
    native = to_native(read(name))
    value = native.PixelData
    size = native.Rows * native.Columns * native.SamplesPerPixel * int(native.get("NumberOfFrames") or 1)
    samples = (
        (size * native.BitsAllocated + 7) // 8 * (2 if native.PhotometricInterpretation == "YBR_FULL_422" else 3) // 3
    )
    before = write(native)
    for place in {0, samples // 3, min(samples, len(value)) - 1}:
        native.PixelData = value[:place] + bytes([value[place] ^ 0x80]) + value[place + 1 :]
        assert judge(before, write(native)).verdict is Verdict.MISMATCH


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
@pytest.mark.parametrize("name", ["CT_small.dcm", "examples_rgb_color.dcm"])
def test_a_pixel_changed_before_compressing_is_a_mismatch(name: str, syntax: str) -> None:
    dataset = read(name)
    before = write(dataset)
    pixels = dataset.pixel_array.copy()
    pixels.flat[pixels.size // 2] += 1
    dataset.compress(syntax, pixels, generate_instance_uid=False)
    assert judge(before, write(dataset)).verdict is Verdict.MISMATCH


def test_swapped_frames_are_a_mismatch() -> None:
    native = to_native(read("rtdose.dcm"))
    before = write(native)
    frames = np.frombuffer(native.PixelData, "<u4").reshape(15, -1)
    native.PixelData = frames[::-1].tobytes()
    assert judge(before, write(native)).verdict is Verdict.MISMATCH


def test_the_same_bytes_in_another_shape_are_not_the_same_image() -> None:
    native = read("CT_small.dcm")
    before = write(native)
    native.Rows, native.Columns = 64, 256
    judgement = judge(before, write(native))
    assert judgement.verdict is Verdict.METADATA_EDITED
    assert judgement.attributes == ("Rows", "Columns")
    shaped = to_syntax(native, ExplicitVRLittleEndian)
    shaped.compress(RLELossless, generate_instance_uid=False)
    assert judge(before, write(shaped)).verdict is Verdict.MISMATCH


def test_bits_beside_the_samples_are_not_ignored() -> None:
    native = read("examples_overlay.dcm")  # 12 bits stored in 16
    before = write(native)
    words = np.frombuffer(native.PixelData, "<u2").copy()
    assert words.max() < 4096
    words[words.size // 2] |= 0x8000
    native.PixelData = words.tobytes()
    assert judge(before, write(native)).verdict is Verdict.MISMATCH


def test_a_negative_sample_without_its_sign_bits_is_another_image() -> None:
    native = _image(np.full((4, 4), -5, "<i2"), BitsStored=12, HighBit=11, PixelRepresentation=1)
    before = write(native)
    native.PixelData = (np.full((4, 4), -5, "<i2").view("<u2") & 0x0FFF).tobytes()  # reads as 4091 where bits count not
    assert judge(before, write(native)).verdict is Verdict.MISMATCH


@pytest.mark.parametrize("keyword", ["FloatPixelData", "DoubleFloatPixelData"])
def test_floating_point_images_are_fingerprinted(keyword: str) -> None:
    kind = "<f4" if keyword == "FloatPixelData" else "<f8"
    native = _image(np.zeros((4, 4), "<u2"))
    del native.PixelData, native.BitsStored, native.HighBit, native.PixelRepresentation, native.PixelPaddingValue
    native.BitsAllocated = np.dtype(kind).itemsize * 8
    values = np.linspace(0, 1, 16, dtype=kind)
    setattr(native, keyword, values.tobytes())
    before = write(native)
    implicit = write(to_syntax(native, NATIVE[1]))
    assert judge(before, implicit).verdict is Verdict.TRANSCODED
    values[3] = np.nextafter(values[3], 2)
    setattr(native, keyword, values.tobytes())
    assert judge(before, write(native)).verdict is Verdict.MISMATCH


def test_a_data_set_without_a_header_is_the_same_image() -> None:
    data = (FOLDER / "CT_small.dcm").read_bytes()
    start = 132 + 12 + dcmread(io.BytesIO(data)).file_meta.FileMetaInformationGroupLength
    bare = fingerprint_data_set(data[start:], ExplicitVRLittleEndian, "association")
    judgement = compare(fingerprint_image(data, "file").seal(SALT), bare, SALT)
    assert judgement.verdict is Verdict.TRANSCODED


def test_what_a_stream_says_counts_more_than_its_transfer_syntax() -> None:
    dataset = read("JPEG2000.dcm")  # coded with the irreversible wavelet
    assert dataset.file_meta.TransferSyntaxUID == JPEG2000
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    assert fingerprint_image(write(dataset), "mislabeled").pixels is None
    judgement = judge("JPEG2000.dcm", write(dataset))
    assert (judgement.verdict, judgement.attributes) == (Verdict.METADATA_EDITED, ("TransferSyntaxUID",))


def test_fingerprints_do_not_depend_on_anything_but_the_bytes() -> None:
    assert _of("examples_jpeg2k.dcm") == _of("examples_jpeg2k.dcm")
    assert _of("CT_small.dcm").seal(SALT) != _of("CT_small.dcm").seal(bytes(32))


def test_big_endian_words_are_hashed_as_their_values() -> None:
    native = _image(np.arange(16, dtype="<u2").reshape(4, 4) * 257 + 1)
    big = write(to_syntax(native, ExplicitVRBigEndian))
    assert judge(write(native), big).verdict is Verdict.TRANSCODED


def _image(pixels: np.ndarray, **attributes: object) -> Dataset:
    """A small monochrome image made from CT_small.dcm."""
    dataset = read("CT_small.dcm")
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 15, 0
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = pixels.tobytes()
    return dataset
