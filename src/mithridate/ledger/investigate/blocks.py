"""Pictures made smaller, block by block, so that a page can hold them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def block_means(picture: Array, longest: int) -> Array:
    """Height x width x channels with its longest side within `longest`: the mean of each block of pixels."""
    means: Array = _blocks(picture, longest).mean(axis=(1, 3)).astype(np.float32)
    return means


def block_extremes(change: Array, longest: int) -> Array:
    """Height x width likewise: of each block the value of the largest size, with its sign, so that none is lost."""
    blocks = _blocks(change[:, :, None], longest)[..., 0]
    low, high = blocks.min(axis=(1, 3)), blocks.max(axis=(1, 3))
    extremes: Array = np.where(-low > high, low, high).astype(np.float32)
    return extremes


def _blocks(picture: Array, longest: int) -> Array:
    """Rows x block x columns x block x channels; the last rows and columns are repeated to fill their blocks."""
    side = max(1, -(-max(picture.shape[:2]) // longest))
    padding = [(0, -length % side) for length in picture.shape[:2]]
    padded = np.pad(picture, [*padding, (0, 0)], mode="edge")
    rows, columns, channels = padded.shape
    return padded.reshape(rows // side, side, columns // side, side, channels)
