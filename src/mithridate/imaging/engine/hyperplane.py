"""The nearest point of a hyperplane inside the pixel range: the geometry under DeepFool and FAB."""

from __future__ import annotations

import torch
from torch import Tensor

from mithridate.imaging.engine.norms import Norm

TOLERANCE = 1e-6
"""Part of the way that may be missing: above the rounding of float32, far below what attacks go too far on purpose."""


def nearest_step(x: Tensor, normal: Tensor, offset: Tensor, norm: Norm) -> Tensor:
    """The shortest step d with normal . d = -offset and x + d in [0, 1], N x C x H x W (Croce and Hein 2020, eq. 6).

    offset (N) is the value of the linear function at x.  Where no point of the range reaches the hyperplane, the step
    goes as far towards it as the range lets it.

    The step is min(length_i, room_i) along the helpful direction of each pixel, with length_i = t for the maximum norm
    and t |normal_i| for the Euclidean one.  How far that carries is increasing, concave and piecewise linear in t, so
    Newton's method from below reaches the exact root in finitely many iterations.
    """
    # Scale invariance: only the direction of the normal and the ratio to the offset matter; this keeps w^2 in range.
    w = normal.flatten(1)
    scale = w.abs().amax(1, keepdim=True)
    scale = torch.where(scale > 0, scale, 1)
    # Images in float32, sums over them in float64: they are long.
    w = (w / scale * -offset.to(w.dtype).sign()[:, None]).float()
    goal = offset.double().abs() / scale[:, 0].double()
    # Products with masks instead of choices between tensors, which take ten times as long.
    room = ((w > 0).float() - x.float().flatten(1).clamp(0, 1)).abs()
    size = w.abs()
    gain = size if norm == "linf" else size.square()
    total = gain.sum(1, dtype=torch.float64)
    # A constant function has no hyperplane to go to: no step.
    t = torch.where(total > 0, goal / total.clamp_min(1e-300), 0.0)
    for _ in range(100):
        reach = _reach(t, size, norm)
        short = goal - (size * torch.minimum(reach, room)).sum(1, dtype=torch.float64)
        slope = (gain * (reach < room)).sum(1, dtype=torch.float64)
        going = (short > TOLERANCE * goal) & (slope > 0)
        if not bool(going.any()):
            break
        t = torch.where(going, t + short / slope.clamp_min(1e-300), t)
    step = torch.minimum(_reach(t, size, norm), room) * w.sign()
    return step.to(x.dtype).view_as(x)


def _reach(t: Tensor, size: Tensor, norm: Norm) -> Tensor:
    """How far each pixel would go, were there room."""
    far = t.float()[:, None]
    return far if norm == "linf" else far * size
