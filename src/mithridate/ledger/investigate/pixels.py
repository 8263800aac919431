"""Two images side by side: what each shows, and where their stored samples differ."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmread

from mithridate.errors import UserError
from mithridate.ledger.fingerprint.dicom_stream import PIXEL_ELEMENTS
from mithridate.ledger.investigate.blocks import block_extremes, block_means
from mithridate.ledger.investigate.findings import Box, Change, Comparison, Difference, Picture
from mithridate.media.dicom import render, stored_frame
from mithridate.media.quiet import quiet

_LARGEST = {"1": 1.0, "L": 255.0, "LA": 255.0, "P": 255.0, "RGB": 255.0, "RGBA": 255.0}
_SIXTEEN_BITS = 65535.0

LONGEST_SIDE = 800
"""Pixels of a picture in a finding; larger images are reduced, and no change, however small, is lost by that."""

Samples = NDArray[Any]


class OpenImage:
    """An image's frames, decoded when asked for.  Raises UserError, naming it, when it cannot be read."""

    def __init__(self, data: bytes, name: str) -> None:
        self.name = name
        self.dataset: Dataset | None = None
        self._pages: list[Samples] = []
        try:
            with quiet():
                if data[128:132] == b"DICM":
                    self.dataset = dcmread(BytesIO(data))
                    self.frames = max(1, int(self.dataset.get("NumberOfFrames") or 1))
                    return
                with Image.open(BytesIO(data), formats=("PNG", "JPEG", "TIFF")) as picture:
                    for number in range(getattr(picture, "n_frames", 1)):
                        picture.seek(number)
                        self._mode = picture.mode
                        self._pages.append(np.array(picture))
                    self.frames = len(self._pages)
        except Exception as error:  # damaged files raise nearly every type
            raise UserError(f"{name} cannot be decoded ({' '.join(str(error).split())})") from error

    @property
    def is_picture(self) -> bool:
        """Whether there are pixels in it: DICOM reports and plans have none."""
        return self.dataset is None or any(keyword in self.dataset for keyword in PIXEL_ELEMENTS)

    def stored(self, frame: int) -> Samples:
        """The frame's samples as stored: height x width, or height x width x channels."""
        if self.dataset is not None:
            return stored_frame(self.dataset, Path(self.name), frame=frame)
        return self._pages[frame].astype(np.uint8) if self._pages[frame].dtype == bool else self._pages[frame]

    def shown(self, frame: int) -> Picture:
        """The frame as its own attributes have it displayed."""
        stored = self.stored(frame)
        if self.dataset is not None:
            try:
                with quiet():
                    return render(self.dataset, stored, frame=frame)
            except Exception:  # an attribute that cannot be applied: the samples alone are shown
                return _spread(stored)
        largest = _LARGEST.get(self._mode)
        shown = (
            (stored / (largest or _SIXTEEN_BITS)).astype(np.float32) if stored.dtype.kind == "u" else _spread(stored)
        )
        shown = shown[:, :, None] if shown.ndim == 2 else shown
        return shown[:, :, :3] if shown.shape[2] >= 3 else shown[:, :, :1]


def compare_images(captured: OpenImage, found: OpenImage) -> Comparison:
    """Compare an image with the one captured, frame by frame.  Raises UserError when either cannot be decoded."""
    reason = None
    if captured.frames != found.frames:
        reason = f"{captured.frames} frames were captured, here are {found.frames}"
    elif captured.stored(0).shape != found.stored(0).shape:
        before, after = (" x ".join(str(side) for side in image.stored(0).shape) for image in (captured, found))
        reason = f"{before} samples were captured, here are {after}"
    if reason is not None:
        return Comparison(_fit(captured.shown(0)), _fit(found.shown(0)), None, reason)
    difference = _difference(captured, found)
    frame = difference.frame
    return Comparison(_fit(captured.shown(frame)), _fit(found.shown(frame)), difference, None)


def _difference(captured: OpenImage, found: OpenImage) -> Difference:
    frames, worst, largest = [], 0, -1.0
    for frame in range(captured.frames):
        change = _change(captured.stored(frame), found.stored(frame))
        size = float(np.abs(change).max()) if change.size else 0.0
        if size > 0:
            frames.append(frame)
        if size > largest:
            worst, largest = frame, size
    before, after = captured.stored(worst), found.stored(worst)
    change = _change(before, after)
    mask = change != 0
    return Difference(
        frame=worst,
        frames=tuple(frames),
        total=captured.frames,
        rows=mask.shape[0],
        columns=mask.shape[1],
        changed=int(mask.sum()),
        largest=max(largest, 0.0),
        mean=float(np.abs(after.astype(np.float64) - before.astype(np.float64)).mean()),
        box=_box(mask),
        change=block_extremes(change, LONGEST_SIDE) if mask.any() else None,
    )


def _change(before: Samples, after: Samples) -> Change:
    """Height x width: at each pixel the change, with its sign, of the sample that changed most."""
    change = after.astype(np.float64) - before.astype(np.float64)
    if change.ndim == 3:
        most = np.abs(change).argmax(axis=2, keepdims=True)
        change = np.take_along_axis(change, most, axis=2)[:, :, 0]
    return change.astype(np.float32)


def _box(mask: NDArray[np.bool_]) -> Box | None:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    return Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)


def _fit(picture: Picture) -> Picture:
    return block_means(picture, LONGEST_SIDE)


def _spread(stored: Samples) -> Picture:
    """Samples of no stated range, from the smallest, black, to the largest, white."""
    values = stored.astype(np.float64)
    span = values.max() - values.min()
    shown = ((values - values.min()) / span if span else np.zeros_like(values)).astype(np.float32)
    return shown if shown.ndim == 3 else shown[:, :, None]
