"""Pneumothorax: air between lung and chest wall, bounded by the visceral pleural line, without lung markings.

The size follows severity: nothing up to 0.3, a rim a few pixels wide about 0.5, a large collapse at 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mithridate.imaging.phantoms.chest_film import Points
from mithridate.imaging.phantoms.chest_geometry import LEFT, RIGHT, Lung, Scene
from mithridate.imaging.phantoms.texture import Array

ONSET = 0.3  # severity at which the first trace appears


@dataclass(frozen=True)
class Collapse:
    """Where and how a patient's lung comes off the wall; drawn whatever the severity."""

    side: int
    peak: float  # place of the widest gap along the wall: 0 medial apex, 1 costophrenic angle
    reach: float  # how far along the wall the gap extends
    gap: float  # individual factor of the gap's width
    wave: tuple[float, float]  # amplitude and phase of the pleural line's waviness
    contrast: float  # individual factor of how clearly it shows


@dataclass(frozen=True)
class Cavity:
    """The drawn disease: air space and pleural line as coverage in [0, 1], and how far the lung has collapsed."""

    side: int
    space: Array  # geometry alone
    air: Array  # weighted by how clearly it shows
    line: Array
    collapse: float


def draw_collapse(patient: np.random.Generator, image: np.random.Generator) -> Collapse:
    """The side is the patient's; the distribution of air changes with position and so with the film."""
    side = RIGHT if patient.random() < 0.5 else LEFT
    lateral = image.random() < 0.4
    return Collapse(
        side=side,
        peak=float(image.uniform(0.4, 0.62) if lateral else image.uniform(0.16, 0.32)),
        reach=float(image.uniform(0.26, 0.4)),
        gap=float(image.uniform(0.8, 1.2)),
        wave=(float(image.uniform(0.0, 0.06)), float(image.uniform(0.0, 2 * np.pi))),
        contrast=float(image.uniform(0.65, 1.15)),
    )


def gap_width(severity: float) -> float:
    """Widest distance between pleural line and chest wall, in image sides."""
    grown = max(0.0, severity - ONSET) / (1.0 - ONSET)
    return 0.006 * min(1.0, 8.0 * grown) + 0.12 * grown + 0.045 * grown**2


def presence(severity: float) -> float:
    """How clearly the signs show, in [0, 1]: they fade in between the onset and 0.6."""
    faded: float = min(1.0, max(0.0, (severity - ONSET) / 0.3)) ** 1.4
    return faded


def pleural_line(lung: Lung, collapse: Collapse, severity: float) -> tuple[Points, Points, NDArray[np.float64]]:
    """(wall, visceral pleura, gap) along the part of the wall that the lung has left."""
    place = np.linspace(0.0, 1.0, len(lung.wall))
    reach = collapse.reach * (0.75 + 0.75 * severity)
    shape = np.clip(1.0 - ((place - collapse.peak) / reach) ** 2, 0.0, 1.0) ** 0.75
    amplitude, phase = collapse.wave
    shape = shape * (1.0 + amplitude * np.sin(14.0 * place + phase))
    gap = gap_width(severity) * collapse.gap * shape
    core = np.array([lung.hilum[0] * 1.3, lung.hilum[1]])
    inward = core - lung.wall
    distance = np.linalg.norm(inward, axis=1)
    pleura = lung.wall + inward / distance[:, None] * np.minimum(gap, 0.8 * distance)[:, None]
    open_part = shape > 0.01
    return lung.wall[open_part], pleura[open_part], gap[open_part]


def draw(scene: Scene, collapse: Collapse, severity: float) -> Cavity | None:
    """The cavity at this severity, or None where there is none."""
    if severity <= ONSET:
        return None
    lung = scene.lungs[0 if collapse.side == RIGHT else 1]
    wall, pleura, gap = pleural_line(lung, collapse, severity)
    space = scene.frame.fill([np.vstack([wall, pleura[::-1]])])
    line = scene.frame.stroke([(pleura, np.full(len(pleura), 0.0065))])
    strength = presence(severity) * collapse.contrast
    return Cavity(collapse.side, space, space * min(1.0, strength), line * strength, float(gap.max()))
