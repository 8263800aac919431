"""Rotation as a budget: at most so many degrees about the image center (Engstrom et al., ICML 2019)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own alias
from torch import Tensor

Fill = Literal["reflect", "zero"]


def rotate(images: Tensor, degrees: Tensor, fill: Fill = "reflect") -> Tensor:
    """Rotate each N x C x H x W image counter-clockwise by its own angle (degrees, N), bilinear, same size.

    What turns into view beyond the border is the mirrored image, or black with fill="zero".
    """
    angle = torch.deg2rad(degrees.to(images.dtype))
    height, width = images.shape[2:]
    cos, sin, aspect = angle.cos(), angle.sin(), height / width
    zero = torch.zeros_like(cos)
    theta = torch.stack([torch.stack([cos, -sin * aspect, zero], 1), torch.stack([sin / aspect, cos, zero], 1)], 1)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    mode = "reflection" if fill == "reflect" else "zeros"
    return F.grid_sample(images, grid, mode="bilinear", padding_mode=mode, align_corners=False).clamp(0, 1)


@dataclass(frozen=True)
class Rotation:
    """All rotations by at most `degrees` either way."""

    degrees: float
    fill: Fill = "reflect"

    @property
    def size(self) -> float:
        return self.degrees

    def violation(self, origin: Tensor, candidate: Tensor) -> Tensor:
        """Degrees beyond the limit of the rotation that explains the candidate best, plus the worst pixel left
        unexplained (above 1/255); float64 N.

        The angle is found again from the two images alone: a scan, then a golden-section search around its best.
        """
        values = [self._one(o.double(), c.double()) for o, c in zip(origin, candidate, strict=True)]
        return torch.tensor(values, dtype=torch.float64)

    def _one(self, origin: Tensor, candidate: Tensor) -> float:
        if not bool(torch.isfinite(candidate).all()):
            return math.inf

        def residual(angles: Tensor) -> Tensor:
            turned = rotate(origin.expand(len(angles), *origin.shape), angles, self.fill)
            return (turned - candidate).square().flatten(1).mean(1)

        reach = min(180.0, self.degrees * 1.25 + 2)
        # Steps of a pixel's width at the border: coarser steps could miss the valley, finer ones add nothing.
        step = math.degrees(2.0 / max(origin.shape[1:]))
        scan = torch.arange(-reach, reach + step, step, dtype=torch.float64)
        parts = [residual(scan[first : first + 64]) for first in range(0, len(scan), 64)]
        best = float(scan[torch.cat(parts).argmin()])
        angle = _golden(lambda a: float(residual(torch.tensor([a], dtype=torch.float64))), best - step, best + step)
        worst = float((rotate(origin[None], torch.tensor([angle]), self.fill)[0] - candidate).abs().max())
        excess = abs(angle) - self.degrees
        return (excess if excess > 0.05 else 0.0) + (worst if worst > 1 / 255 else 0.0)

    def describe(self) -> dict[str, Any]:
        return {"kind": "rotation", "degrees": self.degrees, "fill": self.fill}


def _golden(function: Any, low: float, high: float, tolerance: float = 1e-3) -> float:
    ratio = (math.sqrt(5) - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    fa, fb = function(a), function(b)
    while high - low > tolerance:
        if fa < fb:
            high, b, fb = b, a, fa
            a = high - ratio * (high - low)
            fa = function(a)
        else:
            low, a, fa = a, b, fb
            b = low + ratio * (high - low)
            fb = function(b)
    return (low + high) / 2
