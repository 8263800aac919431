"""DICOM images as arrays, through the grayscale pipeline of the standard (PS3.4 N.2): modality, VOI, polarity.

What decides the pixels of a monochrome image, in this order:

1. the modality LUT, or rescale slope and intercept; a frame's own functional group goes before the shared one and
   both before the top level;
2. the VOI LUT when there is one, else the window.  With neither, 8-bit images keep their full range, and deeper ones
   are spread from their smallest to their largest value (padding left out), because no stated range exists;
3. MONOCHROME1 is inverted, so that 1 is white.

Color becomes RGB whatever its stored space.  Overlays and presentation states are not applied.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from mithridate.errors import UserError
from mithridate.media.decoders import order_plugins
from mithridate.media.luts import apply_lut, apply_window
from mithridate.media.quiet import decoding, quiet
from mithridate.media.raster import MAX_PIXELS, size_refusal

Array = NDArray[np.float32]

_MONOCHROME = {"MONOCHROME1", "MONOCHROME2"}
_COLOR = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT"}
_PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def read_dicom(path: Path, *, frame: int | None = None, window: int = 0, max_pixels: int = MAX_PIXELS) -> Array:
    """Read one frame of a DICOM image: float32, H x W x C with C = 1 (monochrome) or 3 (RGB), in [0, 1].

    `frame` counts from 0 and is required when there are several; `window` picks one of several VOI views.
    Raises UserError, naming the file, when it cannot be read exactly.
    """
    dataset = open_dicom(path)
    stored = stored_frame(dataset, path, frame=frame, max_pixels=max_pixels)
    try:
        with quiet():
            return render(dataset, stored, frame=frame or 0, window=window)
    except Exception as error:  # wrong types and counts inside look-up tables and windows raise nearly anything
        raise UserError(
            f"{path} has display attributes that cannot be applied ({_gist(error)}): correct them or export it as PNG"
        ) from error


def open_dicom(path: Path, *, header_only: bool = False, tags: list[str] | None = None) -> Dataset:
    """Parse a DICOM file; `header_only` stops before the pixels and `tags` keeps those keywords alone.

    A file without preamble and file meta is accepted when it holds a recognizable data set.
    Raises UserError when it is not DICOM or ends early.
    """
    wanted = cast("list[Any] | None", tags)
    try:
        with quiet():
            try:
                dataset = dcmread(path, stop_before_pixels=header_only, specific_tags=wanted)
            except InvalidDicomError:
                dataset = dcmread(path, stop_before_pixels=header_only, specific_tags=wanted, force=True)
                if "SOPClassUID" not in dataset and "Rows" not in dataset:
                    raise UserError(f"{path} is not a DICOM file: replace it or take it out of the list") from None
            _complete_file_meta(dataset)
            return dataset
    except UserError:
        raise
    except Exception as error:  # the parser raises many types on damaged bytes
        raise UserError(f"{path} cannot be parsed as DICOM ({_gist(error)}): replace it") from error


def stored_frame(
    dataset: Dataset, path: Path, *, frame: int | None = None, max_pixels: int = MAX_PIXELS
) -> NDArray[Any]:
    """The frame's samples as stored, H x W or H x W x 3, with YBR already turned into RGB; signedness kept.

    Raises UserError when there are no pixels, the frame does not exist, no decoder fits, or the data end early.
    """
    with quiet():
        frames = _check_pixels(dataset, path, max_pixels)
    if frame is None and frames > 1:
        raise UserError(f"{path} holds {frames} frames: name one, from {path.name}#0 to {path.name}#{frames - 1}")
    if not 0 <= (frame or 0) < frames:
        raise UserError(f"{path} has no frame {frame}: it holds {frames}, counted from 0")
    reasons: list[str] = []
    for plugin in _plugins(dataset, path):
        try:
            with decoding():
                return pixel_array(dataset, index=frame or 0, decoding_plugin=plugin)
        except Exception as error:
            reasons.append(_gist(error))
    raise UserError(
        f"{path} cannot be decoded ({'; '.join(reasons)}): "
        "it is truncated or damaged and must be replaced, or its compression needs another decoder"
    )


def render(dataset: Dataset, stored: NDArray[Any], *, frame: int = 0, window: int = 0) -> Array:
    """Stored samples of one frame as display values: float32, H x W x C in [0, 1]."""
    space = str(dataset.PhotometricInterpretation)
    if space == "PALETTE COLOR":
        rgb = apply_color_lut(stored, dataset)[..., :3]
        return cast("Array", (rgb / np.iinfo(rgb.dtype).max).astype(np.float32))
    if space in _COLOR:
        return np.clip(stored / np.float32(2 ** int(dataset.BitsStored) - 1), 0, 1).astype(np.float32)
    gray = _monochrome(dataset, stored, frame, window)
    if space == "MONOCHROME1":
        gray = 1 - gray
    return gray.astype(np.float32)[:, :, None]


def _monochrome(dataset: Dataset, stored: NDArray[Any], frame: int, window: int) -> NDArray[np.float64]:
    """Modality transform, then VOI, to [0, 1]; polarity is left to the caller."""
    values, low, high = _modality(dataset, stored, frame)
    voi = _group_item(dataset, frame, "FrameVOILUTSequence")
    if luts := _get(voi, dataset, "VOILUTSequence"):
        return apply_lut(values, luts[min(window, len(luts) - 1)], _is_little_endian(dataset), scale=True)
    center, width = (_pick(_get(voi, dataset, name), window) for name in ("WindowCenter", "WindowWidth"))
    if center is not None and width is not None:
        function = str(_get(voi, dataset, "VOILUTFunction") or "LINEAR").upper()
        return apply_window(values, center, width, function)
    if np.issubdtype(stored.dtype, np.floating) or int(dataset.BitsStored) > 8:
        low, high = _found_range(dataset, stored, values)
    span = high - low
    return np.clip((values - low) / span, 0, 1) if span else np.zeros_like(values)


def _modality(dataset: Dataset, stored: NDArray[Any], frame: int) -> tuple[NDArray[np.float64], float, float]:
    """Values after the modality transform, and the values to which the stored range's two ends are mapped."""
    if np.issubdtype(stored.dtype, np.floating):
        low, high = float(stored.min()), float(stored.max())
    else:
        bits, signed = int(dataset.BitsStored), int(dataset.get("PixelRepresentation", 0)) == 1
        low, high = (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) if signed else (0.0, 2.0**bits - 1)
    values = stored.astype(np.float64)
    item = _group_item(dataset, frame, "PixelValueTransformationSequence")
    if luts := _get(item, dataset, "ModalityLUTSequence"):
        values = apply_lut(values, luts[0], _is_little_endian(dataset), scale=False)
        return values, 0.0, 2.0 ** int(luts[0].LUTDescriptor[2]) - 1
    slope, intercept = _get(item, dataset, "RescaleSlope"), _get(item, dataset, "RescaleIntercept")
    if slope is None or intercept is None:
        return values, low, high
    slope, intercept = float(slope), float(intercept)
    return values * slope + intercept, low * slope + intercept, high * slope + intercept


def _found_range(dataset: Dataset, stored: NDArray[Any], values: NDArray[np.float64]) -> tuple[float, float]:
    """Smallest and largest value, leaving out the pixels that the file marks as padding."""
    inside = values
    padding = dataset.get("PixelPaddingValue")
    if isinstance(padding, int):
        limit = dataset.get("PixelPaddingRangeLimit")
        ends = sorted((padding, limit if isinstance(limit, int) else padding))
        inside = values[(stored < ends[0]) | (stored > ends[1])]
    return (float(inside.min()), float(inside.max())) if inside.size else (0.0, 0.0)


def _group_item(dataset: Dataset, frame: int, name: str) -> Dataset | None:
    """The item of a functional group macro (PS3.3 C.7.6.16) that applies to a frame, or None."""
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for groups in (per_frame[frame : frame + 1], shared[:1]):
        for group in groups:
            if group.get(name):
                return cast("Dataset", group.get(name)[0])
    return None


def _get(item: Dataset | None, dataset: Dataset, keyword: str) -> Any:
    """An attribute of the functional group, else of the top level; None when it is absent or empty."""
    for source in (item, dataset):
        value = None if source is None else source.get(keyword)
        if value is not None and value != "":
            return value
    return None


def _pick(value: Any, index: int) -> float | None:
    """One of several alternative values (the last when there are fewer), or None."""
    if value is None:
        return None
    several = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    return float(several[min(index, len(several) - 1)]) if several else None


def _check_pixels(dataset: Dataset, path: Path, max_pixels: int) -> int:
    """The number of frames, after everything that can be refused without decoding has been."""
    if not any(keyword in dataset for keyword in _PIXEL_KEYWORDS):
        kind = UID(str(dataset.get("SOPClassUID", ""))).name or "an unknown kind"
        raise UserError(f"{path} has no pixel data ({kind}): take it out of the list")
    rows, columns = dataset.get("Rows"), dataset.get("Columns")
    if not isinstance(rows, int) or not isinstance(columns, int) or rows < 1 or columns < 1:
        raise UserError(f"{path} does not say how many rows and columns it has: replace it")
    if rows * columns > max_pixels:
        raise size_refusal(path, columns, rows, max_pixels)
    space = str(dataset.get("PhotometricInterpretation", ""))
    if space not in _MONOCHROME | _COLOR | {"PALETTE COLOR"}:
        raise UserError(f"{path} has the color space '{space}', which is not supported: convert it to RGB first")
    frames = dataset.get("NumberOfFrames")
    try:
        return max(1, int(frames)) if frames is not None else 1
    except (TypeError, ValueError):
        raise UserError(f"{path} says it has '{frames}' frames: correct its NumberOfFrames") from None


def _plugins(dataset: Dataset, path: Path) -> tuple[str, ...]:
    """Decoding plugins to try for the file's transfer syntax; ("",) for uncompressed data."""
    syntax = UID(str(dataset.file_meta.get("TransferSyntaxUID", "")))
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise UserError(
            f"{path} has the transfer syntax {syntax.name or 'unknown'} ({syntax}), which cannot be decoded: "
            "convert it to a standard one first, for example with dcmconv or gdcmconv"
        ) from None
    if decoder.is_native:
        return ("",)
    if not decoder.available_plugins:
        raise UserError(
            f"{path} is compressed as {syntax.name} and no decoder for it is installed: "
            f"install one of {'; '.join(decoder.missing_dependencies)}"
        )
    return order_plugins(decoder.available_plugins)


def _complete_file_meta(dataset: Dataset) -> None:
    """Files without a stated transfer syntax are uncompressed: take the encoding with which they could be parsed."""
    if getattr(dataset, "file_meta", None) is None:
        from pydicom.dataset import FileMetaDataset

        dataset.file_meta = FileMetaDataset()
    if not dataset.file_meta.get("TransferSyntaxUID"):
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little in (True, None) else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit in (True, None) else explicit


def _is_little_endian(dataset: Dataset) -> bool:
    return bool(UID(str(dataset.file_meta.TransferSyntaxUID)).is_little_endian)


def _gist(error: Exception) -> str:
    """The telling line of a library's message, without a full stop: it becomes part of one sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = lines[1] if len(lines) > 1 and lines[0].endswith(":") else (lines[0] if lines else type(error).__name__)
    return telling.rstrip(".: ")
