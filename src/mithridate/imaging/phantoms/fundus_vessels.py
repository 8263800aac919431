"""Retinal vessels: two temporal arcades arching around the macula, nasal vessels, and two generations of branches.

Coordinates are those of the retina as a left eye shows it: x to the temporal side (right), y downwards, in image sides
at unit magnification, the origin at the middle of a macula-centered photograph.  Every curve is a cubic Bezier curve
with a meander across it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mithridate.imaging.phantoms.fundus_canvas import Points

# Control points from the disc (x, y) and starting width of the trunks of the upper half; the lower half mirrors them.
_ARCADE = ((0.0, 0.0), (0.035, -0.25), (0.28, -0.51), (0.95, -0.25))
_SECOND_ARCADE = ((0.0, 0.0), (0.01, -0.22), (0.10, -0.46), (0.46, -0.68))
_NASAL = ((0.0, 0.0), (-0.03, -0.13), (-0.10, -0.27), (-0.28, -0.44))
_NASAL_FLAT = ((-0.05, -0.025), (-0.10, -0.055), (-0.18, -0.09), (-0.36, -0.12))
_MACULAR = ((0.05, -0.02), (0.13, -0.07), (0.24, -0.14), (0.38, -0.09))
_TRUNKS = (_ARCADE, _SECOND_ARCADE, _NASAL, _NASAL_FLAT, _MACULAR)
_TRUNK_WIDTHS = (1.0, 0.62, 0.6, 0.3, 0.26)
_TRUNK_BRANCHES = (6, 4, 2, 1, 1)
_AVASCULAR_ZONE = (0.035, 0.085)  # distances from the fovea over which vessels thin out


@dataclass(frozen=True)
class Vessels:
    """One kind of vessel: generations from twigs to trunks, each (curves B x P x 2, widths B x P)."""

    generations: tuple[tuple[Points, Points], ...]

    @property
    def trunks(self) -> tuple[Points, Points]:
        return self.generations[-1]


def _bezier(control: Points, points: int) -> Points:
    t = np.linspace(0, 1, points)
    weights = np.stack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
    curves: Points = np.einsum("kp,bkd->bpd", weights, control)
    return curves


def _meander(curves: Points, amplitude: float, rng: np.random.Generator) -> Points:
    """Push curves sideways by smooth waves that grow from the start and are in proportion to the length."""
    count, points, _ = curves.shape
    t = np.linspace(0, 1, points)
    chord = curves[:, -1] - curves[:, 0]
    frequency = rng.uniform(0.6, 1.6, (count, 4, 1)) * np.array([1.0, 2.2, 4.0, 7.0])[None, :, None]
    phase = rng.uniform(0, 2 * np.pi, (count, 4, 1))
    height = rng.normal(0, amplitude, (count, 4, 1)) / np.array([1.0, 2.0, 4.5, 10.0])[None, :, None]
    waves = (height * (np.sin(2 * np.pi * frequency * t + phase) - np.sin(phase))).sum(axis=1)
    across = np.stack([-chord[:, 1], chord[:, 0]], axis=-1)
    moved: Points = curves + (waves * np.minimum(1.0, 4 * t))[..., None] * across[:, None, :]
    return moved


def _rotate(vectors: Points, angle: Points) -> Points:
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = vectors[..., 0], vectors[..., 1]
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)


def _trunks(
    disc: Points, course: Points, caliber: float, tortuosity: float, rng: np.random.Generator
) -> tuple[Points, Points]:
    upper = np.array(_TRUNKS)
    control = np.concatenate([upper, upper * [1, -1]])
    count = len(control)
    spread = rng.normal(0, [0.06, 0.07], (count, 1, 2))
    control = control * np.repeat(course, len(_TRUNKS), axis=0)[:, None] * (1 + spread) + rng.normal(
        0, 0.02, control.shape
    ) * [[[0.1], [1], [1.6], [2.2]]]
    control = control + disc + rng.normal(0, 0.005, 2)
    curves = _meander(_bezier(control, 40), 0.016 * tortuosity, rng)
    start = caliber * np.tile(_TRUNK_WIDTHS, 2) * rng.uniform(0.8, 1.15, count)
    return curves, start[:, None] * np.linspace(1.0, 0.3, 40)


def _branches(
    parents: tuple[Points, Points],
    counts: Points,
    fovea: Points,
    tortuosity: float,
    rng: np.random.Generator,
    twig: bool,
) -> tuple[Points, Points]:
    """Side branches: those towards the macula end around the avascular zone, the others run on outwards."""
    curves, widths = parents
    owner = np.repeat(np.arange(len(curves)), counts.astype(int))
    order = np.concatenate([np.arange(c) for c in counts.astype(int)])
    step = curves.shape[1]
    along = (order + rng.uniform(0.2, 0.9, len(owner))) / counts[owner]
    index = np.clip((0.12 + 0.8 * along) * (step - 1), 1, step - 2).astype(int)
    origin = curves[owner, index]
    tangent = curves[owner, index + 1] - curves[owner, index - 1]
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-12
    side = np.where((order + rng.integers(0, 2, len(curves))[owner]) % 2 == 0, 1.0, -1.0)
    heading = _rotate(tangent, side * rng.uniform(0.45, 1.0, len(owner)))
    length = rng.uniform(0.05, 0.15, len(owner)) if twig else rng.uniform(0.18, 0.42, len(owner))
    final = _rotate(heading, -side * rng.uniform(-0.2, 0.7, len(owner)))
    end = origin + length[:, None] * (0.4 * heading + 0.6 * final)
    if not twig:  # a branch that sets out towards the macula bends around it
        towards = fovea - origin
        distance = np.linalg.norm(towards, axis=1)
        inward = ((heading * towards).sum(axis=1) > 0.45 * distance) & (distance < 0.5)
        ring = _rotate(-towards / (distance[:, None] + 1e-12), rng.normal(0.0, 0.7, len(owner)))
        goal = fovea + ring * rng.uniform(0.06, 0.15, len(owner))[:, None]
        end = np.where(inward[:, None], goal, end)
        length = np.linalg.norm(end - origin, axis=1)
    control = np.stack([origin, origin + heading * length[:, None] * 0.35, (origin + 2 * end) / 3, end], axis=1)
    control[:, 2] += rng.normal(0, 0.10, (len(owner), 2)) * length[:, None]
    points = 12 if twig else 22
    grown = _meander(_bezier(control, points), 0.02 * tortuosity, rng)
    start = widths[owner, index] * rng.uniform(0.38, 0.72, len(owner))
    return grown, start[:, None] * np.linspace(1.0, 0.4, points)


def _thin_out(generation: tuple[Points, Points], fovea: Points) -> tuple[Points, Points]:
    curves, widths = generation
    low, high = _AVASCULAR_ZONE
    t = np.clip((np.linalg.norm(curves - fovea, axis=2) - low) / (high - low), 0, 1)
    return curves, widths * t


def grow(
    disc: Points, fovea: Points, course: Points, caliber: float, tortuosity: float, rng: np.random.Generator
) -> Vessels:
    """Arteries or veins of one eye.

    `course` (2 x 2) scales (x, y) of the upper and the lower trunks, so that arteries and veins run together;
    `caliber` is the width of the arcade at the disc, in image sides.
    """
    trunks = _trunks(disc, course, caliber, tortuosity, rng)
    counts = np.tile(np.array(_TRUNK_BRANCHES), 2)
    branches = _branches(trunks, counts, fovea, tortuosity, rng, twig=False)
    twigs = _branches(branches, np.full(len(branches[0]), 2), fovea, tortuosity, rng, twig=True)
    return Vessels(tuple(_thin_out(generation, fovea) for generation in (twigs, branches, trunks)))
