"""What lies between skin and sensor in the skin phantom: hairs, gel, ruler, glare, vignette, exposure, focus, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from mithridate.imaging.phantoms.skin_surface import Line
from mithridate.imaging.phantoms.texture import Array, grid, noise, smoothstep, strokes


@dataclass(frozen=True)
class Hair:
    """A patient's body hair; widths and lengths in units of the image side."""

    count: float
    color: NDArray[np.float32]
    width: float
    curl: float
    heading: float
    spread: float
    length: float


def draw_hair(rng: np.random.Generator) -> Hair:
    """Draw a patient's hair: most have little, some have much, some only short stubble."""
    amount = rng.choice([0.0, 3.0, 9.0, 26.0], p=[0.42, 0.28, 0.20, 0.10])
    shade = rng.uniform(0.08, 0.45)
    short = rng.uniform() < 0.3
    return Hair(
        count=float(amount),
        color=np.array([1.15, 0.9, 0.8], dtype=np.float32) * np.float32(shade),
        width=float(rng.uniform(0.003, 0.0085)),
        curl=float(rng.uniform(0.02, 0.16)),
        heading=float(rng.uniform(0, 2 * np.pi)),
        spread=float(rng.uniform(0.15, 0.9)),
        length=float(rng.uniform(0.06, 0.16) if short else rng.uniform(0.4, 1.1)),
    )


def hairs(hair: Hair, size: int, rng: np.random.Generator) -> Array:
    """Coverage of the hairs in one shot, size x size."""
    lines = [_hair(hair, rng) for _ in range(int(rng.poisson(hair.count)))]
    return strokes(size, lines, oversample=3 if size < 200 else 2)


def _hair(hair: Hair, rng: np.random.Generator) -> Line:
    steps = 10
    heading = hair.heading + rng.normal(0, hair.spread)
    bend = rng.normal(0, hair.curl) + rng.normal(0, 0.4 * hair.curl, steps)
    course = heading + np.cumsum(bend)
    length = hair.length * rng.uniform(0.6, 1.3)
    walk = np.cumsum(length / steps * np.stack([np.cos(course), np.sin(course)], axis=1), axis=0)
    start = rng.uniform(-0.1, 1.1, 2) - walk[steps // 2]
    return start + walk, hair.width * np.linspace(1.1, 0.55, steps)


def overlay(rgb: Array, rng: np.random.Generator) -> Array:
    """Lay gel bubbles, short bright glints, a ruler's ticks or a pen mark over an image, each in some shots only."""
    size = rgb.shape[0]
    kind = rng.uniform(size=4)
    glints = [_glint(rng) for _ in range(int(rng.integers(2, 14)))] if kind[0] < 0.40 else []
    if glints:
        rgb = _blend(rgb, strokes(size, glints, oversample=2) * np.float32(rng.uniform(0.15, 0.4)), (1.0, 0.97, 0.95))
    if kind[1] < 0.12:
        for _ in range(int(rng.integers(1, 9))):
            rgb = _bubble(rgb, rng)
    if kind[2] < 0.05:
        rgb = _blend(rgb, strokes(size, _ruler(rng), oversample=2) * np.float32(0.85), (0.12, 0.11, 0.12))
    if kind[3] < 0.03:
        rgb = _blend(rgb, strokes(size, [_pen(rng)], oversample=2) * np.float32(0.8), (0.15, 0.25, 0.62))
    return rgb


def _blend(rgb: Array, coverage: Array, color: tuple[float, float, float]) -> Array:
    mixed: Array = rgb + coverage[..., None] * (np.array(color, dtype=np.float32) - rgb)
    return mixed


def _glint(rng: np.random.Generator) -> Line:
    angle, length = rng.uniform(0, np.pi), rng.uniform(0.01, 0.10)
    across = np.linspace(-0.5, 0.5, 4)[:, None] * length * np.array([np.cos(angle), np.sin(angle)])
    return rng.uniform(0.05, 0.95, 2) + across + rng.normal(0, 0.004, (4, 2)), np.full(4, rng.uniform(0.001, 0.004))


def _bubble(rgb: Array, rng: np.random.Generator) -> Array:
    size = rgb.shape[0]
    radius = float(np.exp(rng.uniform(np.log(0.008), np.log(0.035))))
    center = rng.uniform(0.03, 0.97, 2)
    low = np.clip(((center - 2 * radius) * size).astype(int), 0, size - 1)
    high = np.clip(((center + 2 * radius) * size).astype(int) + 2, 1, size)
    part = (slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0])))
    x, y = (axis[part] for axis in grid(size))
    soft = max(0.5, 0.8 / (size * radius))
    away = (np.hypot(x - center[0], y - center[1]) / radius).astype(np.float32)
    light = np.hypot(x - center[0] + 0.35 * radius, y - center[1] + 0.35 * radius) / radius
    rgb = rgb.copy()
    rim = smoothstep(soft, 0.0, np.abs(away - 1))
    rgb[part] = _blend(rgb[part], 0.35 * rim * (y > center[1]), (0.25, 0.2, 0.2))
    rgb[part] = _blend(rgb[part], 0.4 * rim * (y <= center[1]) + 0.8 * smoothstep(soft, 0.1, light), (1.0, 1.0, 1.0))
    return rgb


def _ruler(rng: np.random.Generator) -> list[Line]:
    """Millimeter ticks along one edge."""
    angle = rng.choice(4) * np.pi / 2 + rng.normal(0, 0.06)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    step, edge = rng.uniform(0.045, 0.09), rng.uniform(0.40, 0.47)
    lines = []
    for k in range(-12, 13):
        length = 0.06 if k % 5 == 0 else 0.035
        tick = np.array([[k * step, edge], [k * step, edge - length]])
        lines.append((tick @ turn + 0.5, np.full(2, 0.006)))
    return lines


def _pen(rng: np.random.Generator) -> Line:
    angle = rng.uniform(0, 2 * np.pi)
    along = np.linspace(-0.5, 0.5, 8)[:, None] * np.array([-np.sin(angle), np.cos(angle)])
    middle = 0.5 + 0.52 * np.array([np.cos(angle), np.sin(angle)])
    return middle + along + rng.normal(0, 0.01, (8, 2)), np.full(8, rng.uniform(0.04, 0.09))


def illumination(size: int, rng: np.random.Generator) -> Array:
    """Relative light, size x size: off-center vignetting, and in some shots the black surround of a contact lens."""
    x, y = grid(size)
    middle = 0.5 + rng.normal(0, 0.05, 2)
    away = np.hypot(x - middle[0], y - middle[1]).astype(np.float32)
    strength = rng.choice([0.05, 0.25, 0.6]) * rng.uniform(0.5, 1.0)
    tilt = rng.normal(0, 0.06, 2)
    light = 1 - strength * away**2 + tilt[0] * (x - 0.5) + tilt[1] * (y - 0.5)
    radius = rng.uniform(0.56, 0.72)
    if rng.uniform() < 0.08:
        light = light * smoothstep(radius, radius - 0.05, away)
    shaded: Array = light.astype(np.float32)
    return shaded


def expose(rgb: Array, rng: np.random.Generator) -> Array:
    """Focus, exposure, white balance, contrast and sensor noise of one shot; clipped to [0, 1]."""
    size = rgb.shape[0]
    gain = np.exp(rng.normal(0, 0.05)) * np.exp(rng.normal(0, 1, 3) * [0.025, 0.012, 0.04])
    contrast, blur = rng.uniform(0.9, 1.12), rng.uniform(0.0015, 0.0045) * size
    grain = rng.uniform(0.003, 0.011)
    if blur > 0.25:
        rgb = gaussian_filter(rgb, (blur, blur, 0), truncate=2.5)
    rgb = rgb * gain.astype(np.float32)
    rgb = 0.6 + np.float32(contrast) * (rgb - 0.6)
    rgb = rgb + np.float32(grain) * noise(size, 0.4, rng)[..., None]
    return np.clip(rgb, 0.0, 1.0).astype(np.float32)
