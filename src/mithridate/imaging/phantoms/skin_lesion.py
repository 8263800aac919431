"""The pigmented lesion of the skin phantom: a benign nevus, from its outline to its layers of color."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mithridate.imaging.phantoms.skin_frames import Frame, sheet
from mithridate.imaging.phantoms.texture import Array

OUTLINE = 1024
"""Angular samples of an outline."""

SPAN = 4.0
"""Width of a lesion's sheets in lesion radii."""

REACH = 1.7
"""Radius, in lesion radii, beyond which no lesion changes a pixel."""

_BROWN = np.array([0.40, 0.95, 1.60], dtype=np.float32)
_RED_BROWN = np.array([0.40, 1.00, 1.00], dtype=np.float32)
_GREY_BROWN = np.array([0.72, 1.00, 1.12], dtype=np.float32)


_KINDS = ("reticular", "globular", "mixed", "homogeneous", "blue", "pink", "papillomatous")
_KIND_SHARES = (0.27, 0.13, 0.14, 0.15, 0.11, 0.10, 0.10)


@dataclass(frozen=True)
class Lesion:
    """A nevus.

    `center`, `radius` and `mesh` are in units of the image side, other lengths in lesion radii; strengths of melanin,
    `blood` and `lamella` are absorbances, `veil`, `haze` and `pale` opacities; the sheets are unit noise.
    """

    center: tuple[float, float]
    radius: float
    elongation: float
    angle: float
    outline: Array
    softness: float
    fray: float
    density: float
    spectrum: NDArray[np.float32]
    profile: float
    core: float
    core_radius: float
    core_offset: tuple[float, float]
    mottling: float
    mesh: float
    network: float
    network_rim: float
    line: float
    globules: float
    globule_reach: tuple[float, float]
    blood: float
    veil: float
    pale: float
    haze: float
    lamella: float
    pale_radius: float
    edge: Image.Image
    mottle: Image.Image

    def frame(self, skin: Frame) -> Frame:
        """The lesion's own frame: its mean outline is the unit circle; cropped to what it can touch."""
        stretch = np.sqrt(self.elongation)
        axes = (self.radius * stretch, self.radius / stretch)
        return skin.local(self.center, axes, self.angle).crop(REACH)


def draw_lesion(rng: np.random.Generator) -> Lesion:
    """Draw a benign nevus: reticular, globular, mixed, homogeneous, blue, pink or papillomatous; any size and color."""
    radius = float(np.exp(rng.uniform(np.log(0.13), np.log(0.42))))
    room = max(0.04, 0.19 - 0.35 * radius)
    kind = str(rng.choice(_KINDS, p=_KIND_SHARES))
    tints = rng.dirichlet([1.8, 1.3, 0.4])
    spectrum = tints[0] * _BROWN + tints[1] * _RED_BROWN + tints[2] * _GREY_BROWN
    offset = rng.normal(0, 0.11, 2)
    two_tone = rng.uniform() < 0.4
    return Lesion(
        center=(float(rng.uniform(-room, room)), float(rng.uniform(-room, room))),
        radius=radius,
        elongation=float(np.exp(abs(rng.normal(0, 0.22)))),
        angle=float(rng.uniform(0, np.pi)),
        outline=harmonics(rng, 0.07, 2, 14, 1.2),
        softness=float(np.exp(rng.uniform(np.log(0.14), np.log(0.55)))),
        fray=float(rng.uniform(0.02, 0.09)),
        density=float(np.exp(rng.uniform(np.log(0.28), np.log(2.3)))),
        spectrum=spectrum.astype(np.float32),
        profile=float(rng.uniform(-0.45, 0.45)),
        core=float(rng.uniform(0.3, 1.2) if two_tone else 0.0),
        core_radius=float(rng.uniform(0.25, 0.6)),
        core_offset=(float(offset[0]), float(offset[1])),
        mottling=float(rng.uniform(0.12, 0.36)),
        mesh=float(rng.uniform(0.018, 0.032)),
        network=float(rng.uniform(0.2, 0.6) if kind in ("reticular", "mixed") else rng.uniform(0.0, 0.15)),
        network_rim=float(rng.uniform(0.0, 0.8)),
        line=float(rng.uniform(0.10, 0.24)),
        globules=float(rng.uniform(0.2, 0.6) if kind in ("globular", "mixed") else 0.0),
        globule_reach=(0.0, float(rng.uniform(0.4, 0.6))) if kind == "mixed" else (float(rng.choice([0.0, 0.7])), 1.0),
        blood=float(rng.uniform(0.3, 1.2) if kind == "pink" else rng.uniform(0, 0.15)),
        veil=float(rng.uniform(0.35, 0.9) if kind == "blue" else 0.0),
        pale=float(rng.uniform(0.2, 0.7) if kind == "papillomatous" or rng.uniform() < 0.22 else 0.0),
        haze=float(rng.uniform(0.2, 0.8) if rng.uniform() < 0.38 else 0.0),
        lamella=float(rng.uniform(0.4, 1.4) if rng.uniform() < 0.18 else 0.0),
        pale_radius=float(rng.uniform(0.3, 0.7)),
        edge=sheet(rng, 1.4),
        mottle=sheet(rng, 1.1),
    )


@lru_cache(maxsize=1)
def _waves() -> tuple[Array, Array]:
    """Cosines and sines of the orders 0..63 over the angle, each 64 x OUTLINE."""
    phase = np.arange(64)[:, None] * (np.arange(OUTLINE) * (2 * np.pi / OUTLINE))
    return np.cos(phase).astype(np.float32), np.sin(phase).astype(np.float32)


def harmonics(rng: np.random.Generator, amplitude: float, first: int, last: int, slope: float) -> Array:
    """A random periodic curve over the angle, OUTLINE samples: orders first..last (at most 63) falling as k**-slope."""
    order = np.arange(first, last + 1)
    swing = amplitude * (first / order) ** slope * np.abs(rng.normal(0, 1, len(order)))
    phase = rng.uniform(0, 2 * np.pi, len(order))
    cosines, sines = _waves()
    curve = (swing * np.cos(phase)) @ cosines[order] - (swing * np.sin(phase)) @ sines[order]
    return np.asarray(curve, dtype=np.float32)


def equal_area(curve: Array) -> Array:
    """Radii of an outline, about 1 + curve, scaled to the area of the unit circle: no sign may make a lesion larger.

    The deepest notch leaves half of the radius, the longest lobe doubles it.
    """
    radii = np.exp(0.65 * np.tanh(curve / 0.65))
    return np.asarray(radii / np.sqrt(np.mean(radii**2)), dtype=np.float32)
