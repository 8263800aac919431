"""Healthy skin of the skin phantom: tone, relief, freckles, redness and vessels, as absorbance per channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mithridate.imaging.phantoms.skin_frames import Frame, cells, wide_sheet
from mithridate.imaging.phantoms.texture import Array, smoothstep, strokes

Line = tuple[NDArray[np.floating], NDArray[np.floating]]
"""A poly-line: points P x 2 and widths P."""

# Reflectance of healthy skin under the polarized light of common dermatoscopes: pink, salmon, cream, lilac, gray-lilac,
# beige, orange tan, brown and dark brown.
_TONES = np.array(
    [
        [0.95, 0.62, 0.61],
        [0.93, 0.64, 0.55],
        [0.91, 0.83, 0.79],
        [0.83, 0.70, 0.78],
        [0.68, 0.62, 0.68],
        [0.83, 0.77, 0.70],
        [0.84, 0.60, 0.45],
        [0.62, 0.43, 0.33],
        [0.44, 0.30, 0.24],
    ]
)
_TONE_SHARES = np.array([0.29, 0.14, 0.18, 0.18, 0.06, 0.06, 0.04, 0.03, 0.02])

BLOOD = np.array([0.10, 0.77, 0.68], dtype=np.float32)
"""Absorbance of superficial vessels in red, green, blue."""

_MELANIN = np.array([0.50, 1.00, 1.40], dtype=np.float32)  # absorbance of superficial melanin, likewise


@dataclass(frozen=True)
class Skin:
    """A patient's skin.  Strengths are absorbances or fractions in [0, 1]; lengths are in units of the image side."""

    tone: NDArray[np.float32]
    mottle: Image.Image
    patches: Image.Image
    mottling: float
    freckling: float
    freckle_level: float
    redness: float
    relief: float
    relief_side: float
    pores: float
    pore_side: float
    spots: list[tuple[float, float, float, float]]
    vessels: list[Line]
    vessel_strength: float


def draw_skin(rng: np.random.Generator) -> Skin:
    """Draw a patient's skin."""
    pair = rng.choice(len(_TONES), 2, p=_TONE_SHARES)
    blend = rng.uniform(0, 0.5)
    tone = _TONES[pair[0]] * (1 - blend) + _TONES[pair[1]] * blend + rng.normal(0, 0.02, 3)
    weathered = rng.uniform() < 0.4  # sun-damaged skin: blotchy, freckled, with widened vessels
    count = int(rng.integers(2, 9)) if rng.uniform() < 0.3 else 0
    return Skin(
        tone=np.clip(tone, 0.15, 0.95).astype(np.float32),
        mottle=wide_sheet(rng, 1.1),
        patches=wide_sheet(rng, 1.6),
        mottling=float(rng.uniform(0.05, 0.11) if weathered else rng.uniform(0.015, 0.05)),
        freckling=float(rng.uniform(0.05, 0.30) if weathered else rng.uniform(0, 0.04)),
        freckle_level=float(rng.uniform(0.0, 1.3)),
        redness=float(rng.uniform(0.05, 0.35) if weathered else rng.uniform(0, 0.12)),
        relief=float(rng.uniform(0.0, 0.05)),
        relief_side=float(rng.uniform(0.014, 0.03)),
        pores=float(rng.uniform(0.03, 0.08) if rng.uniform() < 0.08 else 0.0),
        pore_side=float(rng.uniform(0.035, 0.06)),
        spots=_spots(rng),
        vessels=[_vessel(rng) for _ in range(count)],
        vessel_strength=float(rng.uniform(0.10, 0.40)),
    )


def _spots(rng: np.random.Generator) -> list[tuple[float, float, float, float]]:
    """Small freckles and moles beside the lesion: x, y, radius, melanin."""
    count = int(rng.choice([0, 1, 2, 4, 7], p=[0.55, 0.18, 0.12, 0.10, 0.05]))
    places = rng.uniform(-0.55, 0.55, (count, 2))
    radii, pigment = rng.uniform(0.008, 0.035, count), rng.uniform(0.15, 0.7, count)
    return [(float(x), float(y), float(r), float(m)) for (x, y), r, m in zip(places, radii, pigment, strict=True)]


def _vessel(rng: np.random.Generator) -> Line:
    steps = int(rng.integers(6, 16))
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.45, steps))
    walk = np.cumsum(0.03 * np.stack([np.cos(heading), np.sin(heading)], axis=1), axis=0)
    return rng.uniform(-0.6, 0.6, 2) + walk, np.linspace(rng.uniform(0.003, 0.008), 0.002, steps)


def absorbance(skin: Skin, frame: Frame, fine: Array) -> Array:
    """Absorbance of healthy skin, size x size x 3; `fine` is unit noise of the frame's size."""
    x, y = frame.coordinates()
    mottle = frame.sample(skin.mottle, 2.0)
    patches = frame.sample(skin.patches, 2.0)
    melanin = skin.mottling * mottle + 0.35 * skin.mottling * fine
    melanin += skin.freckling * smoothstep(
        skin.freckle_level - 0.8, skin.freckle_level + 2.2, 0.6 * patches + 0.8 * mottle + 0.35 * fine
    )
    ridge = smoothstep(0.30, 0.0, np.abs(patches - mottle)) * smoothstep(-0.3, 1.0, -mottle)
    blood = skin.redness * (np.maximum(0.5 + 0.5 * patches - 0.4 * mottle, 0.0) + 0.9 * ridge)
    if skin.relief > 0.02:
        melanin -= skin.relief * smoothstep(0.22, 0.02, cells(x, y, skin.relief_side).wall)
    if skin.pores:
        distance = cells(x, y, skin.pore_side, irregular=True).center
        melanin += skin.pores * (smoothstep(0.4, 0.25, distance) - 2.0 * smoothstep(0.25, 0.1, distance))
    for across, down, radius, pigment in skin.spots:
        away = np.hypot(x - across, y - down) / radius + 0.25 * mottle
        melanin += pigment * smoothstep(1.5, 0.5, away)
    if skin.vessels:
        blood = blood + skin.vessel_strength * _vessel_mask(skin, frame)
    total: Array = melanin[..., None] * (_MELANIN * np.float32(0.8)) + blood[..., None] * (BLOOD * np.float32(0.6))
    total -= np.log(skin.tone)
    return total


def _vessel_mask(skin: Skin, frame: Frame) -> Array:
    to_image = np.linalg.inv(frame.matrix) / frame.width
    zoom = 1 / (frame.pixel * frame.width)
    lines: list[Line] = [((points - frame.origin) @ to_image.T, widths * zoom) for points, widths in skin.vessels]
    return strokes(frame.width, lines, oversample=2)
