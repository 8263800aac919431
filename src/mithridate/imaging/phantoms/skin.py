"""Dermoscopy phantom: a pigmented lesion on skin, from benign nevus (severity 0) to melanoma (severity 1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mithridate.imaging.phantoms import skin_camera as camera
from mithridate.imaging.phantoms.skin_frames import Frame, view_frame
from mithridate.imaging.phantoms.skin_lesion import Lesion, draw_lesion
from mithridate.imaging.phantoms.skin_paint import color, paint
from mithridate.imaging.phantoms.skin_signs import Signs, draw_signs
from mithridate.imaging.phantoms.skin_surface import Skin, absorbance, draw_skin
from mithridate.imaging.phantoms.texture import noise


def render(size: int, severity: float, patient: np.random.Generator, image: np.random.Generator) -> NDArray[np.float32]:
    """Draw one dermoscopy image.

    Args:
        size: side of the image in pixels, at least 16.
        severity: 0 is a benign nevus, 1 a melanoma with most of its signs in full; a case counts as
            positive from 0.5.
        patient: draws what all images of a lesion share: skin, nevus, and the signs that it would show.
        image: draws what changes from shot to shot: view, hairs in the way, gel, light, focus, noise.

    Returns:
        size x size x 3, RGB in [0, 1].  The same generators give the same bytes; with severity alone changed, only
        the lesion changes.

    Raises:
        ValueError: severity outside [0, 1], or size below 16.
    """
    if not 0.0 <= severity <= 1.0:
        raise ValueError(f"severity must be in [0, 1], not {severity}")
    if size < 16:
        raise ValueError(f"size must be at least 16 pixels, not {size}")
    of_view, of_hairs, of_overlay, of_light, of_sensor = _branches(image, 5)
    case, frame = draw_case(patient), draw_view(size, of_view)
    fine = noise(size, 0.8, of_view)
    absorbed = absorbance(case.skin, frame, fine)
    window, layers = paint(case.lesion, case.signs, severity, frame, fine)
    rgb = np.exp(-absorbed)
    rgb[window] = color(absorbed[window], layers, case.lesion.spectrum)
    hairs = camera.hairs(case.hair, size, of_hairs)[..., None]
    rgb += np.float32(0.85) * hairs * (case.hair.color - rgb)
    rgb = camera.overlay(rgb, of_overlay) * camera.illumination(size, of_light)[..., None]
    return camera.expose(rgb, of_sensor)


@dataclass(frozen=True)
class Case:
    """What all images of a lesion share."""

    skin: Skin
    lesion: Lesion
    signs: Signs
    hair: camera.Hair


def draw_case(patient: np.random.Generator) -> Case:
    """Draw a patient's skin and hair, a nevus on it, and the signs that it would show as a melanoma."""
    of_skin, of_lesion, of_signs, of_hair = _branches(patient, 4)
    return Case(draw_skin(of_skin), draw_lesion(of_lesion), draw_signs(of_signs), camera.draw_hair(of_hair))


def draw_view(size: int, rng: np.random.Generator) -> Frame:
    """Draw how the camera is held in one shot: slightly turned, shifted, and nearer or farther."""
    angle, zoom = float(rng.normal(0, 0.25)), float(np.exp(rng.normal(0, 0.05)))
    shift = rng.normal(0, 0.02, 2)
    return view_frame(size, angle, zoom, (float(shift[0]), float(shift[1])))


def _branches(rng: np.random.Generator, count: int) -> list[np.random.Generator]:
    """Independent generators, so that what one part draws cannot shift what another part sees."""
    return [np.random.default_rng(int(seed)) for seed in rng.integers(0, 2**63, count)]
