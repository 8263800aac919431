"""Where things lie in the chest phantom: the patient, the view, and the outlines that both decide.

Body coordinates (u, v) have the image side as unit at scale 1: u runs from the midline, negative towards the patient's
right (the left of the image), v runs downwards with 0.5 in the middle of a centered film.  Everything is planned in
body coordinates; a `chest_film.Frame` carries it to pixels, so positioning errors move all structures together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mithridate.imaging.phantoms.chest_film import Frame, Points, curve

RIGHT, LEFT = -1, 1  # the patient's sides, as the sign of u
SIDES = (RIGHT, LEFT)


@dataclass(frozen=True)
class Anatomy:
    """What all films of one patient share; lengths in image sides."""

    cage: float  # half width of the thoracic cage
    top: float  # v of the lung apices
    height: float  # apex to costophrenic angle at full inspiration
    dome: float  # rise of the diaphragm above the costophrenic angle
    fat: float  # 0 lean to 1 obese
    breast: float  # 0 none to 1 large
    heart: float  # width factor of the cardiac silhouette
    aorta: float  # 0 small to 1 unfolded
    spine_bend: float  # lateral deviation of the mid-thoracic spine
    rib_width: float
    rib_density: float
    rib_drop: float  # how steeply ribs fall towards the side
    vessels: float  # strength of the vascular markings
    emphysema: tuple[float, float]  # extra lucency of the right and left upper zone
    seed: int  # for everything drawn in quantity: rib jitter, vessel trees


@dataclass(frozen=True)
class View:
    """What changes from film to film: positioning, breathing, arms, and the exposure chain."""

    center: tuple[float, float]
    scale: float
    angle: float  # radians, of the body in the film plane
    yaw: float  # rotation about the long axis: moves front structures sideways and darkens one lung
    breath: float  # how far inspiration falls short; 0 is full
    supine: bool  # antero-posterior bedside film: larger heart, scapulae over the lungs, wider mediastinum
    arms: float  # 0 along the body to 1 well away
    protraction: float  # how far the scapulae are turned off the lungs


def draw_anatomy(rng: np.random.Generator) -> Anatomy:
    """One patient."""
    uniform = rng.uniform
    return Anatomy(
        cage=uniform(0.305, 0.375),
        top=uniform(0.10, 0.15),
        height=uniform(0.58, 0.71),
        dome=uniform(0.085, 0.135),
        fat=float(rng.beta(1.6, 2.4)),
        breast=uniform(0.35, 1.0) if rng.random() < 0.45 else 0.0,
        heart=uniform(0.82, 1.28),
        aorta=float(rng.beta(1.5, 2.0)),
        spine_bend=float(rng.normal(0.0, 0.006)),
        rib_width=uniform(0.017, 0.024),
        rib_density=uniform(0.65, 1.3),
        rib_drop=uniform(0.05, 0.095),
        vessels=uniform(0.7, 1.4),
        emphysema=(float(rng.beta(1.0, 3.0)), float(rng.beta(1.0, 3.0))),
        seed=int(rng.integers(2**32)),
    )


def draw_view(rng: np.random.Generator) -> View:
    """One exposure's positioning."""
    uniform = rng.uniform
    supine = bool(rng.random() < 0.4)
    return View(
        center=(0.5 + float(rng.normal(0.0, 0.025)), 0.5 + float(rng.normal(0.0, 0.03))),
        scale=uniform(1.0, 1.25),
        angle=float(rng.normal(0.0, 0.035)),
        yaw=float(rng.normal(0.0, 0.55)),
        breath=uniform(0.0, 0.14) if supine else uniform(0.0, 0.06),
        supine=supine,
        arms=uniform(0.0, 1.0),
        protraction=uniform(-0.05, 0.03) if supine else uniform(-0.01, 0.06),
    )


@dataclass(frozen=True)
class Lung:
    """Outline of one lung as a film shows it."""

    side: int
    wall: Points  # from the medial apex over the apex and down the side to the costophrenic angle
    floor: Points  # from the costophrenic angle over the dome of the diaphragm to the heart
    hilum: tuple[float, float]

    @property
    def polygon(self) -> Points:
        behind = np.array([(0.012 * self.side, self.floor[-1, 1]), (0.012 * self.side, self.wall[0, 1] + 0.07)])
        return np.vstack([self.wall, self.floor, behind])  # air reaches the midline, where the mediastinum displaces it

    def half_width(self, v: NDArray[np.float64]) -> NDArray[np.float64]:
        """|u| of the chest wall at height v."""
        lateral = self.wall[np.argmin(self.wall[:, 1]) :]
        return np.interp(v, lateral[:, 1], np.abs(lateral[:, 0]))


_WALL = np.array(
    [
        *((0.17, 0.16), (0.2, 0.07), (0.29, 0.012), (0.4, 0.0), (0.52, 0.03), (0.66, 0.11)),
        *((0.79, 0.24), (0.89, 0.42), (0.96, 0.62), (0.995, 0.8), (1.0, 0.91), (0.975, 1.0)),
    ]
)
_FLOOR = np.array([(0.975, 0.0), (0.93, 0.33), (0.8, 0.76), (0.62, 1.0), (0.42, 0.95), (0.24, 0.7), (0.1, 0.55)])


def draw_lungs(anatomy: Anatomy, view: View) -> tuple[Lung, Lung]:
    """The right and the left lung."""
    rng = np.random.default_rng([anatomy.seed, 1])
    made = []
    for side in SIDES:
        height = anatomy.height - view.breath + (0.0 if side == RIGHT else rng.uniform(0.0, 0.03))
        width = anatomy.cage * (1.0 + 0.03 * view.yaw * side) * rng.uniform(0.97, 1.03)
        dome = anatomy.dome * rng.uniform(0.85, 1.15) * (1.0 + 1.5 * view.breath)
        wall = _WALL * [width, height] + [0.0, anatomy.top + rng.normal(0.0, 0.004)]
        wall[:, 0] += rng.normal(0.0, 0.004, len(wall))
        floor = _FLOOR * [width, -dome] + [0.0, wall[-1, 1]]
        floor[0] = wall[-1]
        mirror = np.array([side, 1.0])
        hilum = (side * (0.075 + 0.012 * view.yaw * side), anatomy.top + 0.46 * height)
        made.append(Lung(side, curve(wall, 56) * mirror, curve(floor, 28) * mirror, hilum))
    return made[0], made[1]


@dataclass(frozen=True)
class Scene:
    """One patient on one film: what every drawing function starts from."""

    anatomy: Anatomy
    view: View
    frame: Frame
    lungs: tuple[Lung, Lung]  # the right, the left

    @property
    def base(self) -> float:
        """v of the right costophrenic angle."""
        return float(self.lungs[0].floor[0, 1])


def compose(size: int, anatomy: Anatomy, view: View) -> Scene:
    """Lay the patient on a film of `size` pixels."""
    return Scene(anatomy, view, Frame(size, view.center, view.scale, view.angle), draw_lungs(anatomy, view))
