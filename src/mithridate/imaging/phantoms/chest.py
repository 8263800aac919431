"""Frontal chest radiographs, drawn: a procedural phantom whose disease is pneumothorax.

The phantom adds up attenuation along the beam (soft tissue, bone, minus air) in body coordinates and then develops
the film: exposure, contrast, scatter, grain, shutters, markers.  Pneumothorax changes only what it changes in a
patient: between the visceral pleural line and the chest wall lung markings are absent, and the rest of that lung is
slightly denser.  Healthy films carry its imitators: skin folds, scapular borders, companion shadows, lines and wires.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mithridate.imaging.phantoms import chest_bones, chest_clutter, chest_lung, chest_pneumothorax, chest_soft
from mithridate.imaging.phantoms.chest_film import Frame, blur, fork
from mithridate.imaging.phantoms.chest_geometry import RIGHT, Scene, compose, draw_anatomy, draw_view
from mithridate.imaging.phantoms.texture import Array

_AIR = 1.42  # attenuation that a full depth of lung takes away from the body


def render(size: int, severity: float, patient: np.random.Generator, image: np.random.Generator) -> NDArray[np.float32]:
    """Draw one frontal radiograph, size x size x 1, float32 in [0, 1]; dense tissue is bright.

    `patient` draws the anatomy and the diseased side, `image` draws positioning, exposure, devices and noise.
    Severity runs from 0 (healthy) to 1 (large pneumothorax): a first trace shows above 0.3 and a case counts as
    positive from 0.5.  With equal generators severity is the only thing that changes.

    Raises:
        ValueError: size is below 16 or severity outside [0, 1].
    """
    scene, cavity, (posture, clutter, film) = _plan(size, severity, patient, image)
    return _develop(scene.frame, _attenuation(scene, cavity, posture, clutter), film)[:, :, None]


def lesion_mask(
    size: int, severity: float, patient: np.random.Generator, image: np.random.Generator
) -> NDArray[np.float32]:
    """Where `render` puts the air of the pneumothorax: coverage in [0, 1], size x size x 1, zero where there is none.

    Call it with generators in the state that `render` was called with.

    Raises:
        ValueError: as `render`.
    """
    scene, cavity, _ = _plan(size, severity, patient, image)
    if cavity is None:
        return np.zeros((size, size, 1), dtype=np.float32)
    lung = scene.lungs[0 if cavity.side == RIGHT else 1]
    return (cavity.space * scene.frame.fill([lung.polygon]))[:, :, None]


def _plan(
    size: int, severity: float, patient: np.random.Generator, image: np.random.Generator
) -> tuple[Scene, chest_pneumothorax.Cavity | None, list[np.random.Generator]]:
    """The scene, its disease, and the generators for posture, clutter and film."""
    if size < 16:
        raise ValueError(f"size must be at least 16 pixels, got {size}")
    if not 0.0 <= severity <= 1.0:
        raise ValueError(f"severity must lie in [0, 1], got {severity}")
    anatomy, lesion = fork(patient), fork(patient)
    view, air, *rest = (fork(image) for _ in range(5))
    scene = compose(size, draw_anatomy(anatomy), draw_view(view))
    collapse = chest_pneumothorax.draw_collapse(lesion, air)
    return scene, chest_pneumothorax.draw(scene, collapse, severity), rest


def _attenuation(
    scene: Scene, cavity: chest_pneumothorax.Cavity | None, posture: np.random.Generator, clutter: np.random.Generator
) -> Array:
    """Everything the beam meets, from skin to cassette."""
    beam = chest_soft.body(scene, posture)
    texture = chest_lung.markings(scene, posture) + chest_lung.hila(scene)
    open_air = 1.0 - chest_soft.mediastinum(scene)
    for lung in scene.lungs:
        air = chest_lung.air_depth(scene, lung) * open_air
        content = texture * air
        if cavity is not None and cavity.side == lung.side:
            content *= 1.0 - cavity.air
            content += air * (1.0 - cavity.air) * np.float32(2.0 * cavity.collapse)
            content += air * (np.float32(0.5) * cavity.line - np.float32(0.32) * cavity.air)
        beam += content - np.float32(_AIR * (1.0 + 0.09 * scene.view.yaw * lung.side)) * air
    beam += chest_lung.recess(scene) + chest_soft.airway(scene)
    beam += chest_bones.spine(scene) + chest_bones.ribs(scene) + chest_bones.girdle(scene, posture)
    beam += chest_soft.breasts(scene, posture) + chest_soft.bowel_gas(scene, posture)
    beam += chest_clutter.skin_folds(scene, clutter) + chest_clutter.companion_shadows(scene, clutter)
    return np.asarray(np.maximum(beam + chest_clutter.devices(scene, clutter), 0.0), dtype=np.float32)


def _develop(frame: Frame, beam: Array, rng: np.random.Generator) -> Array:
    """From attenuation to a displayed film: film curve, window, edge enhancement, grain, markers, shutters."""
    gain, gamma = rng.uniform(0.55, 0.9), rng.uniform(0.9, 1.7)
    low, high = rng.uniform(-0.05, 0.2), rng.uniform(0.92, 1.08)
    flatten, fog = rng.uniform(0.0, 0.35), rng.uniform(0.0, 0.06)
    grain, scatter = rng.uniform(0.002, 0.011), rng.uniform(0.05, 0.3)
    beam = beam + np.float32(scatter) * (blur(beam, 0.05) - beam)
    film = 1.0 - np.exp(-np.float32(gain) * beam)
    film += np.float32(flatten) * (film - blur(film, 0.06))
    film = np.clip((film - np.float32(low)) / np.float32(high - low), 0.0, 1.2)
    film = film ** np.float32(gamma) * np.float32(1.0 - fog) + np.float32(fog)
    film += np.float32(grain) * fork(rng).standard_normal(film.shape, dtype=np.float32)
    letters, strength = chest_clutter.markers(frame.size, rng)
    film += np.float32(strength) * letters * (1.0 - film)
    field, level = chest_clutter.shutters(frame.size, rng)
    film = field * film + (1.0 - field) * np.float32(level)
    return np.asarray(np.clip(film, 0.0, 1.0), dtype=np.float32)
