"""Budgets of image geometry: a patch of limited area, and rotation together with translation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own alias
from numpy.typing import NDArray
from scipy import optimize
from scipy.spatial import ConvexHull, QhullError
from torch import Tensor

from mithridate.imaging.rotation import Fill

Points = NDArray[np.float64]

UNEXPLAINED = 1 / 255
"""A pixel that differs by no more than this from a rigid motion's own is rounding."""


@dataclass(frozen=True)
class Patch:
    """Anything may happen inside one disc, anywhere, that covers `area` (in (0, 1]) of the image; nothing outside it.

    The paper of Brown et al. (2017) pastes discs; a scale of 0.4 of the image's side is an area of 0.1257.
    """

    area: float

    @property
    def size(self) -> float:
        return self.area

    def diameter(self, height: int, width: int) -> float:
        """Of the disc, in pixels."""
        return 2 * math.sqrt(self.area * height * width / math.pi)

    def violation(self, origin: Tensor, candidate: Tensor) -> Tensor:
        """Area, as a part of the image, by which the smallest disc around all changed pixels exceeds the limit, plus
        how far values leave [0, 1]; float64 N, infinite where a value is not finite."""
        return torch.tensor([self._one(o, c) for o, c in zip(origin, candidate, strict=True)], dtype=torch.float64)

    def _one(self, origin: Tensor, candidate: Tensor) -> float:
        if not bool(torch.isfinite(candidate).all()):
            return math.inf
        outside = max(0.0, -float(candidate.min()), float(candidate.max()) - 1)
        changed = (candidate != origin).any(0).nonzero().double().numpy()
        # Pixel centers of a disc of diameter d lie within d / 2 of its own center.
        reach = enclosing_radius(changed)
        height, width = origin.shape[1:]
        area = math.pi * reach**2 / (height * width)
        excess = area - self.area
        return outside + (excess if excess > 1e-6 * self.area else 0.0)

    def describe(self) -> dict[str, Any]:
        return {"kind": "patch", "area": self.area}


def enclosing_radius(points: Points) -> float:
    """Radius of the smallest circle around points N x 2; 0 for fewer than two (Welzl 1991, on the convex hull)."""
    if len(points) < 2:
        return 0.0
    try:
        hull = points[ConvexHull(points).vertices]
    except QhullError:  # all on one line
        hull = points
    center, radius = hull[0], 0.0
    for i, p in enumerate(hull):
        if _inside(p, center, radius):
            continue
        center, radius = p, 0.0
        for j, q in enumerate(hull[:i]):
            if _inside(q, center, radius):
                continue
            center, radius = (p + q) / 2, float(np.linalg.norm(p - q)) / 2
            for r in hull[:j]:
                if not _inside(r, center, radius):
                    center, radius = _circle(p, q, r)
    return radius


def _inside(point: Points, center: Points, radius: float) -> bool:
    return float(np.linalg.norm(point - center)) <= radius * (1 + 1e-12) + 1e-12


def _circle(p: Points, q: Points, r: Points) -> tuple[Points, float]:
    """Circle through three points that are not on one line."""
    a, b = q - p, r - p
    cross = 2 * (a[0] * b[1] - a[1] * b[0])
    x = (b[1] * (a @ a) - a[1] * (b @ b)) / cross
    y = (a[0] * (b @ b) - b[0] * (a @ a)) / cross
    offset = np.array([x, y])
    return p + offset, float(np.linalg.norm(offset))


def move(images: Tensor, degrees: Tensor, shift: Tensor, fill: Fill = "reflect") -> Tensor:
    """Rotate each N x C x H x W image counter-clockwise by its own angle (N) about its center, then shift it by its own
    (right, down) pixels (N x 2); bilinear, same size.

    What comes into view beyond the border is the mirrored image, or black with fill="zero".
    """
    angle = torch.deg2rad(degrees.to(images.dtype))
    height, width = images.shape[2:]
    cos, sin, aspect = angle.cos(), angle.sin(), height / width
    # The grid asks where each output pixel comes from: the shift is undone first, in units of half the image.
    right, down = (-2 * shift[:, axis].to(images.dtype) / side for axis, side in ((0, width), (1, height)))
    matrix = torch.stack([torch.stack([cos, -sin * aspect], 1), torch.stack([sin / aspect, cos], 1)], 1)
    offset = (matrix @ torch.stack([right, down], 1)[:, :, None]).to(images.dtype)
    grid = F.affine_grid(torch.cat([matrix, offset], 2), list(images.shape), align_corners=False)
    mode = "reflection" if fill == "reflect" else "zeros"
    return F.grid_sample(images, grid, mode="bilinear", padding_mode=mode, align_corners=False).clamp(0, 1)


@dataclass(frozen=True)
class RotationTranslation:
    """Rotation by at most `degrees` either way about the center, then a shift of at most `pixels` along each axis
    (Engstrom et al., ICML 2019)."""

    degrees: float
    pixels: float
    fill: Fill = "reflect"

    @property
    def size(self) -> float:
        return self.degrees

    def violation(self, origin: Tensor, candidate: Tensor) -> Tensor:
        """How far the motion that explains the candidate best lies beyond the limits (degrees or pixels, the larger
        excess), plus the worst pixel that it leaves unexplained (above 1/255); float64 N.

        The motion is found again from the two images alone.
        """
        return torch.tensor(
            [self._one(o.double(), c.double()) for o, c in zip(origin, candidate, strict=True)], dtype=torch.float64
        )

    def _one(self, origin: Tensor, candidate: Tensor) -> float:
        if not bool(torch.isfinite(candidate).all()):
            return math.inf

        # Coarse copies rule out wrong valleys for little; the motion itself is then found on the whole image.
        factor = max(1, max(origin.shape[1:]) // 48)
        small, target = (F.avg_pool2d(x[None], factor)[0] for x in (origin, candidate))
        fits = [self._fit(small, target, start, factor, 80) for start in self._scan(small, target, factor)]
        _, start = min(fits, key=lambda fit: fit[0])
        _, motion = self._fit(origin, candidate, start, 1, 200)
        worst = float((self._moved(origin, motion, 1) - candidate).abs().max())
        excess = max(abs(motion[0]) - self.degrees, *(abs(motion[1:]) - self.pixels))
        return (excess if excess > 0.05 else 0.0) + (worst if worst > UNEXPLAINED else 0.0)

    def _moved(self, image: Tensor, motion: Points, factor: int) -> Tensor:
        parameters = torch.tensor(motion, dtype=torch.float64)
        return move(image[None], parameters[:1], parameters[None, 1:] / factor, self.fill)[0]

    def _fit(
        self, origin: Tensor, candidate: Tensor, start: Points, factor: int, iterations: int
    ) -> tuple[float, Points]:
        """Mean square left unexplained, and the motion (degrees, right, down) that leaves it; simplex search."""
        found = optimize.minimize(
            lambda motion: float((self._moved(origin, motion, factor) - candidate).square().mean()),
            start,
            method="Nelder-Mead",
            options={
                "xatol": 1e-4,
                "fatol": 1e-16,
                "maxiter": iterations,
                "initial_simplex": np.vstack([start, start + np.diag([1.0, 0.5, 0.5])]),
            },
        )
        return float(found.fun), found.x

    def _scan(self, small: Tensor, target: Tensor, factor: int) -> list[Points]:
        """The three motions of a grid that explain coarse copies best."""
        reach, far = min(180.0, self.degrees * 1.25 + 2), self.pixels * 1.25 + 1
        step = math.degrees(2.0 / max(small.shape[1:]))
        angles = np.linspace(-reach, reach, 2 * math.ceil(reach / step) + 1)
        shifts = np.linspace(-far, far, 2 * math.ceil(far / factor) + 1)
        motions = np.stack(np.meshgrid(angles, shifts, shifts, indexing="ij"), -1).reshape(-1, 3)
        errors = []
        for first in range(0, len(motions), 256):
            part = torch.from_numpy(motions[first : first + 256])
            turned = move(small.expand(len(part), *small.shape), part[:, 0], part[:, 1:] / factor, self.fill)
            errors.append((turned - target).square().flatten(1).mean(1))
        return list(motions[torch.cat(errors).argsort()[:3].numpy()])

    def describe(self) -> dict[str, Any]:
        return {"kind": "rotation+translation", "degrees": self.degrees, "pixels": self.pixels, "fill": self.fill}
