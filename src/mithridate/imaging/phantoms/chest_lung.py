"""Lungs of the chest phantom: depth of air, vascular markings, hila.

Attenuation is in the units of `chest.render`; the depth of air is positive and to be subtracted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mithridate.imaging.phantoms.chest_film import Points, blur, fork, shading, soften
from mithridate.imaging.phantoms.chest_geometry import Lung, Scene
from mithridate.imaging.phantoms.texture import Array, noise, smoothstep


def air_depth(scene: Scene, lung: Lung) -> Array:
    """Depth of air along the beam within the lung field, 0 to about 1: steep at the wall, shallow at the apex."""
    u, v = scene.frame.body
    rows = np.linspace(float(v.min()), float(v.max()), 256)
    steps = ((v - rows[0]) * np.float32(255.0 / (rows[-1] - rows[0]))).astype(np.intp)
    width = lung.half_width(rows).astype(np.float32)[steps]
    across = np.maximum(1.0 - (np.abs(u) / (width * np.float32(1.02))) ** np.float32(2.6), 0.0)
    rise = np.clip((v - np.float32(lung.wall[:, 1].min() - 0.02)) * np.float32(1 / 0.3), 0.0, 1.0)
    zone = scene.anatomy.emphysema[0 if lung.side < 0 else 1]
    upper = 1.0 + np.float32(0.32 * zone) * smoothstep(0.5, 0.1, v)
    mask = scene.frame.fill([lung.polygon])
    return np.asarray(mask * np.sqrt(across) * (0.3 + 0.7 * np.sqrt(rise)) * upper, dtype=np.float32)


def recess(scene: Scene) -> Array:
    """The lung behind the diaphragm: faint air that fades below the dome; negative."""
    sunk = []
    for lung in scene.lungs:
        deep = lung.floor[::-1] * [0.96, 1.0] + [0.0, 0.07]
        sunk.append(np.vstack([lung.floor, deep]))
    return np.float32(-0.16) * blur(scene.frame.fill(sunk), 0.025)


# Vessels leave the hilum mostly upwards and downwards: heading from horizontal (radians, down is positive), relative
# caliber, relative length.
_TRUNKS = np.array(
    [
        *((-1.42, 0.9, 0.9), (-1.15, 1.0, 1.0), (-0.85, 0.9, 1.0), (-0.45, 0.7, 0.95), (0.0, 0.65, 0.9)),
        *((0.38, 0.8, 1.1), (0.7, 1.0, 1.2), (0.98, 1.2, 1.3), (1.22, 1.1, 1.3), (1.42, 0.9, 1.1)),
    ]
)

Branches = tuple[
    Points, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]
]  # starts, headings, lengths, widths


def _grow(branches: Branches, rng: np.random.Generator) -> tuple[Points, NDArray[np.float64], Branches]:
    """Draw B branches that bend (B x 4 x 2 points, B x 4 widths) and sprout their 2 B children."""
    starts, headings, lengths, widths = branches
    count = len(starts)
    bend = rng.normal(0.0, 0.24, (count, 1))
    angles = headings[:, None] + bend * np.array([0.3, 0.9, 1.6])
    steps = np.stack([np.cos(angles), np.sin(angles)], axis=2) * (lengths[:, None, None] / 3)
    points = np.concatenate([starts[:, None], starts[:, None] + np.cumsum(steps, axis=1)], axis=1)
    forks = points[np.arange(count), rng.integers(2, 4, (2, count))]
    turns = np.array([[-1.0], [1.0]]) * rng.uniform(0.15, 0.6, (2, count)) + bend[:, 0]
    children = (
        forks.reshape(-1, 2),
        (headings + turns).ravel(),
        (lengths * rng.uniform(0.6, 0.92, (2, count))).ravel(),
        np.tile(0.62 * widths, 2),
    )
    return points, widths[:, None] * np.array([1.0, 0.9, 0.8, 0.7]), children


def markings(scene: Scene, rng: np.random.Generator) -> Array:
    """Lung markings: vessels that branch from the hila (the patient's) and the interstitium's texture (from `rng`)."""
    seeded = np.random.default_rng([scene.anatomy.seed, 4])
    batches = []
    for lung in scene.lungs:
        headings = _TRUNKS[:, 0] + seeded.normal(0.0, 0.1, len(_TRUNKS))
        starts = np.array(lung.hilum) + seeded.normal(0.0, 0.01, (len(_TRUNKS), 2))
        starts[:, 1] += 0.045 * np.sin(headings)
        lengths = 0.105 * _TRUNKS[:, 2] * seeded.uniform(0.85, 1.15, len(_TRUNKS))
        widths = 0.0105 * _TRUNKS[:, 1] * seeded.uniform(0.7, 1.25, len(_TRUNKS))
        outward = headings if lung.side > 0 else np.pi - headings
        branches: Branches = (starts, outward, lengths, widths)
        for _ in range(4):
            points, calibers, branches = _grow(branches, seeded)
            batches.append((points, calibers))
    vessels = soften(scene.frame.ribbons(batches), 0.002)
    texture = noise(scene.frame.size, 1.0, fork(rng))
    patches = np.float32(0.1) * shading(scene.frame.size, 2.0, rng)  # uneven ventilation, tissue before and behind
    return np.float32(scene.anatomy.vessels) * (np.float32(0.27) * vessels + np.float32(0.055) * texture) + patches


def hila(scene: Scene) -> Array:
    """Density of the pulmonary roots."""
    u, v = scene.frame.body
    total = np.zeros_like(u)
    for lung in scene.lungs:
        du, dv = lung.hilum
        total += np.exp(-(((u - du) / np.float32(0.026)) ** 2) - ((v - dv) / np.float32(0.055)) ** 2)
    return np.float32(0.3) * total
