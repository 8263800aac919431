"""Painting a lesion of the skin phantom: from its description and the doses of its signs to pigments and colors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mithridate.imaging.phantoms.skin_frames import Frame, cells
from mithridate.imaging.phantoms.skin_lesion import OUTLINE, REACH, SPAN, Lesion, equal_area
from mithridate.imaging.phantoms.skin_signs import Signs
from mithridate.imaging.phantoms.skin_surface import BLOOD
from mithridate.imaging.phantoms.texture import Array, smoothstep

_VEIL = np.array([0.43, 0.46, 0.545], dtype=np.float32)
_SCAR = np.array([1.02, 0.93, 0.95], dtype=np.float32)


@dataclass(frozen=True)
class Layers:
    """What lies in the skin, each height x width: absorbances (melanin, blood, black) and opacities (veil, scar)."""

    melanin: Array
    blood: Array
    black: Array
    veil: Array
    scar: Array


@dataclass(frozen=True)
class _Site:
    """Where the brush is: the lesion's frame, positions in it, and the random fields on it, each height x width."""

    frame: Frame
    u: Array
    v: Array
    depth: Array
    mask: Array
    edge: Array
    mottle: Array
    regions: Array
    colors: Array
    hues: Array


def paint(
    lesion: Lesion, signs: Signs, severity: float, skin: Frame, fine: Array
) -> tuple[tuple[slice, slice], Layers]:
    """Layers of a lesion at a severity, and the rows and columns of the image that they cover.

    `skin` is the frame of the whole view and `fine` unit noise of its size.
    """
    doses = signs.doses(severity)
    site = _survey(lesion, signs, doses, skin)
    body = _body(lesion, site, fine[site.frame.window]) * _structure(lesion, doses, site, skin)
    return site.frame.window, _malignant(_benign(lesion, site, body), signs, doses, site)


def color(absorbed: Array, layers: Layers, spectrum: NDArray[np.float32]) -> Array:
    """Reflectance, height x width x 3: absorption by the pigments (Beer-Lambert), then what scatters above them.

    `absorbed` is the healthy skin's absorbance and `spectrum` that of the lesion's melanin.
    """
    total = absorbed + layers.melanin[..., None] * spectrum + layers.blood[..., None] * (BLOOD * np.float32(0.8))
    rgb = np.exp(-(total + layers.black[..., None]))
    tone = np.exp(-absorbed)
    brightness = tone.mean(axis=2, keepdims=True)
    veil = _VEIL * (0.35 + 0.65 * brightness) * (0.6 + 0.9 * rgb)
    rgb += layers.veil[..., None] * (veil - rgb)
    rgb += layers.scar[..., None] * (np.minimum(_SCAR * tone, 1.0) - rgb)
    return rgb


def _survey(lesion: Lesion, signs: Signs, doses: dict[str, float], skin: Frame) -> _Site:
    frame = lesion.frame(skin)
    u, v = frame.coordinates()
    distance = np.hypot(u, v)
    edge = frame.sample(lesion.edge, SPAN)
    depth = _depth(lesion, signs, doses, (u, v), edge)
    mask = smoothstep(1 + lesion.softness, 1 - lesion.softness, depth) * smoothstep(REACH, REACH - 0.25, distance)
    mottle, regions = frame.sample(lesion.mottle, SPAN), frame.sample(signs.regions, SPAN)
    colors, hues = frame.sample(signs.colors, SPAN), frame.sample(signs.hues, SPAN)
    return _Site(frame, u, v, depth, mask, edge, mottle, regions, colors, hues)


def _depth(lesion: Lesion, signs: Signs, doses: dict[str, float], uv: tuple[Array, Array], edge: Array) -> Array:
    """Distance from the center over the outline's radius: 1 on the border, less where a streak reaches out."""
    u, v = uv
    angle = np.arctan2(v, u) * np.float32(OUTLINE / (2 * np.pi))
    radii = equal_area(lesion.outline + doses["asymmetry"] * signs.lopsided + doses["border"] * signs.notches)
    depth = np.hypot(u, v) / radii[np.floor(angle).astype(np.intp) % OUTLINE]
    # The border noise also sways the streaks, which would otherwise be ruled lines.
    streak = (np.float32(0.20 * doses["streaks"]) * signs.fingers)[
        np.floor(angle + 10 * edge).astype(np.intp) % OUTLINE
    ]
    reach = smoothstep(0.5, 1.0, depth.astype(np.float32))
    swayed: Array = depth + (lesion.fray + 0.04 * doses["border"]) * edge - streak * reach
    return swayed


def _body(lesion: Lesion, site: _Site, fine: Array) -> Array:
    """Relative pigment of a nevus without its network: radial profile, mottling, darker core."""
    radial = lesion.profile * (1 - 2 * np.minimum(site.depth, 1.2))
    right, down = lesion.core_offset
    away: Array = np.hypot(site.u - np.float32(right), site.v - np.float32(down)) + np.float32(0.12) * site.mottle
    core = lesion.core * smoothstep(lesion.core_radius + 0.2, lesion.core_radius - 0.2, away)
    body: Array = 1 + radial + lesion.mottling * site.mottle + np.float32(0.06) * fine + core
    return body


def _structure(lesion: Lesion, doses: dict[str, float], site: _Site, skin: Frame) -> Array:
    """Relative pigment of network, globules and dots, about 1 on average."""
    x, y = (axis[site.frame.window] for axis in skin.coordinates())
    bend = np.float32(0.35 * lesion.mesh)
    x, y = x + bend * site.mottle, y + bend * site.edge
    visible = min(max(lesion.mesh / skin.pixel / 2.2 - 0.5, 0.0), 1.0)  # a mesh below two pixels cannot be drawn
    soft = max(0.10, skin.pixel / lesion.mesh)
    depth, patchy = site.depth, 0.9 + 0.3 * site.mottle

    typical = cells(x, y, lesion.mesh)
    line = smoothstep(lesion.line + soft, lesion.line * 0.3, typical.wall)
    disc = smoothstep(0.40, 0.30 - soft, typical.center)
    network = lesion.network * (1 - lesion.network_rim * smoothstep(0.8, 0.3, depth)) * patchy
    inner, outer = lesion.globule_reach
    zone = smoothstep(inner - 0.15, inner + 0.1, depth) * smoothstep(outer + 0.1, outer - 0.1, depth)
    atypical = doses["network"] * smoothstep(-0.6, 0.5, site.regions)
    factor = 1 + network * (1 - atypical) * (1.5 * line - 0.6) + lesion.globules * zone * (1.6 * disc - 0.7)
    if doses["network"] or doses["dots"]:
        odd = cells(x, y, 1.5 * lesion.mesh, irregular=True)
        mark = odd.mark
        coarse = 1 - smoothstep(0.0, 1.0, (odd.wall - 0.02) / (0.14 + 0.16 * mark + soft))
        dot = 1 - smoothstep(0.0, 1.0, (odd.center - 0.05) / (0.11 + 0.26 * mark))
        factor += atypical * (2.1 * coarse - 0.75)
        factor += 2.6 * doses["dots"] * dot * (mark > 0.45) * smoothstep(0.2, -0.5, site.regions)
    structure: Array = 1 + visible * (factor - 1)
    return structure


def _benign(lesion: Lesion, site: _Site, body: Array) -> Layers:
    """The layers of a nevus; haze, pallor and a black lamella sit in its middle, so that no color alone is a sign."""
    middle = smoothstep(lesion.pale_radius + 0.35, lesion.pale_radius - 0.35, site.depth + 0.15 * site.mottle)
    central = site.mask * middle
    return Layers(
        melanin=lesion.density * site.mask * np.maximum(body, 0.02),
        blood=lesion.blood * site.mask * (1 + 0.3 * site.mottle),
        black=lesion.lamella * central * smoothstep(-1.6, 0.6, site.mottle),
        veil=np.maximum(lesion.veil * site.mask, lesion.haze * central),
        scar=lesion.pale * central,
    )


def _malignant(nevus: Layers, signs: Signs, doses: dict[str, float], site: _Site) -> Layers:
    """Add the colors of melanoma: patches of every pigment, off the center and without symmetry."""
    spread, scarred = doses["variegation"], doses["regression"]
    islands = 0.12 + 1.5 * smoothstep(-1.0, 1.2, site.colors)
    # Regression and veil take brown away; more of it elsewhere keeps the mean color of the lesion uninformative.
    remainder = 1 + 0.25 * scarred + 0.10 * doses["veil"]
    melanin = remainder * nevus.melanin * (1 + spread * (islands - 1)) * np.exp(0.25 * spread * site.hues)
    blotch = _region(site, signs.places[0], 0.25 + 0.30 * doses["blotch"], site.regions)
    black = 0.95 * doses["blotch"] * blotch * smoothstep(-0.8, 0.4, site.colors)
    fade = scarred * _region(site, signs.places[1], 0.35 + 0.35 * scarred, site.hues)
    peppering = smoothstep(0.7, 1.3, site.regions) * fade
    veil = 0.75 * doses["veil"] * _region(site, signs.places[2], 0.35 + 0.30 * doses["veil"], site.colors)
    return Layers(
        melanin=melanin * (1 - 0.85 * fade) + 0.5 * peppering,
        blood=nevus.blood + 0.8 * spread * site.mask * smoothstep(0.3, 1.2, site.hues) + 0.25 * fade,
        black=np.maximum(nevus.black, black) * (1 - fade),
        veil=np.maximum(nevus.veil, veil + 0.3 * peppering),
        scar=np.maximum(nevus.scar, 0.55 * fade * (1 - peppering)),
    )


def _region(site: _Site, place: NDArray[np.float64], radius: float, ragged: Array) -> Array:
    """A soft, irregular region of the lesion around a place, in [0, 1]."""
    away = np.hypot(site.u - np.float32(place[0]), site.v - np.float32(place[1])) / np.float32(radius)
    return smoothstep(-0.25, 0.6, 1 - away + np.float32(0.35) * ragged) * site.mask
