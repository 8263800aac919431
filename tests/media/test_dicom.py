from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import FileMetaDataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi, apply_windowing
from pydicom.pixels.utils import pixel_array
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from mithridate.errors import UserError
from mithridate.media import read_image
from mithridate.media.dicom import open_dicom, read_dicom
from mithridate.media.luts import apply_lut, apply_window


def shipped(name: str) -> Path:
    """A test file inside the installed pydicom."""
    found = get_testdata_file(name, download=False)
    assert isinstance(found, str)
    return Path(found)


def dataset(pixels: NDArray[Any], **attributes: Any) -> Dataset:
    """A monochrome or RGB image object with these stored samples: H x W, F x H x W, or H x W x 3 when 8-bit color."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid(entropy_srcs=["mithridate"])
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.SamplesPerPixel = 1
    frames = pixels.shape[0] if pixels.ndim == 3 else 1
    ds.Rows, ds.Columns = pixels.shape[-2:]
    if frames > 1:
        ds.NumberOfFrames = frames
    ds.BitsAllocated = ds.BitsStored = pixels.dtype.itemsize * 8
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(np.issubdtype(pixels.dtype, np.signedinteger))
    ds.PixelData = pixels.tobytes()
    ds["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    for name, value in attributes.items():
        setattr(ds, name, value)
    return ds


def saved(ds: Dataset, folder: Path, name: str = "a.dcm") -> Path:
    ds.save_as(folder / name, enforce_file_format=True)
    return folder / name


def items(**attributes: Any) -> Sequence:
    item = Dataset()
    for name, value in attributes.items():
        setattr(item, name, value)
    return Sequence([item])


SIGNED = np.arange(-32, 32, dtype=np.int16).reshape(8, 8) * 50


def stored_range(ds: Dataset) -> tuple[float, float]:
    """The ends of pydicom's output range of a windowed image."""
    bits = int(ds.BitsStored)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if ds.PixelRepresentation else (0, 2**bits - 1)
    slope, intercept = float(ds.get("RescaleSlope", 1)), float(ds.get("RescaleIntercept", 0))
    return low * slope + intercept, high * slope + intercept


@pytest.mark.parametrize("name", ["MR_small.dcm", "693_J2KI.dcm", "examples_overlay.dcm", "J2K_pixelrep_mismatch.dcm"])
@pytest.mark.parametrize("window", [0, 1])
def test_windowed_images_agree_with_pydicom(name: str, window: int) -> None:
    ds = dcmread(shipped(name))
    expected = apply_modality_lut(pixel_array(ds), ds)
    views = ds["WindowCenter"].VM
    expected = apply_windowing(expected, ds, index=min(window, views - 1))
    low, high = stored_range(ds)
    ours = read_dicom(shipped(name), window=window)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours[:, :, 0], (expected - low) / (high - low), atol=1e-6)


def test_one_image_is_the_same_in_every_encoding() -> None:
    plain = read_dicom(shipped("MR_small.dcm"))
    for kind in ("RLE", "bigendian", "expb", "implicit", "jp2klossless", "jpeg_ls_lossless", "padded"):
        np.testing.assert_array_equal(read_dicom(shipped(f"MR_small_{kind}.dcm")), plain, err_msg=kind)


@pytest.mark.parametrize(
    "name",
    [
        "examples_rgb_color.dcm",
        "examples_jpeg2k.dcm",
        "SC_rgb_jpeg_dcmtk.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
        "SC_rgb_rle.dcm",
        "SC_rgb_small_odd_big_endian.dcm",
    ],
)
def test_color_is_rgb_over_its_full_range(name: str) -> None:
    ds = dcmread(shipped(name))
    ours = read_dicom(shipped(name))
    np.testing.assert_allclose(ours, pixel_array(ds) / 255, atol=2.1 / 255)  # decoders of lossy files may differ a step


def test_ybr_red_is_red() -> None:
    # The shipped test card has a pure red band on top, stored as YBR with sub-sampled color.
    np.testing.assert_allclose(read_dicom(shipped("SC_ybr_full_422_uncompressed.dcm"))[2, 50], [1, 0, 0], atol=0.02)


def test_palette_color_agrees_with_pydicom() -> None:
    ds = dcmread(shipped("examples_palette.dcm"))
    expected = apply_color_lut(pixel_array(ds), ds)
    np.testing.assert_allclose(
        read_dicom(shipped("examples_palette.dcm")), expected / np.iinfo(expected.dtype).max, atol=1e-6
    )


def test_sixteen_bit_color_keeps_its_range() -> None:
    eight, sixteen = (read_dicom(shipped(f"SC_rgb_rle{kind}.dcm")) for kind in ("", "_16bit"))
    np.testing.assert_allclose(sixteen, eight, atol=1 / 255)


def test_deflated_data_and_single_bits_are_read() -> None:
    assert read_dicom(shipped("image_dfl.dcm")).shape == (512, 512, 1)
    assert set(np.unique(read_dicom(shipped("liver_1frame.dcm")))) == {0, 1}


def test_rescale_and_signedness_without_a_window_spread_the_found_range(tmp_path: Path) -> None:
    ours = read_dicom(saved(dataset(SIGNED, RescaleSlope=2, RescaleIntercept=-1024), tmp_path))
    expected = (SIGNED - SIGNED.min()) / float(SIGNED.max() - SIGNED.min())
    np.testing.assert_allclose(ours[:, :, 0], expected, atol=1e-6)


def test_eight_bit_without_a_window_keeps_its_full_range(tmp_path: Path) -> None:
    values = np.array([[51, 102], [153, 204]], dtype=np.uint8)
    np.testing.assert_allclose(read_dicom(saved(dataset(values), tmp_path))[:, :, 0], values / 255, atol=1e-7)


def test_padding_does_not_take_part_in_the_found_range(tmp_path: Path) -> None:
    values = np.array([[-2000, 100], [200, 300]], dtype=np.int16)
    ds = dataset(values)
    ds.add_new("PixelPaddingValue", "SS", -2000)
    np.testing.assert_allclose(read_dicom(saved(ds, tmp_path))[:, :, 0], [[0, 0], [0.5, 1]], atol=1e-6)


def test_monochrome1_is_inverted_after_the_window(tmp_path: Path) -> None:
    window = {"WindowCenter": 0, "WindowWidth": 1000}
    second = read_dicom(saved(dataset(SIGNED, **window), tmp_path, "two.dcm"))
    first = read_dicom(saved(dataset(SIGNED, PhotometricInterpretation="MONOCHROME1", **window), tmp_path, "one.dcm"))
    np.testing.assert_allclose(first, 1 - second, atol=1e-6)
    assert first[0, 0, 0] == 1  # the smallest stored value is white


@pytest.mark.parametrize("signed_first", [-100, 0, 7])
def test_voi_lut_goes_before_the_window_and_agrees_with_pydicom(tmp_path: Path, signed_first: int) -> None:
    table = (np.sqrt(np.arange(200)) * 250).astype(int).tolist()
    ds = dataset(np.arange(-150, 106, dtype=np.int16).reshape(16, 16), WindowCenter=0, WindowWidth=10)
    ds.VOILUTSequence = items()
    ds.VOILUTSequence[0].add_new("LUTDescriptor", "SS", [200, signed_first, 12])
    ds.VOILUTSequence[0].add_new("LUTData", "US", table)
    path = saved(ds, tmp_path)
    read = dcmread(path)
    expected = apply_voi(pixel_array(read), read) / 4095
    np.testing.assert_allclose(read_dicom(path)[:, :, 0], expected, atol=1e-6)


def test_modality_lut_agrees_with_pydicom(tmp_path: Path) -> None:
    ds = dataset(np.arange(64, dtype=np.uint16).reshape(8, 8), WindowCenter=2000, WindowWidth=3000)
    ds.ModalityLUTSequence = items()
    ds.ModalityLUTSequence[0].add_new("LUTDescriptor", "US", [32, 10, 16])
    ds.ModalityLUTSequence[0].add_new("LUTData", "US", [i * i * 4 for i in range(32)])
    path = saved(ds, tmp_path)
    read = dcmread(path)
    expected = apply_windowing(apply_modality_lut(pixel_array(read), read), read) / 65535
    np.testing.assert_allclose(read_dicom(path)[:, :, 0], expected, atol=1e-6)


def test_each_frame_uses_its_own_functional_group_then_the_shared_one(tmp_path: Path) -> None:
    frames = np.stack([np.arange(64, dtype=np.uint16).reshape(8, 8)] * 2)
    ds = dataset(frames, WindowCenter=1, WindowWidth=1)  # the top level must lose against the groups
    shared, first, second = Dataset(), Dataset(), Dataset()
    shared.PixelValueTransformationSequence = items(RescaleSlope=10, RescaleIntercept=-100, RescaleType="US")
    shared.FrameVOILUTSequence = items(WindowCenter=0, WindowWidth=401)
    second.FrameVOILUTSequence = items(WindowCenter=200, WindowWidth=201)
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    ds.PerFrameFunctionalGroupsSequence = Sequence([first, second])
    path = saved(ds, tmp_path)
    values = np.arange(64).reshape(8, 8) * 10.0 - 100
    np.testing.assert_allclose(read_dicom(path, frame=0)[:, :, 0], np.clip((values + 0.5) / 400 + 0.5, 0, 1), atol=1e-6)
    np.testing.assert_allclose(
        read_dicom(path, frame=1)[:, :, 0], np.clip((values - 199.5) / 200 + 0.5, 0, 1), atol=1e-6
    )


def test_the_frame_of_a_clip_must_be_named_and_is_the_one_read() -> None:
    path = shipped("examples_ybr_color.dcm")
    with pytest.raises(UserError, match=r"holds 30 frames: name one, from .*#0 to .*#29"):
        read_image(path)
    expected = pixel_array(dcmread(path), index=7) / 255
    ours = read_image(path, frame=7)
    np.testing.assert_allclose(ours, expected, atol=2.1 / 255)
    assert not np.array_equal(ours, read_image(path, frame=20))
    with pytest.raises(UserError, match="no frame 30"):
        read_image(path, frame=30)


@given(
    center=st.floats(-2000, 2000),
    width=st.floats(1, 5000),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_window_functions_agree_with_pydicom(center: float, width: float, function: str) -> None:
    ds = dataset(SIGNED, WindowCenter=round(center, 3), WindowWidth=max(1.0, round(width, 3)), VOILUTFunction=function)
    low, high = -32768, 32767
    expected = (apply_windowing(SIGNED.copy(), ds) - low) / (high - low)
    ours = apply_window(SIGNED.astype(float), float(ds.WindowCenter), float(ds.WindowWidth), function)
    np.testing.assert_allclose(ours, expected, atol=1e-6)


@pytest.mark.parametrize(("function", "width"), [("LINEAR", 0.5), ("LINEAR_EXACT", 0), ("SIGMOID", -1), ("CUBIC", 10)])
def test_windows_that_the_standard_forbids_are_refused_by_name(tmp_path: Path, function: str, width: float) -> None:
    path = saved(dataset(SIGNED, WindowCenter=0, WindowWidth=width, VOILUTFunction=function), tmp_path, "odd.dcm")
    with pytest.raises(UserError, match=r"odd\.dcm has display attributes"):
        read_dicom(path)


def test_eight_bit_tables_packed_in_words_are_unpacked() -> None:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [4, 0, 8])
    item.add_new("LUTData", "US", [0x3300, 0xFF66])  # bytes 00 33 66 FF
    values = np.array([0.0, 1.0, 2.0, 3.0, 9.0])
    np.testing.assert_allclose(apply_lut(values, item, True, scale=True), [0, 0.2, 0.4, 1, 1])


def test_a_file_without_preamble_is_read(tmp_path: Path) -> None:
    ds = dcmread(shipped("CT_small.dcm"))
    buffer = io.BytesIO()
    bare = Dataset(ds)
    bare.save_as(buffer, implicit_vr=True, little_endian=True)
    (tmp_path / "bare.dcm").write_bytes(buffer.getvalue())
    np.testing.assert_array_equal(read_image(tmp_path / "bare.dcm"), read_dicom(shipped("CT_small.dcm")))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rtplan.dcm", "no pixel data"),
        ("test-SR.dcm", "no pixel data"),
        ("MR_truncated.dcm", "cannot be decoded.*truncated"),
        ("badVR.dcm", "frames"),
    ],
)
def test_objects_that_are_no_image_are_refused_by_name(name: str, words: str) -> None:
    with pytest.raises(UserError, match=f"{name}.*{words}"):
        read_dicom(shipped(name))


def test_an_unknown_transfer_syntax_is_named(tmp_path: Path) -> None:
    data = shipped("MR_small.dcm").read_bytes().replace(b"1.2.840.10008.1.2.1\x00", b"1.2.840.10008.1.2.9\x00")
    (tmp_path / "odd.dcm").write_bytes(data)
    with pytest.raises(UserError, match=r"odd\.dcm has the transfer syntax .*1\.2\.840\.10008\.1\.2\.9.*dcmconv"):
        read_dicom(tmp_path / "odd.dcm")


def test_unsupported_color_spaces_and_gigapixels_are_refused_before_decoding(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="color space 'HSV'"):
        read_dicom(saved(dataset(SIGNED, PhotometricInterpretation="HSV"), tmp_path))
    with pytest.raises(UserError, match="60,000 x 50,000 pixels, above the limit"):
        read_dicom(saved(dataset(SIGNED, Rows=50_000, Columns=60_000), tmp_path))


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.99])
def test_files_cut_anywhere_are_refused_by_name(tmp_path: Path, share: float) -> None:
    for name in ("CT_small.dcm", "693_J2KI.dcm", "SC_rgb_jpeg_dcmtk.dcm", "image_dfl.dcm"):
        data = shipped(name).read_bytes()
        (tmp_path / "cut.dcm").write_bytes(data[: int(len(data) * share)])
        try:
            pixels = read_dicom(tmp_path / "cut.dcm")
        except UserError as error:
            assert "cut.dcm" in str(error)  # noqa: PT017
            assert "\n" not in str(error)  # noqa: PT017
        else:  # only trailing bytes, or the end of a compressed stream that decodes without them, may be missing
            assert share == 0.99
            assert 0 <= pixels.min() <= pixels.max() <= 1


def test_headers_are_read_without_pixels() -> None:
    ds = open_dicom(shipped("CT_small.dcm"), header_only=True, tags=["PatientID", "Rows"])
    assert (ds.PatientID, ds.Rows) == ("1CT1", 128)
    assert "PixelData" not in ds
