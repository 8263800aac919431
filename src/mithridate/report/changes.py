"""Changes of stored values as pictures: red where values rose, blue where they fell, white where they are the same."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mithridate.ledger.investigate.blocks import block_extremes
from mithridate.ledger.investigate.findings import Change, Comparison, Picture

FALLEN, SAME, RISEN = (np.array(color, np.float32) / 255 for color in ((26, 82, 160), (250, 250, 250), (178, 24, 43)))
_WORTH_MARKING = 0.5
_LEAST = 0.04


@dataclass(frozen=True)
class Marker:
    """A frame around what differs, in percent of the picture."""

    left: float
    top: float
    width: float
    height: float


def nice_scale(largest: float) -> float:
    """The smallest 1, 2 or 5 times a power of ten that is not below the largest change."""
    if largest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(largest))
    return next((step * power for step in (1, 2, 5) if step * power >= largest * (1 - 1e-9)), 10 * power)


def change_picture(change: Change, scale: float, side: int) -> Picture:
    """Height x width x 3 in [0, 1]; a change of `scale` or more has full color, the smallest still shows."""
    reduced = block_extremes(change, side)
    strength = np.clip(np.abs(reduced) / scale, 0, 1)
    strength = np.where(reduced != 0, np.maximum(strength, _LEAST), 0)[:, :, None]
    color = np.where((reduced > 0)[:, :, None], RISEN, FALLEN)
    picture: Picture = (SAME * (1 - strength) + color * strength).astype(np.float32)
    return picture


def marker(comparison: Comparison) -> Marker | None:
    """Where to look, when what differs is a part of the image; None when it is most of it or nothing."""
    difference = comparison.difference
    if difference is None or difference.box is None:
        return None
    box, rows, columns = difference.box, difference.rows, difference.columns
    height, width = (box.bottom - box.top) / rows, (box.right - box.left) / columns
    if height * width > _WORTH_MARKING:
        return None
    return Marker(*(round(100 * share, 3) for share in (box.left / columns, box.top / rows, width, height)))
