"""Fundus phantom: a color photograph of the posterior pole, healthy or with diabetic retinopathy.

The picture is built as light meets it: a colored choroid and pigment layer, the optic disc, blood as an absorber
(vessels, haemorrhages), deposits as scatterers (drusen, exudates, cotton wool), then illumination, reflexes, focus,
exposure and noise of the camera.  Nothing is taken from a photograph.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from mithridate.imaging.phantoms.fundus_anatomy import Eye, Person, draw_eye, draw_person
from mithridate.imaging.phantoms.fundus_camera import View, draw_view, dust, expose, grain, illumination, veil
from mithridate.imaging.phantoms.fundus_canvas import Canvas, rgb
from mithridate.imaging.phantoms.fundus_lesions import Kind, Lesions, draw_lesions
from mithridate.imaging.phantoms.fundus_tissue import base_color, healthy, toward
from mithridate.imaging.phantoms.texture import Array

MINIMUM_SIZE = 16

_BLOOD = rgb(0.36, 1.15, 0.80)  # optical density of a haemorrhage
_EXUDATE = rgb(0.14, 0.16, 0.45)  # powers of the retina's color, as in `fundus_tissue`
_COTTON_WOOL = rgb(0.35, 0.30, 0.30)
_BLOOD_EDGE, _COTTON_WOOL_EDGE = 0.0012, 0.006  # softness of the outline, image sides
_NEW_VESSEL_WIDTH = 0.0032  # image sides at unit magnification


@dataclass(frozen=True)
class Scene:
    """Whose eye is photographed, from where, and the seeds of the light, the dust and the noise of this shot."""

    person: Person
    eye: Eye
    view: View
    shot_seeds: tuple[int, int, int]


def draw_scene(patient: np.random.Generator, image: np.random.Generator) -> Scene:
    """What `render` shows, before any pixel is made; takes from the generators exactly what `render` takes."""
    traits, left_eye, right_eye = (int(seed) for seed in patient.integers(2**63, size=3))
    view_seed, light_seed, dust_seed, noise_seed = (int(seed) for seed in image.integers(2**63, size=4))
    person = draw_person(np.random.default_rng(traits))
    view_rng = np.random.default_rng(view_seed)
    left = bool(view_rng.uniform() < 0.5)
    eye = draw_eye(person, np.random.default_rng(left_eye if left else right_eye))
    return Scene(person, eye, draw_view(left, view_rng), (light_seed, dust_seed, noise_seed))


def render(size: int, severity: float, patient: np.random.Generator, image: np.random.Generator) -> NDArray[np.float32]:
    """One photograph, size x size x 3 (red, green, blue), float32 in [0, 1].

    `patient` draws what all photographs of a person share (both eyes, their lesions), `image` which eye is taken and
    how.  `severity` in [0, 1] only opens lesions: 0 is a healthy eye, signs begin at about 0.3, and from 0.5 on the
    retinopathy is referable.  Generators in the same state give the same anatomy at every severity and every size;
    since drawing moves them on, make new ones from the same seeds for another picture of the same patient.

    Raises ValueError for a severity outside [0, 1] or a size below 16.
    """
    if not 0.0 <= severity <= 1.0:
        raise ValueError(f"severity must lie in [0, 1], got {severity}")
    if size < MINIMUM_SIZE:
        raise ValueError(f"size must be at least {MINIMUM_SIZE} pixels, got {size}")
    scene = draw_scene(patient, image)
    light_rng, dust_rng, noise_rng = (np.random.default_rng(seed) for seed in scene.shot_seeds)
    retina = healthy(size, scene.person, scene.eye, scene.view)
    retina = _add_lesions(retina, scene, draw_lesions(scene.eye), severity)
    distance = scene.view.field_distance(size)
    lit = retina * illumination(size, distance, light_rng) + veil(size, distance, light_rng)
    lit = lit * (1 - dust(size, dust_rng))
    photograph = grain(expose(lit, light_rng), noise_rng) * scene.view.aperture(size, distance)
    return np.ascontiguousarray(np.clip(photograph, 0.0, 1.0).transpose(1, 2, 0), dtype=np.float32)


def _add_lesions(retina: Array, scene: Scene, carried: tuple[Lesions, ...], severity: float) -> Array:
    """The retina (3 x size x size) with the lesions that are open at this severity."""
    size = retina.shape[-1]
    masks = {
        lesions.kind: _lesion_mask(size, lesions, scene.view, severity)
        for lesions in carried
        if (lesions.onset < severity).any()
    }
    base = base_color(scene.person)
    wool, exudates = masks.pop(Kind.COTTON_WOOL, None), masks.pop(Kind.EXUDATE, None)
    if masks:  # what remains is blood; where kinds overlap, the denser one counts
        blood = gaussian_filter(np.maximum.reduce(list(masks.values())), _BLOOD_EDGE * size)
        retina = retina * np.exp(-_BLOOD * blood)
    if wool is not None:
        retina = toward(retina, base**_COTTON_WOOL, gaussian_filter(wool, _COTTON_WOOL_EDGE * size))
    if exudates is not None:
        retina = toward(retina, base**_EXUDATE, exudates)
    return retina


def _lesion_mask(size: int, lesions: Lesions, view: View, severity: float) -> Array:
    """Coverage (size x size) of one kind of lesion; it nowhere falls as severity rises."""
    opacity = lesions.opacity(severity)
    order = np.argsort(opacity, kind="stable")
    order = order[opacity[order] > 0]
    outlines = view.to_image(lesions.outlines[order])
    canvas = Canvas(size)
    if lesions.kind is Kind.NEW_VESSEL:
        canvas.ribbons(outlines, np.full(outlines.shape[:2], _NEW_VESSEL_WIDTH * view.scale), opacity[order])
    else:
        canvas.polygons(outlines, opacity[order])
    return canvas.mask()
