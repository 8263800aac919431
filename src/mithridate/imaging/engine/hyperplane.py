"""The nearest point of a hyperplane inside the pixel range: the geometry under DeepFool and FAB."""

from __future__ import annotations

import torch
from torch import Tensor

from mithridate.imaging.engine.norms import Norm


def nearest_step(x: Tensor, normal: Tensor, offset: Tensor, norm: Norm) -> Tensor:
    """The shortest step d with normal . d = -offset and x + d in [0, 1], N x C x H x W (Croce and Hein 2020, eq. 6).

    offset (N) is the value of the linear function at x.  Where no point of the range reaches the hyperplane, the step
    goes as far towards it as the range lets it.

    The step is min(length_i, room_i) along the helpful direction of each pixel, with length_i = t for the maximum norm
    and t |normal_i| for the Euclidean one.  How far that carries is increasing, concave and piecewise linear in t, so
    Newton's method from below reaches the exact root in finitely many iterations.
    """
    w = normal.double().flatten(1) * -offset.double().sign().view(-1, 1)
    flat = x.double().flatten(1)
    # Scale invariance: only the direction of the normal and the ratio to the offset matter; this keeps w^2 in range.
    scale = w.abs().amax(1, keepdim=True).clamp_min(1e-300)
    w, goal = w / scale, offset.double().abs() / scale[:, 0]
    room = torch.where(w > 0, 1 - flat, flat).clamp_min(0) * (w != 0)
    size = w.abs()
    pace = (size > 0).double() if norm == "linf" else size
    gain = size * pace
    # A constant function has no hyperplane to go to: no step.
    t = torch.where(gain.sum(1) > 0, goal / gain.sum(1).clamp_min(1e-300), 0.0)
    for _ in range(100):
        length = torch.minimum(t[:, None] * pace, room)
        short = goal - (size * length).sum(1)
        slope = (gain * (t[:, None] * pace < room)).sum(1)
        going = (short > 1e-12 * goal) & (slope > 0)
        if not bool(going.any()):
            break
        t = torch.where(going, t + short / slope.clamp_min(1e-300), t)
    step = torch.minimum(t[:, None] * pace, room) * w.sign()
    return step.to(x.dtype).view_as(x)
