"""What cannot be fingerprinted is refused by name, and nothing is allocated on a header's word."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from ledger.dicom_files import FOLDER, read, to_native, write
from mithridate.errors import UserError
from mithridate.ledger.fingerprint import Verdict, compare, fingerprint_image
from mithridate.ledger.fingerprint.dicom import fingerprint_data_set
from mithridate.ledger.fingerprint.model import FingerprintError, Limits

SALT = bytes(range(32))
SMALL = (FOLDER / "SC_rgb_small_odd.dcm").read_bytes()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("rtdose_expb.dcm", "32-bit samples in big-endian"),
        ("rtdose_expb_1frame.dcm", "32-bit samples in big-endian"),
        ("MR_truncated.dcm", "ends early"),
        ("rtplan_truncated.dcm", "ends early"),
        ("UN_sequence.dcm", "no pixel data"),
        ("badVR.dcm", "'1A' as its NumberOfFrames"),
        ("no_meta.dcm", "no DICOM"),
        ("meta_missing_tsyntax.dcm", "transfer syntax is not stated"),
        ("README.txt", "no DICOM"),
    ],
)
def test_files_without_a_readable_image_are_refused_by_name(name: str, reason: str) -> None:
    with pytest.raises(FingerprintError, match=reason) as caught:
        fingerprint_image((FOLDER / name).read_bytes(), name).seal(SALT)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("syntax", ["", "1.2.3", "1.2.840.10008.1.1", "1.2.840.10008.1.2.4.9999", "junk"])
def test_unknown_transfer_syntaxes_are_refused(syntax: str) -> None:
    with pytest.raises(FingerprintError, match="transfer syntax"):
        fingerprint_data_set(b"", syntax, "association")


def test_every_cut_of_a_file_is_refused() -> None:
    for length in range(len(SMALL)):
        with pytest.raises(UserError):
            fingerprint_image(SMALL[:length], "cut").seal(SALT)


def test_anything_after_the_last_element_is_refused() -> None:
    for tail in (b"\x00", b"\x00" * 7, b"PK\x03\x04 and an archive"):
        with pytest.raises(UserError):
            fingerprint_image(SMALL + tail, "extended").seal(SALT)


def test_elements_twice_or_out_of_order_are_refused() -> None:
    rows = SMALL.index(struct.pack("<HH2sH", 0x28, 0x10, b"US", 2))
    element = SMALL[rows : rows + 10]
    twice = SMALL[:rows] + element + SMALL[rows:]
    swapped = SMALL[:rows] + SMALL[rows + 10 : rows + 20] + element + SMALL[rows + 20 :]
    first = SMALL.index(struct.pack("<HH2s", 0x08, 0x05, b"CS"))
    stray = SMALL[:first] + b"\x00" + SMALL[first + 1 :]  # its first element in the group of a message
    for data in (twice, swapped, stray):
        with pytest.raises(FingerprintError, match="out of order or twice"):
            fingerprint_image(data, "ambiguous")


def test_a_deflated_bomb_is_refused_before_it_is_inflated() -> None:
    dataset = read("image_dfl.dcm")
    assert dataset.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian
    data = write(dataset)
    limits = Limits(inflated_bytes=200_000)  # it inflates to 262,682
    with pytest.raises(FingerprintError, match="inflates to more than"):
        fingerprint_image(data, "bomb", limits)
    fingerprint_image(data, "image").seal(SALT)
    machine = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = machine.compress(bytes(50_000_000)) + machine.flush()
    with pytest.raises(FingerprintError, match="inflates to more than"):
        fingerprint_data_set(zeros, DeflatedExplicitVRLittleEndian, "bomb", limits)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(file_bytes=1000), "bytes, above the limit"),
        (Limits(frame_samples=1000), "samples in a frame"),
        (Limits(frames=1), "2 frames"),
    ],
)
def test_limits_are_kept(limits: Limits, reason: str) -> None:
    name = "SC_rgb_rle_2frame.dcm"
    with pytest.raises(FingerprintError, match=reason):
        fingerprint_image((FOLDER / name).read_bytes(), name, limits).seal(SALT)


def test_a_header_that_asks_for_a_huge_frame_is_refused() -> None:
    dataset = read("SC_rgb_rle.dcm")
    dataset.Rows = dataset.Columns = 65535
    with pytest.raises(FingerprintError, match="above the limit"):
        fingerprint_image(write(dataset), "huge").seal(SALT)


@pytest.mark.parametrize("keyword", ["Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored"])
def test_a_missing_description_is_a_fault_that_is_compared_but_never_recorded(keyword: str) -> None:
    dataset = read("CT_small.dcm")
    recorded = fingerprint_image(write(dataset), "recorded").seal(SALT)
    delattr(dataset, keyword)
    candidate = fingerprint_image(write(dataset), "candidate")
    assert candidate.fault is not None
    assert keyword in candidate.fault
    with pytest.raises(FingerprintError, match=keyword):
        candidate.seal(SALT)
    judgement = compare(recorded, candidate, SALT)
    assert (judgement.verdict, judgement.attributes) == (Verdict.METADATA_EDITED, (keyword,))


def test_pixel_data_of_the_wrong_length_are_refused() -> None:
    dataset = read("CT_small.dcm")
    value = dataset.PixelData
    for wrong in (value[:-2], value + b"\x00" * len(value), value + b"\x00\x01"):
        dataset.PixelData = wrong
        with pytest.raises(FingerprintError, match=r"ends early|more pixel data"):
            fingerprint_image(write(dataset), "CT").seal(SALT)


def test_two_kinds_of_pixel_data_are_refused() -> None:
    dataset = to_native(read("MR_small.dcm"))
    dataset.FloatPixelData = bytes(64 * 64 * 4)
    with pytest.raises(FingerprintError, match="pixel data twice"):
        fingerprint_image(write(dataset), "MR")


def test_an_offset_table_that_points_elsewhere_is_refused() -> None:
    name = "examples_ybr_color.dcm"
    dataset = read(name)
    frames = list(generate_frames(dataset.PixelData, number_of_frames=30))
    good = encapsulate(frames, has_bot=True)
    dataset.PixelData = good
    recorded = fingerprint_image(write(dataset), name).seal(SALT)
    offsets = struct.unpack("<30I", good[8:128])
    dataset.PixelData = good[:8] + struct.pack("<30I", *offsets[:-2], offsets[-1], offsets[-2]) + good[128:]
    with pytest.raises(FingerprintError, match="offset table"):
        fingerprint_image(write(dataset), name)
    dataset.PixelData, starts, lengths = encapsulate_extended(frames)
    dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = starts, lengths
    assert compare(recorded, fingerprint_image(write(dataset), name), SALT).verdict is Verdict.TRANSCODED
    dataset.ExtendedOffsetTable = starts[8:] + starts[:8]
    with pytest.raises(FingerprintError, match="offset table"):
        fingerprint_image(write(dataset), name)


def test_frames_that_do_not_add_up_are_refused() -> None:
    dataset = read("SC_rgb_rle_2frame.dcm")
    dataset.NumberOfFrames = 3
    with pytest.raises(FingerprintError, match="says that it has 3"):
        fingerprint_image(write(dataset), "RLE").seal(SALT)
    lossy = read("examples_ybr_color.dcm")
    lossy.NumberOfFrames = 29
    with pytest.raises(FingerprintError, match="says that it has 29"):
        fingerprint_image(write(lossy), "JPEG").seal(SALT)


@pytest.mark.parametrize("name", ["SC_rgb_rle.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm"])
def test_damaged_streams_are_faults_not_crashes(name: str) -> None:
    dataset = read(name)
    recorded = fingerprint_image(write(dataset), name).seal(SALT)
    value = dataset.PixelData
    for end in (17, 30, 60, len(value) // 2):
        body = value[16:end]
        dataset.PixelData = encapsulate([body + b"\x00" * (len(body) % 2)], has_bot=False)
        try:
            candidate = fingerprint_image(write(dataset), name)
        except FingerprintError:
            continue
        assert compare(recorded, candidate, SALT).verdict is Verdict.MISMATCH


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_changed_bytes_crash_the_reader_or_pass_as_untouched(data: st.DataObject) -> None:
    source = data.draw(st.sampled_from([SMALL, RLE]))
    recorded = RECORDED[source]
    changed = bytearray(source)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(132, len(source) - 1))] = data.draw(st.integers(0, 255))
    if bytes(changed) == source:
        return
    try:
        candidate = fingerprint_image(bytes(changed), "fuzzed")
    except UserError:
        return
    assert compare(recorded, candidate, SALT).verdict is not Verdict.IDENTICAL


RLE = (FOLDER / "SC_rgb_rle_2frame.dcm").read_bytes()
RECORDED = {data: fingerprint_image(data, "source").seal(SALT) for data in (SMALL, RLE)}


def test_the_header_of_a_file_is_needed_and_only_that() -> None:
    dataset = read("CT_small.dcm")
    buffer = io.BytesIO()
    dataset.save_as(buffer, implicit_vr=False, little_endian=True)
    assert buffer.getvalue()[128:132] == b"DICM"
    assert dataset.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    with pytest.raises(FingerprintError, match="no DICOM"):
        fingerprint_image(buffer.getvalue()[132:], "bare")
