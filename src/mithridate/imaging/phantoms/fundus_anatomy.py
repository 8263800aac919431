"""What all photographs of one person share: pigmentation, age, and for each eye the disc, macula, and vessels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mithridate.imaging.phantoms.fundus_canvas import Points
from mithridate.imaging.phantoms.fundus_vessels import Vessels, grow


@dataclass(frozen=True)
class Person:
    """Traits that both eyes share."""

    color: Points  # mean color of the retina (red, green, blue) in (0, 1)
    youth: float  # 0 old .. 1 young: sheen of the nerve fibre layer against drusen
    tessellation: float  # 0 .. 1: how much of the choroidal vessels shines through
    tortuosity: float
    caliber: float  # width of a main vein at the disc, image sides


@dataclass(frozen=True)
class Eye:
    """Geometry of one eye in retinal coordinates (see `fundus_vessels`); the random streams of its finer parts."""

    disc: Points
    disc_radii: Points
    disc_tilt: float
    cup: Points  # offset (x, y) and radius, in disc radii
    glow: float  # how much paler the retina is around the disc
    crescent: float  # -1 .. 1: depth of the atrophy beside the disc, negative for dark pigment, 0 for none
    fovea: Points
    macula: Points  # darkness of the macula, of the fovea, their radii
    arteries: Vessels
    veins: Vessels
    texture_seed: int
    clutter_seed: int
    disease_seed: int


def draw_person(rng: np.random.Generator) -> Person:
    """Traits of one person; colors follow the spread seen in photographs from several cameras."""
    shared = rng.normal()
    red = -0.59 + 0.12 * rng.normal()
    green = -0.84 + 0.07 * shared + 0.07 * rng.normal() + 0.35 * (red + 0.59)
    blue = -1.60 + 0.38 * shared + 0.26 * rng.normal()
    return Person(
        color=np.exp(np.cumsum([red, green, blue])),
        youth=float(rng.uniform()),
        tessellation=float(rng.beta(1.0, 2.2)),
        tortuosity=float(np.exp(rng.normal(0.0, 0.35))),
        caliber=float(rng.uniform(0.0125, 0.0165)),
    )


def draw_eye(person: Person, rng: np.random.Generator) -> Eye:
    """One eye of a person."""
    texture_seed, clutter_seed, disease_seed = (int(seed) for seed in rng.integers(2**63, size=3))
    disc = np.array([-0.325, -0.01]) + rng.normal(0, [0.015, 0.012])
    fovea = disc + np.array([0.425, 0.04]) + rng.normal(0, [0.012, 0.014])
    radius = rng.uniform(0.074, 0.096)
    depth = float(rng.choice([0.0, 1.0, -1.0], p=[0.6, 0.25, 0.15]))
    caliber = person.caliber
    course = np.exp(rng.normal(0, [0.16, 0.13], (2, 2)))
    return Eye(
        disc=disc,
        disc_radii=radius * np.array([rng.uniform(0.88, 0.98), 1.04]),
        disc_tilt=float(rng.normal(0, 0.15)),
        cup=np.array([rng.normal(0.1, 0.06), rng.normal(0, 0.06), rng.uniform(0.3, 0.66)]),
        glow=float(rng.uniform(0.0, 0.30)),
        crescent=depth * float(rng.uniform(0.25, 0.65 if depth < 0 else 1.0)),
        fovea=fovea,
        macula=np.array(
            [rng.uniform(0.1, 0.38), rng.uniform(0.1, 0.45), rng.uniform(0.09, 0.13), rng.uniform(0.025, 0.04)]
        ),
        arteries=grow(disc, fovea, course, 0.68 * caliber, person.tortuosity, rng),
        veins=grow(disc, fovea, course, caliber, person.tortuosity, rng),
        texture_seed=texture_seed,
        clutter_seed=clutter_seed,
        disease_seed=disease_seed,
    )
