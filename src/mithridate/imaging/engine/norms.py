"""Norms of single examples: what minimum-norm attacks measure, and balls with a radius for each."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from mithridate.budget import L2, Linf
from mithridate.errors import UserError

Norm = Literal["linf", "l2"]


def norm_of(budget: Any, attack: str) -> Norm:
    """The norm that a budget measures.  Raises UserError for a budget that is no norm ball."""
    if isinstance(budget, Linf):
        return "linf"
    if isinstance(budget, L2):
        return "l2"
    raise UserError(f"{attack} needs a budget linf or l2, not {budget.describe()['kind']}")


def each(values: Tensor) -> Tensor:
    """One number an example, shaped to multiply N x C x H x W."""
    return values.view(-1, 1, 1, 1)


def length(step: Tensor, norm: Norm) -> Tensor:
    """Length of each step, float64 N."""
    flat = step.flatten(1)
    return flat.abs().amax(1).double() if norm == "linf" else flat.double().norm(dim=1)


def dual_length(gradient: Tensor, norm: Norm) -> Tensor:
    """How much a linear function of this gradient rises a unit step, float64 N."""
    flat = gradient.flatten(1)
    return flat.abs().sum(1, dtype=torch.float64) if norm == "linf" else flat.double().norm(dim=1)


def into_ball(step: Tensor, radius: Tensor, norm: Norm) -> Tensor:
    """The nearest step that is no longer than its own radius (N)."""
    if norm == "linf":
        bound = each(radius.to(step.dtype))
        return torch.minimum(torch.maximum(step, -bound), bound)
    shrink = (radius / length(step, norm).clamp_min(1e-300)).clamp_max(1).to(step.dtype)
    return step * each(shrink)
