"""What changes from one photograph to the next: view, field edge, illumination, reflexes, focus, exposure, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from mithridate.imaging.phantoms.fundus_canvas import Canvas, Points, blobs, field, rgb
from mithridate.imaging.phantoms.texture import Array, grid, smoothstep


@dataclass(frozen=True)
class View:
    """Similarity from retinal coordinates to the image, with the circular field of view of the camera."""

    mirror: float  # 1 for a left eye, -1 for a right eye
    angle: float
    scale: float
    center: Points  # where the retina's origin lands in the image
    field_center: Points
    field_radius: float
    flat: float  # half height at which top and bottom are cut, image sides

    def to_image(self, points: Points) -> Points:
        """Retinal points (..., 2) to image points."""
        x, y = points[..., 0] * self.mirror, points[..., 1]
        cos, sin = self.scale * np.cos(self.angle), self.scale * np.sin(self.angle)
        return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1) + self.center

    def retina_grid(self, size: int) -> tuple[Array, Array]:
        """Retinal coordinates of each pixel."""
        x, y = grid(size)
        dx, dy = x - np.float32(self.center[0]), y - np.float32(self.center[1])
        cos, sin = np.cos(self.angle) / self.scale, np.sin(self.angle) / self.scale
        u = (np.float32(cos) * dx + np.float32(sin) * dy) * np.float32(self.mirror)
        return u, np.float32(cos) * dy - np.float32(sin) * dx

    def field_distance(self, size: int) -> Array:
        """Distance from the center of the field in units of its radius."""
        x, y = grid(size)
        dx, dy = x - np.float32(self.field_center[0]), y - np.float32(self.field_center[1])
        distance: Array = np.hypot(dx, dy) / np.float32(self.field_radius)
        return distance

    def aperture(self, size: int, distance: Array) -> Array:
        """1 inside the field of view, 0 outside, with an edge of about a pixel."""
        soft = 1.0 / (size * self.field_radius)
        inside = smoothstep(1.0 + soft, 1.0 - soft, distance)
        _, y = grid(size)
        return inside * smoothstep(self.flat + 1 / size, self.flat, np.abs(y - np.float32(self.field_center[1])))


def draw_view(left: bool, rng: np.random.Generator) -> View:
    """A macula-centered view (sometimes centered nearer to the disc) with one of the usual field shapes."""
    mirror = 1.0 if left else -1.0
    kind = rng.uniform()
    whole = rng.uniform(0.47, 0.495)  # the whole circle in the picture
    cropped = rng.uniform(0.53, 0.57)  # the circle runs out of the picture
    radius = whole if kind < 0.35 else cropped
    flat = rng.uniform(0.40, 0.455)
    scale = radius / 0.55 * rng.uniform(0.92, 1.06)
    aim_x, aim_y = rng.normal(0.02, 0.02), rng.normal(0, 0.02)
    towards_disc, amount = rng.uniform() < 0.12, rng.uniform(0.12, 0.2)
    aim_x += amount if towards_disc else 0.0
    off = rng.uniform(-0.02, 0.02) - mirror * 0.05 * float(kind >= 0.35)
    field_center = np.array([0.5 + off, 0.5 + rng.uniform(-0.01, 0.01)])
    return View(
        mirror=mirror,
        angle=float(rng.normal(0, 0.06)),
        scale=float(scale),
        center=field_center + np.array([mirror * aim_x, aim_y]),
        field_center=field_center,
        field_radius=float(radius),
        flat=float(flat) if 0.2 < kind < 0.35 else 1.0,
    )


def _bell(x: Array, y: Array, center: Points, radii: Points, angle: float) -> Array:
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    dx, dy = x - np.float32(center[0]), y - np.float32(center[1])
    a, b = (cos * dx + sin * dy) / np.float32(radii[0]), (cos * dy - sin * dx) / np.float32(radii[1])
    return np.exp(-0.5 * (a * a + b * b)).astype(np.float32)


def illumination(size: int, distance: Array, rng: np.random.Generator) -> Array:
    """Multiplicative light, 3 x size x size: falloff from an off-center maximum, a gradient, at times a deep shadow."""
    x, y = grid(size)
    falloff, slow = rng.uniform(0.10, 0.42), rng.normal(0, 0.14, 2)
    center = rng.normal(0.5, 0.07, 2)
    light = np.float32(1.08) - np.float32(falloff / 0.3) * (
        (x - np.float32(center[0])) ** 2 + (y - np.float32(center[1])) ** 2
    )
    light = light + np.float32(slow[0]) * (x - 0.5) + np.float32(slow[1]) * (y - 0.5)
    light = light * (1 - np.float32(rng.uniform(0.0, 0.25)) * smoothstep(0.8, 1.02, distance))
    shaded, depth = rng.uniform(), rng.uniform(0.2, 0.8)
    place, angle = rng.normal(0.5, 0.3, 2), rng.uniform(0, np.pi)
    radii = rng.uniform(0.14, 0.32, 2)
    if shaded < 0.22:
        light = light * (1 - np.float32(depth) * _bell(x, y, place, radii, angle))
    light = np.maximum(light, 0.05)
    # less light reads as redder: the green and blue of the tissue fall off faster than the red
    return np.stack([light**0.85, light, light**1.1])


def veil(size: int, distance: Array, rng: np.random.Generator) -> Array:
    """Added light, 3 x size x size: corneal reflex between disc and macula, bright rim, bluish haze, streak."""
    x, y = grid(size)
    u = rng.uniform(size=5)
    place = rng.normal([0.5, 0.48], [0.06, 0.05], (3, 2))
    radii = np.exp(rng.normal(-3.3, 0.35, (3, 2)))
    angles, strength = rng.uniform(0, np.pi, 4), rng.uniform(size=6)
    added = np.zeros((3, size, size), dtype=np.float32)
    if u[0] < 0.5:
        patch = sum(_bell(x, y, p, r, float(a)) for p, r, a in zip(place, radii, angles[:3], strict=True))
        added += np.float32(0.03 + 0.16 * strength[0] ** 2) * patch * rgb(0.85, 0.92, 0.88)
    direction = 2 * angles[3]
    lobe = (np.cos(direction) * (x - 0.5) + np.sin(direction) * (y - 0.5)).astype(np.float32)
    if u[1] < 0.22:  # iris at the edge of a small pupil
        rim = smoothstep(0.80, 1.02, distance) * smoothstep(0.0, 0.4, lobe)
        added += np.float32(0.08 + 0.5 * strength[1] ** 2) * rim * rgb(1.0, 0.85, 0.45)
    if u[2] < 0.25:
        haze = smoothstep(-0.05, 0.6, -lobe)
        added += np.float32(0.03 + 0.12 * strength[2]) * haze * rgb(0.3, 0.85, 1.0)
    if u[3] < 0.06:
        streak = _bell(x, y, place[0], np.array([0.16, 0.012]), float(rng.normal(0, 0.3)))
        added += np.float32(0.08 + 0.2 * strength[3]) * streak * rgb(0.9, 0.9, 0.8)
    cloud = np.float32(0.12 * max(0.0, strength[4] - 0.6))  # lens opacity scatters light over the whole picture
    return added + cloud * rgb(1.0, 0.8, 0.6)


def dust(size: int, rng: np.random.Generator) -> Array:
    """Share of light (size x size) that specks on the lens take away; they keep their place in the picture."""
    count = int(rng.poisson(0.8)) if rng.uniform() < 0.4 else 0
    specks = Canvas(size)
    centers, radii = rng.uniform(0.05, 0.95, (count, 2)), rng.uniform(0.003, 0.010, count)
    specks.polygons(blobs(centers, radii, rng, 0.08, 10), rng.uniform(0.1, 0.35, count))
    return specks.mask()


def expose(picture: Array, rng: np.random.Generator) -> Array:
    """Focus blur, exposure, white balance and contrast of the camera; 3 x size x size in and out."""
    size = picture.shape[-1]
    sharpness = rng.uniform()
    sigma = size * (0.0016 + 0.0052 * sharpness**2.2)
    gain = np.exp(rng.normal(0, 0.13) + rng.normal(0, [0.03, 0.05, 0.16])).astype(np.float32)
    gamma = np.float32(np.exp(rng.normal(0, 0.08)))
    if sigma > 0.2:
        picture = gaussian_filter1d(
            gaussian_filter1d(picture, sigma, axis=1, truncate=3.0), sigma, axis=2, truncate=3.0
        )
    out = np.maximum(picture, 1e-4) ** gamma * gain[:, None, None]
    shoulder = np.float32(0.8)  # highlights roll off instead of clipping
    over = np.maximum(out - shoulder, 0)
    return np.where(out > shoulder, shoulder + (1 - shoulder) * np.tanh(over / (1 - shoulder)), out).astype(np.float32)


def grain(picture: Array, rng: np.random.Generator) -> Array:
    """Sensor noise, stronger in the dark and in blue, with a coarse part left by compression."""
    size = picture.shape[-1]
    level = np.float32(0.003 + 0.009 * rng.uniform() ** 2)
    white = rng.standard_normal(picture.shape, dtype=np.float32)
    coarse = field(size, rng, slope=0.0, band=128)
    channel = rgb(0.8, 1.0, 1.3)
    noisy: Array = picture + level * channel * (white * np.sqrt(0.3 + picture) + 0.4 * coarse)
    return noisy
