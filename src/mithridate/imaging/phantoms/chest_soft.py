"""Soft tissue of the chest phantom: trunk and arms, mediastinum, airway, breasts, gas below the diaphragm.

Functions return the attenuation that a structure adds, in the units of `chest.render`; air is negative.
"""

from __future__ import annotations

import numpy as np

from mithridate.imaging.phantoms.chest_film import Line, Points, blur, curve, dome, shading, soften
from mithridate.imaging.phantoms.chest_geometry import SIDES, Anatomy, Scene
from mithridate.imaging.phantoms.texture import Array, smoothstep


def body(scene: Scene, rng: np.random.Generator) -> Array:
    """Trunk, neck, shoulders and arms: thin at the skin, about 2 in the middle, thicker over the abdomen."""
    a, frame = scene.anatomy, scene.frame
    flank = a.cage + 0.05 + 0.11 * a.fat
    skin, arms = _outline(a, flank, scene.view.arms, rng)
    mask = np.maximum(frame.fill([skin]), frame.stroke(arms))
    depth = np.clip(2.0 * blur(mask, 0.05) - 1.0, 0.0, 1.0) ** np.float32(0.6) * mask
    u, v = frame.body
    middle = dome((np.abs(u) * np.float32(1 / (flank + 0.12))) ** np.float32(2.3))
    belly = smoothstep(scene.base - 0.25, scene.base + 0.1, v)
    trunk = (0.72 + 1.18 * middle) * (1.0 + 0.25 * a.fat) + (0.5 + 0.5 * a.fat) * belly * middle
    muscle = 1.0 + np.float32(0.05) * shading(frame.size, 1.9, rng)
    return np.asarray(0.1 * mask + depth * trunk * muscle, dtype=np.float32)


def _outline(a: Anatomy, flank: float, spread: float, rng: np.random.Generator) -> tuple[Points, list[Line]]:
    neck = 0.095 + 0.06 * a.fat + 0.03 * rng.random()
    slope = rng.uniform(-0.02, 0.03)
    top, reach = a.top, a.cage / 0.33
    half = [(neck + 0.035, -0.6), (neck + 0.025, top - 0.22), (neck, top - 0.13), (neck + 0.03, top - 0.08)]
    half += [(0.23 * reach, top - 0.028 + slope), (0.37 * reach, top - 0.005 + slope)]
    half += [(0.46 * reach, top + 0.04 + slope), (0.485 * reach + 0.02 * a.fat, top + 0.13), (flank + 0.085, top + 0.3)]
    half += [(flank + 0.035, top + 0.45), (flank, top + 0.6), (flank + 0.01, 0.85), (flank + 0.03 * a.fat, 1.5)]
    contour = curve(half, 60)
    arms = []
    for side in SIDES:
        start = np.array([0.44 * reach, top + 0.13])
        points = np.linspace(start, start + np.array((0.08 + 0.4 * spread + 0.08 * a.fat, 0.95)), 8)
        arms.append((points * [side, 1.0], np.linspace(0.18, 0.15, 8) * (1.0 + 0.5 * a.fat)))
    return np.vstack([contour, contour[::-1] * [-1.0, 1.0]]), arms


def _ellipse(scene: Scene, center: tuple[float, float], radii: tuple[float, float]) -> Array:
    """Squared elliptical distance: 0 in the center, 1 on the outline."""
    u, v = scene.frame.body
    across, down = (
        (u - np.float32(center[0])) / np.float32(radii[0]),
        (v - np.float32(center[1])) / np.float32(radii[1]),
    )
    return np.asarray(across * across + down * down, dtype=np.float32)


def mediastinum(scene: Scene) -> Array:
    """Share of the lung's air that heart and great vessels displace, 0 to 1."""
    a, view, frame = scene.anatomy, scene.view, scene.frame
    top, h = a.top, _heart_height(scene)
    upper = (1.25 if view.supine else 1.0) * (1.0 + 0.3 * a.fat)
    sway = view.yaw * 0.014
    mask = soften(frame.fill([_silhouette(scene, upper) + np.array((sway, 0.0))]), 0.0035)
    radius = 0.026 + 0.014 * a.aorta
    knob = dome(_ellipse(scene, (0.05 * upper + 0.012 * a.aorta + sway, top + 0.27 * h), (radius, radius)))
    descent = np.stack([np.full(9, 0.046 + 0.012 * a.aorta), np.linspace(top + 0.3 * h, top + h, 9)], axis=1)
    aorta = frame.stroke([(descent, np.linspace(0.05, 0.04, 9))])
    block = mask * (0.3 + 0.65 * blur(mask, 0.025)) + 0.2 * knob + np.float32(0.10 + 0.1 * a.aorta) * aorta
    return np.asarray(np.clip(block, 0.0, 1.0), dtype=np.float32)


def _heart_height(scene: Scene) -> float:
    return float(scene.lungs[1].floor[8, 1]) + 0.03 - scene.anatomy.top


def _silhouette(scene: Scene, upper: float) -> Points:
    a, view = scene.anatomy, scene.view
    wide = a.heart * (1.12 if view.supine else 1.0) * (1.0 + 1.1 * view.breath) * a.cage / 0.33
    left = [
        (0.085 * upper, -0.18),
        (0.07 * upper, 0.05),
        (0.053 * upper, 0.17),
        (0.061 * upper + 0.022 * a.aorta, 0.26),
    ]
    left += [(0.062 * upper, 0.34), (0.072, 0.43), (0.088 * wide, 0.53), (0.130 * wide, 0.63), (0.165 * wide, 0.74)]
    left += [(0.186 * wide, 0.85), (0.188 * wide, 0.94), (0.165 * wide, 1.03), (0.0, 1.12)]
    right = [(0.0, 1.12), (-0.045 * wide, 1.04), (-0.077 * wide, 0.94), (-0.090 * wide, 0.82), (-0.083 * wide, 0.70)]
    right += [(-0.062, 0.57), (-0.060, 0.44), (-0.053 * upper, 0.3), (-0.05 * upper, 0.16), (-0.072 * upper, 0.04)]
    right += [(-0.085 * upper, -0.18)]
    return np.vstack([curve(left, 44), curve(right, 36)]) * [1.0, _heart_height(scene)] + [0.0, a.top]


def airway(scene: Scene) -> Array:
    """Trachea and main bronchi; negative."""
    top, h, sway = scene.anatomy.top, _heart_height(scene), scene.view.yaw * 0.01
    carina = np.array([0.004 + sway, top + 0.33 * h])
    tube = curve([(0.0, top - 0.2), (0.003 + 0.5 * sway, top + 0.1 * h), (float(carina[0]), float(carina[1]))], 10)
    lines: list[Line] = [(tube, np.full(10, 0.03))]
    for side in SIDES:
        end = carina + np.array((side * 0.062, 0.055 if side < 0 else 0.06))
        lines.append((np.linspace(carina, end, 5), np.linspace(0.022, 0.014, 5)))
    return np.float32(-0.3) * soften(scene.frame.stroke(lines), 0.005)


def breasts(scene: Scene, rng: np.random.Generator) -> Array:
    """Breast shadows: a crisp lower fold, fading upwards."""
    size = scene.anatomy.breast
    low, jitter = rng.uniform(0.0, 0.05), rng.normal(0.0, 0.01, (2, 2))
    v = scene.frame.body[1]
    total = np.zeros_like(v)
    if size == 0.0:
        return total
    radius = 0.10 + 0.055 * size
    for side, (du, dv) in zip(SIDES, jitter, strict=True):
        center_v = 0.60 + low + float(dv)
        q = _ellipse(scene, (side * 0.19 + float(du), center_v), (1.1 * radius, radius))
        total += dome(q) * smoothstep(center_v - radius, center_v + 0.6 * radius, v)
    total *= np.float32(0.2 + 0.35 * size)
    return total


def bowel_gas(scene: Scene, rng: np.random.Generator) -> Array:
    """Gastric bubble under the left dome and a few loops of gas; negative."""
    left = scene.lungs[1]
    crown = left.floor[np.argmin(left.floor[:, 1])]
    count = int(rng.integers(0, 6))
    places = rng.uniform((0.02, 0.06), (0.3, 0.25), (6, 2)) + np.array((0.0, crown[1]))
    radii = rng.uniform(0.012, 0.03, 6)
    bubble, amount = rng.uniform(0.02, 0.055), rng.uniform(0.0, 0.7)
    stomach = (float(crown[0]) - 0.02, float(crown[1]) + 0.012 + 0.75 * bubble)
    air = amount * dome(_ellipse(scene, stomach, (1.5 * bubble, 0.75 * bubble)))
    for (at_u, at_v), radius in zip(places[:count], radii[:count], strict=True):
        air += 0.3 * dome(_ellipse(scene, (at_u, at_v), (1.4 * radius, radius)))
    return np.asarray(-air, dtype=np.float32)
