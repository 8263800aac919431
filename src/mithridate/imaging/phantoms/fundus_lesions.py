"""Diabetic retinopathy by dose: every eye carries a full set of lesions, each with the severity at which it appears.

The set is drawn without looking at the severity; severity only opens and grows lesions.  That makes it a dose axis: a
higher severity shows everything a lower one shows, and nothing outside the lesions moves.  The order follows the
international classification: microaneurysms, then haemorrhages and hard exudates (referable from severity 0.5), then
cotton-wool spots, and at the severe end new vessels and bleeding in front of the retina (Wilkinson et al. 2003,
Ophthalmology 110:1677).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from mithridate.imaging.phantoms.fundus_anatomy import Eye
from mithridate.imaging.phantoms.fundus_canvas import Points, blobs

_FADE_IN = 0.07  # severity over which one lesion goes from first trace to full strength
_MACULAR_RANGE = (0.05, 0.30)  # distance of the sign that makes a case referable from the fovea, so that it is in view


class Kind(Enum):
    """Signs of diabetic retinopathy, in the order in which they usually appear."""

    MICROANEURYSM = 0
    HEMORRHAGE = 1
    EXUDATE = 2
    FLAME = 3
    COTTON_WOOL = 4
    NEW_VESSEL = 5
    PRERETINAL = 6


@dataclass(frozen=True)
class Lesions:
    """Lesions of one kind that share a shape: outlines B x P x 2 (or curves, for new vessels) and their onsets B."""

    kind: Kind
    outlines: Points
    onset: Points
    strength: Points  # opacity of the fully grown lesion, 0 .. 1

    def opacity(self, severity: float) -> Points:
        """Opacity at a severity: 0 below the onset, `strength` once grown."""
        return self.strength * np.clip((severity - self.onset) / _FADE_IN, 0.0, 1.0)


def _posterior_pole(eye: Eye, count: int, spread: float, rng: np.random.Generator) -> Points:
    """Places around the fovea, a little towards the disc, where most of the picture lies, but not on it."""
    places = eye.fovea + rng.normal(0, spread, (count, 2)) * [1.0, 0.9] - [0.03, 0.0]
    away = places - eye.disc
    distance = np.linalg.norm(away, axis=1, keepdims=True)
    kept: Points = np.where(distance < 0.13, eye.disc + away / (distance + 1e-9) * 0.14, places)
    return kept


def _ring_around_fovea(eye: Eye, count: int, rng: np.random.Generator) -> Points:
    angle = rng.uniform(-2.2, 2.2, count)  # leaves out the side of the disc
    radius = rng.uniform(*_MACULAR_RANGE, count)
    places: Points = eye.fovea + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return places


def _onsets(first: float, steepness: float, count: int, rng: np.random.Generator) -> Points:
    """Onsets between `first` and 1; with a steepness below 1 most come late, so the count accelerates."""
    return first + (1.0 - first) * rng.uniform(size=count) ** steepness


def _microaneurysms(eye: Eye, load: float, rng: np.random.Generator) -> Lesions:
    count = 36
    centers = _posterior_pole(eye, count, 0.17, rng)
    radii = rng.uniform(0.0038, 0.0065, count)
    onset = _onsets(0.30, 0.62 - 0.25 * load, count, rng)
    return Lesions(Kind.MICROANEURYSM, blobs(centers, radii, rng, 0.06, 8), onset, rng.uniform(0.45, 0.9, count))


def _hemorrhages(eye: Eye, load: float, rng: np.random.Generator) -> Lesions:
    count = 30
    centers = _posterior_pole(eye, count, 0.20, rng)
    centers[:4] = _ring_around_fovea(eye, 4, rng)
    radii = np.exp(rng.normal(-4.65, 0.42, count))
    onset = _onsets(0.46, 0.75 - 0.3 * load, count, rng)
    onset[:4] = rng.uniform(0.46, 0.59, 4) + (1 - load) * np.array([0.0, 0.02, 0.12, 0.2])
    outlines = blobs(centers, radii, rng, 0.2, 12)
    return Lesions(Kind.HEMORRHAGE, outlines, onset, rng.uniform(0.4, 0.95, count))


def _flames(eye: Eye, load: float, rng: np.random.Generator) -> Lesions:
    """Splinters lying along the nerve fibres, which leave the disc radially: bundles of thin spindles."""
    bundles, each = 7, 6
    centers = eye.disc + _fan(bundles, 0.16, 0.42, rng)
    onset = np.repeat(_onsets(0.55, 0.9 - 0.35 * load, bundles, rng), each)
    along = centers - eye.disc
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    along, center = np.repeat(along, each, axis=0), np.repeat(centers, each, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], axis=-1)
    count = bundles * each
    length = np.repeat(rng.uniform(0.010, 0.026, bundles), each) * rng.uniform(0.5, 1.1, count)
    center = center + across * rng.normal(0, 0.0055, (count, 1)) + along * rng.normal(0, 0.006, (count, 1))
    t = np.linspace(-1, 1, 7)
    spine = center[:, None] + along[:, None] * (t[:, None] * length[:, None, None])
    half = 0.0035 * (1 - t**2)[None, :, None] * across[:, None]
    outlines = np.concatenate([spine + half, (spine - half)[:, ::-1]], axis=1)
    return Lesions(Kind.FLAME, outlines, onset, rng.uniform(0.5, 0.9, count))


def _fan(count: int, near: float, far: float, rng: np.random.Generator) -> Points:
    """Offsets from the disc, mostly above and below, where the nerve fibre layer is thick."""
    angle = rng.choice([-1.0, 1.0], count) * rng.uniform(0.35, 1.9, count)
    radius = rng.uniform(near, far, count)
    offsets: Points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return offsets


def _exudates(eye: Eye, load: float, rng: np.random.Generator) -> Lesions:
    """Clusters of waxy dots; some clusters lie on a ring around leaking vessels (circinate)."""
    clusters, each = 6, 34
    heart = _posterior_pole(eye, clusters, 0.19, rng)
    heart[:2] = _ring_around_fovea(eye, 2, rng)
    opening = _onsets(0.48, 0.8 - 0.3 * load, clusters, rng)
    opening[0] = rng.uniform(0.45, 0.57) + 0.16 * (1 - load)
    size = rng.uniform(0.018, 0.055, clusters)
    circinate = rng.uniform(size=clusters) < 0.35
    angle = rng.uniform(0, 2 * np.pi, (clusters, each))
    filled = np.abs(rng.normal(0, 0.7, (clusters, each)))
    ringed = rng.normal(1.0, 0.12, (clusters, each)) * np.where(angle < 4.6, 1.0, 0.5)
    radius = size[:, None] * np.where(circinate[:, None], ringed, filled)
    squeeze = rng.uniform(0.55, 1.0, (clusters, 1))
    tilt = rng.uniform(0, np.pi, (clusters, 1))
    x, y = radius * np.cos(angle), radius * np.sin(angle) * squeeze
    offset = np.stack([np.cos(tilt) * x - np.sin(tilt) * y, np.sin(tilt) * x + np.cos(tilt) * y], axis=-1)
    centers = (heart[:, None] + offset).reshape(-1, 2)
    radii = np.exp(rng.normal(-5.48, 0.42, clusters * each))
    onset = (opening[:, None] + 0.45 * rng.uniform(size=(clusters, each)) ** 1.2).ravel()
    onset.reshape(clusters, each)[:, :3] = opening[:, None]
    strength = np.repeat(rng.uniform(0.55, 1.0, clusters), each) * rng.uniform(0.6, 1.0, clusters * each)
    return Lesions(Kind.EXUDATE, blobs(centers, radii, rng, 0.22, 9), onset, strength)


def _cotton_wool(eye: Eye, load: float, rng: np.random.Generator) -> Lesions:
    count = 4
    centers = eye.disc + _fan(count, 0.15, 0.36, rng)
    radii = rng.uniform(0.010, 0.024, count)
    onset = _onsets(0.62, 1.0 - 0.3 * load, count, rng)
    return Lesions(Kind.COTTON_WOOL, blobs(centers, radii, rng, 0.3, 14), onset, rng.uniform(0.4, 0.85, count))


def _new_vessels(eye: Eye, load: float, rng: np.random.Generator) -> Lesions:
    """A lacy tangle of fine loops on the disc or beside an arcade; outlines are the curves' center lines."""
    count, points = 26, 18
    root = eye.disc + (rng.normal(0, 0.02, 2) if rng.uniform() < 0.5 else _fan(1, 0.2, 0.38, rng)[0])
    start = root + rng.normal(0, 0.012, (count, 2))
    turn = rng.normal(0, 0.30, (count, 1)) + np.cumsum(rng.normal(0, 0.16, (count, points)), axis=1)
    heading = rng.uniform(0, 2 * np.pi, (count, 1)) + np.cumsum(turn, axis=1)
    step = rng.uniform(0.003, 0.0075, (count, 1, 1))
    curves = start[:, None] + np.cumsum(step * np.stack([np.cos(heading), np.sin(heading)], axis=-1), axis=1)
    onset = rng.uniform(0.82, 0.90) + 0.10 * rng.uniform(size=count)
    return Lesions(Kind.NEW_VESSEL, curves, onset, rng.uniform(0.5, 0.95, count))


def _preretinal(eye: Eye, load: float, rng: np.random.Generator) -> Lesions:
    """Blood that settles in front of the retina: level on top, round below."""
    width = rng.uniform(0.035, 0.075)
    below = rng.choice([-1.0, 1.0]) * rng.uniform(0.16, 0.3)
    center = eye.fovea + np.array([rng.uniform(-0.2, 0.12), below])
    angle = np.linspace(0, np.pi, 16)
    boat = np.stack([np.cos(angle), np.sin(angle) * rng.uniform(0.5, 0.9)], axis=-1) * width
    boat += rng.normal(0, 0.0015, boat.shape)
    onset = 0.93 if rng.uniform() < 0.5 * load else 2.0
    return Lesions(Kind.PRERETINAL, (center + boat)[None], np.array([onset]), np.array([0.9]))


_MAKERS = (_microaneurysms, _hemorrhages, _exudates, _flames, _cotton_wool, _new_vessels, _preretinal)


def draw_lesions(eye: Eye) -> tuple[Lesions, ...]:
    """All lesions that this eye would carry at severity 1.

    Eyes differ in what they bleed or leak: each kind has its own load, and at least one of the two kinds that make a
    case referable (haemorrhages, exudates) has a high one.
    """
    rng = np.random.default_rng(eye.disease_seed)
    loads = rng.uniform(size=len(_MAKERS))
    leading = max(Kind.HEMORRHAGE, Kind.EXUDATE, key=lambda kind: float(loads[kind.value]))
    loads[leading.value] = rng.uniform(0.75, 1.0)
    visibility = rng.uniform(0.85, 1.0)  # in some eyes disease is paler than in others
    carried = (make(eye, float(load), rng) for make, load in zip(_MAKERS, loads, strict=True))
    return tuple(replace(lesions, strength=visibility * lesions.strength) for lesions in carried)
