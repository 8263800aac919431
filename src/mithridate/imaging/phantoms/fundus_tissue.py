"""Reflectance of the healthy retina: pigment, choroid, macula, harmless deposits, optic disc, and blood in its vessels.

All pictures here are planar, 3 x size x size (red, green, blue), in units of reflected light before illumination.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from mithridate.imaging.phantoms.fundus_anatomy import Eye, Person
from mithridate.imaging.phantoms.fundus_camera import View
from mithridate.imaging.phantoms.fundus_canvas import Canvas, Points, blobs, field, rgb
from mithridate.imaging.phantoms.texture import Array, smoothstep

# Optical densities per unit coverage: blood absorbs green and blue far more than red, venous blood more than arterial.
_VEIN = rgb(0.27, 0.82, 0.60)
_ARTERY = rgb(0.05, 0.58, 0.48)
_VESSEL_REFLEX = np.float32(0.16)
_XANTHOPHYLL = rgb(0.55, 0.95, 0.90)
_MELANIN = rgb(0.80, 0.82, 0.45)
# Bright parts are the retina's own color raised to a power below 1: whiter, and still in tune with the pigmentation.
_DISC_RIM = rgb(0.13, 0.40, 0.52)
_DISC_CUP = rgb(0.05, 0.17, 0.32)
_ATROPHY = rgb(0.50, 0.50, 0.50)
_DRUSEN = rgb(0.52, 0.58, 0.74)
_SHEEN = rgb(0.75, 0.62, 0.60)
_LATTICE = 128  # samples a side of textures that are looked up in retinal coordinates
_FAINTEST_VESSEL = 0.14


def healthy(size: int, person: Person, eye: Eye, view: View) -> Array:
    """Reflectance of this eye without any disease, seen from `view`."""
    u, v = view.retina_grid(size)
    base = base_color(person)
    layers = np.random.default_rng(eye.texture_seed).integers(2**63, size=3)
    pigment, choroid, sheen = (np.random.default_rng(int(seed)) for seed in layers)
    from_fovea = np.hypot(u - np.float32(eye.fovea[0]), v - np.float32(eye.fovea[1]))
    retina = base * _pigment(size, view, pigment) * _choroid(person, eye, u, v, from_fovea, choroid)
    retina = retina * np.exp(-_XANTHOPHYLL * _macula(eye, from_fovea))
    retina = _sheen(retina, base, person, u, v, from_fovea, sheen)
    retina = _clutter(retina, size, person, eye, view)
    return _perfuse(_optic_disc(retina, base, person, eye, u, v), size, eye, view)


def base_color(person: Person) -> Array:
    """Mean color of a person's retina as 3 x 1 x 1."""
    return rgb(*person.color.tolist())


def toward(picture: Array, color: Array, cover: Array) -> Array:
    """Mix `color` into a picture where `cover` (0 .. 1) says so."""
    mixed: Array = picture + cover * (color - picture)
    return mixed


def _pigment(size: int, view: View, rng: np.random.Generator) -> Array:
    """Mottling and slow shading of the pigment layer, relative to 1."""
    shift = (float(view.center[0]), float(view.center[1]))
    mottle = np.float32(rng.uniform(0.012, 0.035)) * field(size, rng, 1.2, 128, 3.0, shift)
    shade = np.float32(rng.uniform(0.02, 0.07)) * field(size, rng, 2.0, 16, 1.0, shift)
    tint = np.float32(rng.uniform(0.02, 0.07)) * field(size, rng, 1.7, 16, 1.0, shift)  # more or less orange
    relative: Array = np.exp(np.stack([0.6 * (mottle + shade), mottle + shade + tint, mottle + shade + 1.6 * tint]))
    return relative


def _look_up(texture: Array, row: Array, column: Array) -> Array:
    places = np.stack([row, column]) * np.float32(_LATTICE)
    return np.asarray(map_coordinates(texture, places, order=1, mode="grid-wrap"), dtype=np.float32)


def _choroid(person: Person, eye: Eye, u: Array, v: Array, from_fovea: Array, rng: np.random.Generator) -> Array:
    """Choroidal vessels that shine through where pigment is thin: a mesh stretched away from the posterior pole."""
    mesh, where = field(_LATTICE, rng, 1.8, 64, 12.0), field(_LATTICE, rng, 1.5, 16, 1.0)
    pole = 0.5 * (eye.disc + eye.fovea) + rng.normal(0, 0.1, 2)
    du, dv = u - np.float32(pole[0]), v - np.float32(pole[1])
    half_turns = np.arctan2(dv, du) * np.float32(1 / np.pi)  # whole periods of the mesh, so that it closes
    ridge = np.exp(-((_look_up(mesh, half_turns, np.float32(0.55) * np.hypot(du, dv)) / np.float32(0.75)) ** 2))
    region = smoothstep(-0.8, 1.2, _look_up(where, v, u)) * smoothstep(0.08, 0.3, from_fovea)
    shine = np.float32(0.30 * person.tessellation) * region * (ridge - np.float32(0.4))
    relative: Array = np.exp(shine * rgb(1.0, 0.6, 0.2))
    return relative


def _macula(eye: Eye, from_fovea: Array) -> Array:
    """Density of the yellow pigment: a wide bell with a narrow one on the fovea."""
    broad, deep, wide, narrow = (np.float32(value) for value in eye.macula)
    density: Array = broad * np.exp(-0.5 * (from_fovea / wide) ** 2) + deep * np.exp(-0.5 * (from_fovea / narrow) ** 2)
    return density


def _sheen(
    retina: Array, base: Array, person: Person, u: Array, v: Array, from_fovea: Array, rng: np.random.Generator
) -> Array:
    """Patchy pale reflex of the inner limiting membrane along the arcades of young eyes."""
    strength = np.float32(rng.uniform(0.1, 0.5) * max(0.0, 2.0 * person.youth - 1.0))
    if strength == 0 or rng.uniform() < 0.5:
        return retina
    patches = field(_LATTICE, rng, 1.3, 64, 3.0)
    band = smoothstep(0.16, 0.28, from_fovea) * smoothstep(0.50, 0.36, from_fovea)
    return toward(retina, base**_SHEEN, strength * band * smoothstep(0.3, 1.6, _look_up(patches, v, u)))


def _clutter(retina: Array, size: int, person: Person, eye: Eye, view: View) -> Array:
    """Spots that are no retinopathy: drusen, more often in the old, and clumps of pigment."""
    rng = np.random.default_rng(eye.clutter_seed)
    has_drusen, has_pigment = rng.uniform(size=2) < [0.5 - 0.35 * person.youth, 0.3]
    count, few = 60, 12
    hearts = eye.fovea + rng.normal(0, 0.16, (2, 2))
    centers = hearts[rng.integers(0, 2, count)] + rng.normal(0, rng.uniform(0.03, 0.14), (count, 2))
    drusen = blobs(centers, np.exp(rng.normal(-5.25, 0.4, count)), rng, 0.08, 10)
    opacity = rng.uniform(0.2, 0.85, count) * (np.arange(count) < rng.integers(3, count))
    clumps = blobs(eye.fovea + rng.normal(0, 0.25, (few, 2)), np.exp(rng.normal(-5.0, 0.35, few)), rng, 0.15, 10)
    faint = rng.uniform(0.2, 0.75, few) * (np.arange(few) < rng.integers(1, few))
    if has_drusen:
        retina = toward(retina, base_color(person) ** _DRUSEN, _soft_spots(size, view.to_image(drusen), opacity))
    if has_pigment:
        retina = retina * np.exp(-_MELANIN * _soft_spots(size, view.to_image(clumps), faint))
    return retina


def _soft_spots(size: int, outlines: Points, opacity: Points) -> Array:
    canvas = Canvas(size)
    canvas.polygons(outlines, opacity)
    return np.asarray(gaussian_filter(canvas.mask(), 0.0023 * size), dtype=np.float32)


def _optic_disc(retina: Array, base: Array, person: Person, eye: Eye, u: Array, v: Array) -> Array:
    cos, sin = np.float32(np.cos(eye.disc_tilt)), np.float32(np.sin(eye.disc_tilt))
    du, dv = u - np.float32(eye.disc[0]), v - np.float32(eye.disc[1])
    a = np.asarray((cos * du + sin * dv) / eye.disc_radii[0], dtype=np.float32)
    b = np.asarray((cos * dv - sin * du) / eye.disc_radii[1], dtype=np.float32)
    rho = np.asarray(np.hypot(a, b), dtype=np.float32)
    # the nerve fibre layer is thickest above and below the disc, and shows most in the young
    halo: Array = np.exp(-0.5 * (np.maximum(rho - 0.9, 0) / 0.9) ** 2) * (0.4 + 0.6 * b * b / (rho * rho + 0.05))
    glow = np.exp(-0.5 * (rho / 2.8) ** 2)
    lift = np.float32(0.10 + 0.25 * person.youth) * halo + np.float32(eye.glow) * glow
    retina = retina * (1 + lift * rgb(0.5, 1.0, 0.9))
    if eye.crescent:  # atrophy or pigment beside the disc, on the temporal side
        beside = smoothstep(1.25, 1.08, np.hypot(a - np.float32(0.22), b)) * np.float32(0.65 * abs(eye.crescent))
        retina = toward(retina, base**_ATROPHY if eye.crescent > 0 else np.float32(0.5) * base, beside)
    offset_x, offset_y, radius = (np.float32(value) for value in eye.cup)
    from_cup = np.hypot(a - offset_x, b - offset_y) / radius
    cup = smoothstep(1.5, 0.4, from_cup.astype(np.float32))
    shade = np.float32(0.92) - np.float32(0.10) * smoothstep(-0.2, -1.0, a)  # the nasal rim is the darker one
    return toward(retina, toward(base**_DISC_RIM * shade, base**_DISC_CUP, cup), smoothstep(1.12, 0.86, rho))


def _perfuse(retina: Array, size: int, eye: Eye, view: View) -> Array:
    """Absorption by arteries and veins, with the light streak along the larger ones."""
    veins, arteries, reflex = Canvas(size), Canvas(size), Canvas(size)
    for canvas, vessels in ((veins, eye.veins), (arteries, eye.arteries)):
        thickest = vessels.trunks[1].mean(axis=1).max()
        for curves, widths in vessels.generations:
            thickness = widths.mean(axis=1) / thickest  # light crosses more blood in a wider vessel
            opacity = np.clip(thickness**0.8, _FAINTEST_VESSEL, 1.0)
            canvas.ribbons(view.to_image(curves), widths * view.scale, opacity)
    for vessels, streak in ((eye.arteries, 1.0), (eye.veins, 0.5)):
        curves, widths = vessels.trunks
        reflex.ribbons(view.to_image(curves), 0.3 * widths * view.scale, streak)
    red = arteries.mask()
    density = _VEIN * (veins.mask() * (1 - 0.7 * red)) + _ARTERY * red - _VESSEL_REFLEX * reflex.mask()
    perfused: Array = retina * np.exp(-density)
    return perfused
