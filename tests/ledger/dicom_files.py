"""The images that pydicom ships, and ways to write one anew without loss."""

from __future__ import annotations

import io
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import numpy as np
import pydicom
from pydicom import Dataset, dcmread
from pydicom.dataset import FileDataset
from pydicom.pixels import pixel_array
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

FOLDER = Path(pydicom.__file__).parent / "data" / "test_files"

# Lossless, decodable, and of distinct kinds: signed and not, 1 to 32 bits, one and several frames, every colour space.
LOSSLESS = (
    "CT_small.dcm",
    "ExplVR_BigEnd.dcm",
    "GDCMJ2K_TextGBR.dcm",
    "J2K_pixelrep_mismatch.dcm",
    "MR_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_expb.dcm",
    "MR_small_implicit.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_padded.dcm",
    "SC_rgb_jpeg_dcmd.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "SC_rgb_rle.dcm",
    "SC_rgb_rle_16bit.dcm",
    "SC_rgb_rle_16bit_2frame.dcm",
    "SC_rgb_rle_2frame.dcm",
    "SC_rgb_rle_32bit.dcm",
    "SC_rgb_rle_32bit_2frame.dcm",
    "SC_rgb_small_odd.dcm",
    "SC_rgb_small_odd_big_endian.dcm",
    "SC_ybr_full_422_uncompressed.dcm",
    "examples_jpeg2k.dcm",
    "examples_overlay.dcm",
    "examples_palette.dcm",
    "examples_rgb_color.dcm",
    "image_dfl.dcm",
    "liver_1frame.dcm",
    "liver_expb_1frame.dcm",
    "rtdose.dcm",
    "rtdose_1frame.dcm",
    "rtdose_rle.dcm",
    "rtdose_rle_1frame.dcm",
)
LOSSY = (
    "693_J2KI.dcm",
    "JPEG-lossy.dcm",
    "JPEG2000.dcm",
    "JPEG2000-embedded-sequence-delimiter.dcm",
    "JPEGLSNearLossless_08.dcm",
    "JPEGLSNearLossless_16.dcm",
    "SC_rgb_dcmtk_+eb+cr.dcm",
    "SC_rgb_jls_lossy_line.dcm",
    "SC_rgb_jpeg_app14_dcmd.dcm",
    "SC_rgb_small_odd_jpeg.dcm",
    "examples_ybr_color.dcm",
)
NATIVE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)


def read(name: str) -> FileDataset:
    return dcmread(FOLDER / name)


def write(dataset: Dataset) -> bytes:
    """The bytes of a file, in the transfer syntax that its header states."""
    for element in dataset:
        if element.VR == "US or SS":  # which pydicom does not write without a PixelRepresentation
            element.VR = "SS" if isinstance(element.value, int) and element.value < 0 else "US"
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def transcodings(name: str) -> Iterator[tuple[UID, bytes]]:
    """The image in every lossless syntax that can hold it."""
    native = to_native(read(name))
    bits = int(native.BitsAllocated)
    for syntax in NATIVE:
        if bits <= 16 or syntax != ExplicitVRBigEndian:
            yield syntax, write(to_syntax(native, syntax))
    if bits == 1 or native.PhotometricInterpretation == "YBR_FULL_422":
        return
    if native.get("PlanarConfiguration") == 1:
        native = to_interleaved(native)  # pydicom's RLE encoder mixes up planes
        yield ExplicitVRLittleEndian, write(native)
    for syntax in (RLELossless, JPEG2000Lossless):  # pydicom writes neither for 32 bits, OpenJPEG no image of 3 x 3
        if bits <= 16 and (syntax == RLELossless or native.Rows > 3):
            compressed = deepcopy(native)
            compressed.compress(syntax, encoding_plugin="pylibjpeg", generate_instance_uid=False)
            yield syntax, write(compressed)


def to_native(dataset: FileDataset) -> FileDataset:
    """The data set as explicit little endian."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_encapsulated:
        try:
            dataset.decompress(as_rgb=False, generate_instance_uid=False)
        except ValueError:  # pydicom cannot correct the sign of J2K_pixelrep_mismatch.dcm in place
            dataset.PixelData = pixel_array(dataset, raw=True).tobytes()
            dataset["PixelData"].VR = "OW"
            dataset["PixelData"].is_undefined_length = False
    elif not syntax.is_little_endian:
        _swap(dataset)
    return to_syntax(dataset, ExplicitVRLittleEndian, swap=False)


def to_interleaved(native: FileDataset) -> FileDataset:
    copy = deepcopy(native)
    shape = (native.SamplesPerPixel, native.Rows * native.Columns)
    copy.PixelData = np.frombuffer(native.PixelData, np.uint8).reshape(shape).T.tobytes()
    copy.PlanarConfiguration = 0
    return copy


def to_syntax(dataset: FileDataset, syntax: UID, *, swap: bool = True) -> FileDataset:
    copy = deepcopy(dataset)
    for element in copy.iterall():  # values are read from the bytes of the former syntax, before it is forgotten
        str(element.value)
    if swap and syntax == ExplicitVRBigEndian:
        _swap(copy)
    copy.file_meta.TransferSyntaxUID = syntax
    copy.set_original_encoding(
        syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian, copy.original_character_set
    )
    return copy


def _swap(dataset: Dataset) -> None:
    """Turn every 16-bit word, which pydicom leaves as it stands."""
    for element in dataset.iterall():
        if element.VR == "OW" and isinstance(element.value, bytes):
            value = bytearray(element.value)
            value[::2], value[1::2] = value[1::2], value[::2]
            element.value = bytes(value)
