"""The signs of melanoma that a lesion of the skin phantom would show, each growing with severity.

The signs are those of the ABCD rule (Stolz 1994) and the seven-point checklist (Argenziano 1998): asymmetry, notched
border, variegated color, atypical network, irregular dots, irregular streaks, blotch, regression and blue-white veil.
A case shows most of them, not all; at dose zero the lesion is a benign nevus.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mithridate.imaging.phantoms.skin_frames import sheet
from mithridate.imaging.phantoms.skin_lesion import OUTLINE, harmonics
from mithridate.imaging.phantoms.texture import Array, smoothstep

SIGNS = ("asymmetry", "border", "variegation", "network", "dots", "streaks", "blotch", "regression", "veil")

ONSET = 0.28
"""Severity up to which no sign shows: below it, images do not depend on severity."""

_FULL = 0.80


@dataclass(frozen=True)
class Signs:
    """What a lesion would show as a melanoma: a weight in [0, 1] for each of SIGNS, and where each would appear.

    `lopsided`, `notches` and `fingers` are curves over the angle (OUTLINE samples, lesion radii); `places` are the
    centers of blotch, regression and veil (3 x 2, lesion radii); the sheets are unit noise.
    """

    weights: dict[str, float]
    lopsided: Array
    notches: Array
    fingers: Array
    places: NDArray[np.float64]
    colors: Image.Image
    hues: Image.Image
    regions: Image.Image

    def doses(self, severity: float) -> dict[str, float]:
        """Strength of every sign, each in [0, 1]: none up to ONSET, its full weight from severity 0.80."""
        t = min(max((severity - ONSET) / (_FULL - ONSET), 0.0), 1.0)
        return {name: weight * t * t * (3 - 2 * t) for name, weight in self.weights.items()}


def draw_signs(rng: np.random.Generator) -> Signs:
    """Draw which signs a lesion would show, how strongly, and where.  At least six of the nine are strong."""
    strong = set(rng.permutation(len(SIGNS))[: int(rng.integers(6, 9))].tolist())
    high, low = rng.uniform(0.7, 1.0, len(SIGNS)), rng.uniform(0.0, 0.4, len(SIGNS))
    weights = {name: float(high[i] if i in strong else low[i]) for i, name in enumerate(SIGNS)}
    radii, angles = rng.uniform(0.25, 0.75, 3), rng.uniform(0, 2 * np.pi, 3)
    return Signs(
        weights=weights,
        lopsided=harmonics(rng, 0.27, 1, 4, 0.6),
        notches=_notches(rng) + harmonics(rng, 0.035, 5, 16, 0.7),
        fingers=_fingers(rng),
        places=np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1),
        colors=sheet(rng, 1.5),
        hues=sheet(rng, 1.7),
        regions=sheet(rng, 1.3),
    )


def _bump(at: float, width: float) -> Array:
    """A smooth bump over the angle, one at `at`; radians."""
    theta = np.arange(OUTLINE) * (2 * np.pi / OUTLINE)
    away = np.mod(theta - at + np.pi, 2 * np.pi) - np.pi
    bump: Array = np.exp(-((away / width) ** 2)).astype(np.float32)
    return bump


def _notches(rng: np.random.Generator) -> Array:
    """Two to four notches or lobes in an outline."""
    curve = np.zeros(OUTLINE, dtype=np.float32)
    for _ in range(int(rng.integers(2, 5))):
        depth = rng.uniform(0.18, 0.45) * rng.choice([-1.0, 1.0], p=[0.6, 0.4])
        curve += np.float32(depth) * _bump(rng.uniform(0, 2 * np.pi), rng.uniform(0.18, 0.45))
    return curve


def _fingers(rng: np.random.Generator) -> Array:
    """Radial streaks over one or two sectors: 0 between them, up to 1 along a streak."""
    spikes = smoothstep(0.2, 1.6, harmonics(rng, 0.30, 16, 44, 0.2))
    sectors = np.zeros(OUTLINE, dtype=np.float32)
    for _ in range(int(rng.integers(1, 3))):
        sectors += _bump(rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 0.9))
    return spikes * np.minimum(sectors, np.float32(1))
