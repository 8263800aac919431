"""What lies over a chest film without being disease: skin folds, lines and tubes, electrodes, lead markers, shutters.

Drawn alike for healthy and ill patients.
"""

from __future__ import annotations

import numpy as np

from mithridate.imaging.phantoms.chest_film import Frame, Line, Points, curve
from mithridate.imaging.phantoms.chest_geometry import SIDES, Scene
from mithridate.imaging.phantoms.texture import Array, grid, smoothstep

_TURN = np.linspace(0.0, 2.0 * np.pi, 16, endpoint=False)
_DISC = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)  # a unit circle
_LETTERS: dict[str, list[list[tuple[float, float]]]] = {
    "L": [[(0, 0), (0, 1), (0.6, 1)]],
    "R": [[(0, 1), (0, 0), (0.45, 0.02), (0.6, 0.25), (0.45, 0.5), (0, 0.5)], [(0.3, 0.5), (0.65, 1)]],
    "A": [[(0, 1), (0.32, 0), (0.65, 1)], [(0.14, 0.62), (0.5, 0.62)]],
    "P": [[(0, 1), (0, 0), (0.45, 0.02), (0.6, 0.25), (0.45, 0.5), (0, 0.5)]],
}


def skin_folds(scene: Scene, rng: np.random.Generator) -> Array:
    """Folds of skin over a lung: density that grows towards an edge and ends there; markings go on beyond it."""
    u, v = scene.frame.body
    total = np.zeros_like(u)
    count = int(rng.choice(3, p=(0.55, 0.3, 0.15)))
    for _ in range(count):
        side = SIDES[int(rng.integers(2))]
        place, lean, bow = rng.uniform(0.14, 0.34), rng.normal(0.0, 0.18), rng.normal(0.0, 0.5)
        middle, half = rng.uniform(0.25, 0.65), rng.uniform(0.12, 0.3)
        depth, strength = rng.uniform(0.02, 0.07), rng.uniform(0.06, 0.2)
        along = v - np.float32(middle)
        beyond = np.float32(side) * u - np.float32(place) - np.float32(lean) * along - np.float32(bow) * along**2
        edge = smoothstep(0.004, -0.004, beyond) * np.exp(np.minimum(beyond, 0.0) / np.float32(depth))
        total += np.float32(strength) * edge * smoothstep(half, 0.5 * half, np.abs(along))
    return total.astype(np.float32)


def companion_shadows(scene: Scene, rng: np.random.Generator) -> Array:
    """Thin soft-tissue stripes that follow the inner margin of the upper ribs close to the wall."""
    lines = []
    for lung in scene.lungs:
        present, inset = rng.random() < 0.6, rng.uniform(0.004, 0.011)
        first, last = rng.integers(6, 14), rng.integers(20, 44)
        if present:
            part = lung.wall[first:last]
            lines.append(
                (part + np.array((-lung.side * inset, 0.4 * inset)), np.full(len(part), rng.uniform(0.004, 0.008)))
            )
    strength = rng.uniform(0.06, 0.18)
    return np.float32(strength) * scene.frame.stroke(lines)


def devices(scene: Scene, rng: np.random.Generator) -> Array:
    """Electrodes with wires, central lines, tubes and a rare pacemaker."""
    top = scene.anatomy.top
    wires: list[Line] = []
    metal: list[Points] = []
    bedside = rng.random() < (0.6 if scene.view.supine else 0.2)
    for _ in range(int(rng.integers(1, 5)) if bedside else 0):
        pad = rng.uniform((-0.34, 0.16), (0.34, 0.85))
        edge = np.array([rng.choice([-0.62, 0.62]), rng.uniform(0.1, 1.1)])
        sag = rng.uniform(-0.15, 0.25)
        path = curve([tuple(pad), tuple(0.5 * (pad + edge) + [0.0, sag]), tuple(edge)], 14)
        wires.append((path, np.full(14, rng.uniform(0.003, 0.005))))
        metal.append(pad + rng.uniform(0.007, 0.012) * _DISC)
    if rng.random() < (0.4 if scene.view.supine else 0.06):
        side = SIDES[int(rng.integers(2))]
        start = (side * 0.3, top - 0.06) if rng.random() < 0.5 else (side * 0.09, top - 0.1)
        tip = (-0.035, top + rng.uniform(0.2, 0.36))
        wires.append((curve([start, (side * 0.1, top + 0.07), (-0.02, top + 0.13), tip], 18), np.full(18, 0.006)))
    if rng.random() < (0.3 if scene.view.supine else 0.04):
        wires.append((curve([(0.0, -0.2), (0.004, top), (0.002, top + rng.uniform(0.1, 0.2))], 10), np.full(10, 0.014)))
    if rng.random() < (0.15 if scene.view.supine else 0.02):
        wires.append((curve([(0.0, -0.2), (-0.004, 0.4), (0.015, 0.7), (0.08, 0.9)], 16), np.full(16, 0.007)))
    if rng.random() < 0.05:
        box = np.array([rng.choice([-1, 1]) * rng.uniform(0.2, 0.26), top + rng.uniform(0.1, 0.18)])
        metal.append(box + 0.035 * _DISC)
        wires.append((curve([tuple(box), (0.06, top + 0.16), (-0.04, 0.5), (0.08, 0.68)], 18), np.full(18, 0.005)))
    strength = rng.uniform(0.2, 0.55)
    return np.float32(strength) * scene.frame.stroke(wires) + np.float32(1.4) * scene.frame.fill(metal)


def markers(size: int, rng: np.random.Generator) -> tuple[Array, float]:
    """(coverage, strength) of the side letter and film annotations, as pixels to be blended towards white."""
    lines: list[Line] = []

    def write(text: str, x: float, y: float, height: float, tilt: float) -> None:
        turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
        for index, letter in enumerate(text):
            for path in _LETTERS[letter]:
                local = (np.array(path) + np.array((0.95 * index, 0.0))) * [height * 0.8, height]
                lines.append((local @ turn + [x, y], np.full(len(path), 0.17 * height)))

    left = rng.random() < 0.75
    x = rng.uniform(0.86, 0.95) if left else rng.uniform(0.02, 0.1)
    height = rng.uniform(0.025, 0.05)
    if rng.random() < 0.85:
        write("L" if left else "R", x, rng.uniform(0.02, 0.22), height, rng.normal(0.0, 0.12))
    if rng.random() < 0.25:
        write("AP", rng.choice([0.04, 0.88]), rng.uniform(0.03, 0.25), 0.022, 0.0)
    return Frame(size, (0.0, 0.5), 1.0, 0.0).stroke(lines), float(rng.uniform(0.6, 1.0))


def shutters(size: int, rng: np.random.Generator) -> tuple[Array, float]:
    """(open field, level outside): the collimated border, sometimes skew, usually black."""
    x, y = grid(size)
    chosen = rng.random(4) < 0.16
    inset = rng.uniform(0.01, 0.09, 4)
    skew = rng.normal(0.0, 0.03, 4)
    level = 0.0 if rng.random() < 0.85 else float(rng.uniform(0.75, 0.97))
    field = np.ones_like(x)
    soft = max(0.006, 1.0 / size)
    for index, (across, along) in enumerate(((x, y), (1 - x, y), (y, x), (1 - y, x))):
        if chosen[index]:
            edge = across - np.float32(inset[index]) - np.float32(skew[index]) * (along - np.float32(0.5))
            field = field * smoothstep(-soft / 2, soft / 2, edge)
    return field, level
