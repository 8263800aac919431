"""Bones of the chest phantom: ribs, clavicles, shoulder girdle, spine.

Every function returns the attenuation that the structure adds, in the units of `chest.render` (the mid-line soft
tissue is about 2).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mithridate.imaging.phantoms.chest_film import Batch, Frame, Line, Points, batched, curve, soften
from mithridate.imaging.phantoms.chest_geometry import SIDES, Anatomy, Lung, Scene
from mithridate.imaging.phantoms.texture import Array, smoothstep


def _tubes(frame: Frame, batches: list[Batch], cortex: float, marrow: float, shell: float) -> Array:
    """Hollow bones: a faint medullary shadow between two denser cortical margins `shell` thick."""
    outer = frame.ribbons(batches)
    inner = frame.ribbons([(_longer(points), _hollow(widths, shell)) for points, widths in batches])
    return np.asarray(marrow * outer + cortex * np.maximum(outer - inner, 0.0), dtype=np.float32)


def _longer(points: Points, extra: float = 0.02) -> Points:
    """Lines (B x P x 2) continued past both ends, so that a hollow bone shows no cap there."""
    ends = points[:, [0, -1]] - points[:, [1, -2]]
    ends = points[:, [0, -1]] + extra * ends / np.linalg.norm(ends, axis=2, keepdims=True)
    return np.concatenate([ends[:, :1], points, ends[:, 1:]], axis=1)


def _hollow(widths: NDArray[np.float64], shell: float) -> NDArray[np.float64]:
    return np.maximum(np.concatenate([widths[:, :1], widths, widths[:, -1:]], axis=1) - 2 * shell, 1e-4)


_BACK = np.linspace(0.0, np.pi / 2, 13)
_FRONT = np.linspace(np.pi / 2, 0.81 * np.pi, 11)


def _hoops(anatomy: Anatomy, lung: Lung, spine_v: NDArray[np.float64]) -> tuple[Points, Points]:
    """Posterior and anterior arcs of the ribs that leave the spine at these heights.

    The two arcs are quarters of an oblique ellipse that meet at the chest wall.
    """
    index = np.arange(len(spine_v))
    drop = anatomy.rib_drop + 0.006 * index
    side_v = spine_v + drop
    side_u = (lung.half_width(side_v) + 0.003)[:, None]
    start = 0.03
    rise = 0.018 * np.sin(_BACK) * np.cos(_BACK)
    back_v = spine_v[:, None] + drop[:, None] * (1 - np.cos(_BACK)) - rise
    posterior = np.stack([start + (side_u - start) * np.sin(_BACK), back_v], axis=2)
    front_v = side_v[:, None] - (0.085 + 0.012 * index)[:, None] * np.cos(_FRONT)
    anterior = np.stack([side_u * np.sin(_FRONT) ** 0.9, front_v], axis=2)
    return posterior * [lung.side, 1.0], anterior * [lung.side, 1.0]


def ribs(scene: Scene) -> Array:
    """Eleven posterior and seven anterior arcs a side; where they cross, their densities add."""
    anatomy, frame = scene.anatomy, scene.frame
    rng = np.random.default_rng([anatomy.seed, 2])
    posterior: list[Batch] = []
    anterior: list[Batch] = []
    spacing = anatomy.height / rng.uniform(8.6, 9.8)
    for lung in scene.lungs:
        spine_v = anatomy.top + 0.012 + spacing * (np.arange(11) - 0.25) + rng.normal(0.0, 0.003, 11)
        back, front = _hoops(anatomy, lung, spine_v)
        width = anatomy.rib_width * rng.uniform(0.9, 1.1, (11, 1))
        posterior.append((back, width * np.linspace(0.75, 1.0, len(_BACK))))
        front[..., 0] += scene.view.yaw * 0.008
        anterior.append((front[:7], width[:7] * np.linspace(0.95, 1.3, len(_FRONT))))
    density = anatomy.rib_density
    both = _tubes(frame, posterior, 0.12 * density, 0.13 * density, 0.0036)
    both += _tubes(frame, anterior, 0.06 * density, 0.09 * density, 0.003)
    floor = scene.base - 0.06
    veiled = 1.0 - 0.65 * smoothstep(floor - 0.04, floor + 0.08, frame.body[1])  # scatter from the abdomen
    return np.asarray(veiled * both, dtype=np.float32)


def girdle(scene: Scene, rng: np.random.Generator) -> Array:
    """Clavicles, scapulae and upper arms; `rng` decides how the shoulders are held."""
    anatomy, view, frame = scene.anatomy, scene.view, scene.frame
    bones: list[Line] = []
    borders: list[Line] = []
    plates: list[Points] = []
    heads: list[Points] = []
    lift, reach = rng.normal(0.0, 0.018), anatomy.cage / 0.33
    for side in SIDES:
        mirror = np.array([side, 1.0])
        top = anatomy.top + rng.normal(0.0, 0.005) + (0.0 if view.supine else 0.02)
        yaw = view.yaw * 0.012 * side
        shoulder = np.array([0.375 * reach, top + 0.03 + lift])
        clavicle = [(0.03 + yaw, top + 0.11), (0.11 + yaw, top + 0.085 + 0.3 * lift), (0.2 * reach, top + 0.035 + lift)]
        clavicle += [(0.29 * reach, top + 0.012 + lift), (float(shoulder[0]), float(shoulder[1]))]
        widths = np.interp(np.linspace(0, 1, 16), [0, 0.2, 0.6, 1], [0.03, 0.021, 0.018, 0.024])
        bones.append((curve(clavicle, 16) * mirror, widths))
        blade, lateral = _scapula(anatomy, view.protraction + rng.normal(0.0, 0.01), shoulder)
        plates.append(blade * mirror)
        borders.append((lateral * mirror, np.full(len(lateral), 0.012)))
        borders.append((blade[: len(blade) // 2] * mirror, np.full(len(blade) // 2, 0.005)))
        spur = curve([(blade[0, 0], blade[0, 1] + 0.06), (0.335 * reach, top + 0.055 + lift), tuple(shoulder)], 8)
        borders.append((spur * mirror, np.linspace(0.008, 0.02, 8)))
        head = shoulder + np.array((0.052, 0.062))
        turn = np.linspace(0.0, 2 * np.pi, 24, endpoint=False)
        heads.append((head + 0.04 * np.stack([np.cos(turn), 1.1 * np.sin(turn)], axis=1)) * mirror)
        shaft = np.linspace(head + np.array((0.008, 0.02)), head + np.array((0.06 + 0.26 * view.arms, 0.85)), 12)
        bones.append((shaft * mirror, np.interp(np.linspace(0, 1, 12), [0.0, 0.12, 1.0], [0.07, 0.046, 0.042])))
    density = anatomy.rib_density
    ball = frame.fill(heads)
    total = _tubes(frame, batched(bones), 0.2 * density, 0.22 * density, 0.005)
    total += np.float32(0.2 * density) * (ball + 1.2 * np.maximum(ball - soften(ball, 0.008), 0.0))
    total += np.float32(0.10 * density) * frame.fill(plates)
    return soften(total + np.float32(0.2 * density) * frame.stroke(borders), 0.0022)


def _scapula(anatomy: Anatomy, protraction: float, shoulder: Points) -> tuple[Points, Points]:
    """(outline from the upper angle down the medial border, lateral border from the glenoid to the lower angle)."""
    inward = anatomy.cage * 0.8 + protraction
    top = float(shoulder[1])
    neck = float(shoulder[0]) + 0.02
    medial = [(inward, top + 0.03), (inward - 0.004, top + 0.13), (inward + 0.012, top + 0.23)]
    medial += [(inward + 0.04, top + 0.315)]
    side = [
        (neck, top + 0.095),
        (inward + 0.095, top + 0.19),
        (inward + 0.07, top + 0.29),
        (inward + 0.04, top + 0.315),
    ]
    lateral = curve(side, 14)
    upper = curve([(neck, top + 0.05), (inward + 0.06, top + 0.025), (inward, top + 0.03)], 8)
    return np.vstack([curve(medial, 16), lateral[::-1], upper]), lateral


def spine(scene: Scene) -> Array:
    """Vertebral column with end plates, pedicles and spinous processes."""
    anatomy = scene.anatomy
    u, v = scene.frame.body
    rng = np.random.default_rng([anatomy.seed, 3])
    bend = np.float32(anatomy.spine_bend)
    half = (0.030 + 0.008 * np.clip(v, 0.0, 1.0)).astype(np.float32)
    offset = np.abs(u - bend * np.sin(np.pi * np.clip(v, 0, 1.2)))
    column = smoothstep(1.25, 0.75, offset / half)
    level = (v - np.float32(rng.uniform(0.0, 0.06))) / np.float32(anatomy.height / 11.5)
    phase = level - np.floor(level)
    middle = np.abs(phase - np.float32(0.5))
    disc = smoothstep(0.16, 0.05, middle)
    plate = smoothstep(0.1, 0.02, np.abs(middle - np.float32(0.2)))
    pedicle = np.exp(-(((offset / half - 0.62) / 0.2) ** 2) - ((middle - 0.36) / 0.09) ** 2)
    process = np.exp(-((offset / 0.007) ** 2) - ((phase - 0.62) / 0.16) ** 2)
    shape = 0.42 - 0.16 * disc + 0.12 * plate + 0.16 * pedicle + 0.16 * process
    return np.asarray(0.46 * anatomy.rib_density * column * shape, dtype=np.float32)
