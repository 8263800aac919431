"""The changes that a threat model allows: each budget projects, samples and measures, independently of any attack.

Inputs are N x C x H x W in [0, 1].  `violation` works in float64 and is what the audit trusts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from mithridate.seeds import ExampleRandom

PAPER_EPSILON = {"paper-code": 0.01, "paper-text": 0.02}
"""Two readings of the eps of Finlayson et al.: their text says 0.02; their code applies 0.02 on pixels in [-1, 1],
which is 0.01 on pixels in [0, 1]."""


def epsilon_reading(value: float | str) -> float:
    """A number, or one of the paper's two readings by name.  Raises ValueError for any other name."""
    if isinstance(value, str):
        if value not in PAPER_EPSILON:
            raise ValueError(
                f"'{value}' is not a reading of the paper's epsilon; use one of {', '.join(PAPER_EPSILON)}"
            )
        return PAPER_EPSILON[value]
    return float(value)


class Budget(Protocol):
    """A set of allowed changes."""

    @property
    def size(self) -> float:
        """The dose on this budget's own axis: epsilon, or degrees."""
        ...

    def violation(self, origin: Tensor, candidate: Tensor) -> Tensor:
        """How far each candidate lies outside the budget (float64 N; 0 = inside)."""
        ...

    def describe(self) -> dict[str, Any]:
        """Plain data that names the budget in findings and reports."""
        ...


@runtime_checkable
class PixelBudget(Budget, Protocol):
    """A budget that a gradient method can walk in: a norm ball cut by the pixel range."""

    def project(self, candidate: Tensor, origin: Tensor) -> Tensor: ...

    def sample(self, origin: Tensor, rows: Tensor, rng: ExampleRandom) -> Tensor: ...

    def steepest(self, gradient: Tensor) -> Tensor:
        """The unit-size step that raises a linearised loss most, shaped like the gradient."""
        ...


@dataclass(frozen=True)
class Linf:
    """No pixel moves by more than epsilon."""

    epsilon: float

    @property
    def size(self) -> float:
        return self.epsilon

    def project(self, candidate: Tensor, origin: Tensor) -> Tensor:
        low, high = (origin - self.epsilon).clamp_min(0), (origin + self.epsilon).clamp_max(1)
        return torch.minimum(torch.maximum(candidate, low), high)

    def sample(self, origin: Tensor, rows: Tensor, rng: ExampleRandom) -> Tensor:
        """Uniform in the box."""
        return self.project(origin + rng.uniform(rows, origin.shape[1:], -self.epsilon, self.epsilon), origin)

    def steepest(self, gradient: Tensor) -> Tensor:
        return gradient.sign()

    def violation(self, origin: Tensor, candidate: Tensor) -> Tensor:
        moved = (candidate.double() - origin.double()).abs().flatten(1).amax(1)
        return torch.maximum(_excess(moved, self.epsilon), _out_of_range(candidate))

    def describe(self) -> dict[str, Any]:
        return {"kind": "linf", "epsilon": self.epsilon}


@dataclass(frozen=True)
class L2:
    """The Euclidean length of the change, over all pixels and channels in [0, 1] units, is at most epsilon."""

    epsilon: float

    @property
    def size(self) -> float:
        return self.epsilon

    def project(self, candidate: Tensor, origin: Tensor) -> Tensor:
        # Cutting to [0, 1] first and shrinking second keeps both constraints: the segment to the origin stays in range.
        step = candidate.clamp(0, 1) - origin
        length = _length(step)
        # The margin absorbs the rounding of a whole image of float32 sums, so that the float64 measurement finds no
        # violation.
        return origin + step * (self.epsilon * (1 - 1e-5) / length.clamp_min(1e-30)).clamp_max(1)

    def sample(self, origin: Tensor, rows: Tensor, rng: ExampleRandom) -> Tensor:
        """Uniform in the ball: a Gaussian direction, and a radius with the volume's exponent; then cut to the range."""
        direction = rng.normal(rows, origin.shape[1:])
        dimensions = origin[0].numel() if len(origin) else 1
        radius = rng.uniform(rows, (1,)).pow(1 / dimensions).view(-1, 1, 1, 1) * self.epsilon
        return self.project(origin + direction / _length(direction).clamp_min(1e-30) * radius, origin)

    def steepest(self, gradient: Tensor) -> Tensor:
        # Divide by the largest entry first: tiny gradients would square to zero in float32.
        scaled = gradient / gradient.abs().flatten(1).amax(1).clamp_min(1e-38).view(-1, 1, 1, 1)
        return scaled / _length(scaled).clamp_min(1e-30)

    def violation(self, origin: Tensor, candidate: Tensor) -> Tensor:
        moved = (candidate.double() - origin.double()).flatten(1).norm(dim=1)
        return torch.maximum(_excess(moved, self.epsilon), _out_of_range(candidate))

    def describe(self) -> dict[str, Any]:
        return {"kind": "l2", "epsilon": self.epsilon}


@dataclass(frozen=True)
class Nothing:
    """No change at all: the clean condition."""

    @property
    def size(self) -> float:
        return 0.0

    def violation(self, origin: Tensor, candidate: Tensor) -> Tensor:
        return (candidate.double() - origin.double()).abs().flatten(1).amax(1)

    def describe(self) -> dict[str, Any]:
        return {"kind": "none"}


def _length(x: Tensor) -> Tensor:
    # Summed in float64: in float32 a hundred thousand squares are off by a millionth.
    length: Tensor = x.double().flatten(1).norm(dim=1).to(x.dtype).view(-1, 1, 1, 1)
    return length


def _excess(moved: Tensor, epsilon: float) -> Tensor:
    # float32 cannot hold every epsilon: one part in a million is rounding, not a violation.
    moved = torch.nan_to_num(moved, nan=torch.inf)
    excess: Tensor = torch.where(moved <= epsilon * (1 + 1e-6) + 1e-7, 0.0, moved - epsilon)
    return excess


def _out_of_range(candidate: Tensor) -> Tensor:
    flat = candidate.double().flatten(1)
    outside = torch.maximum(-flat.amin(1), flat.amax(1) - 1).clamp_min(0)
    return torch.where(torch.isfinite(flat).all(1), outside, torch.inf)
