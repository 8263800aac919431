"""HopSkipJump (Chen, Jordan and Wainwright, IEEE S&P 2020): along the boundary with labels alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mithridate.attack import Examples
from mithridate.budget import PixelBudget
from mithridate.imaging.attacks.decision_starts import wrong_starts
from mithridate.imaging.engine.norms import Norm, each, into_ball, length, norm_of
from mithridate.imaging.engine.oracles import DecisionOracle, affords, lanes_of, score_cost
from mithridate.seeds import ExampleRandom

MOST_HALVINGS = 25
"""float32 cannot tell nearer points of a line apart."""


@dataclass(frozen=True)
class HopSkipJump:
    """Estimates the boundary's direction from decisions around a boundary point, jumps, and returns to the boundary.

    steps: jumps.  first_draws: decisions of the first estimate; estimate t takes sqrt(t) times as many, most_draws at
    most.  tries: random images that are tried for a start.  inside_is_enough: an example stops once a wrongly
    classified image lies inside the budget.
    """

    steps: int = 50
    first_draws: int = 100
    most_draws: int = 10_000
    tries: int = 100
    inside_is_enough: bool = False

    def run(self, oracle: DecisionOracle, examples: Examples, budget: PixelBudget, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W: the nearest wrongly classified image found, cut to the budget if it is farther.

        An example whose queries run out keeps what it has.  Raises UserError for a budget that is no norm ball.
        """
        walk = _Boundary(oracle, examples, norm_of(budget, "HopSkipJump"), rng)
        x, found = wrong_starts(oracle, examples, rng, self.tries)
        rows = torch.arange(len(examples))[found]
        rows = walk.to_boundary(x, rows)
        for step in range(1, self.steps + 1):
            if self.inside_is_enough:
                rows = rows[walk.away(x, rows) > budget.size]
            draws = min(int(self.first_draws * math.sqrt(step)), self.most_draws)
            rows = rows[affords(oracle, rows, (draws + 2 * MOST_HALVINGS) * score_cost(oracle))]
            if len(rows) == 0:
                break
            direction = walk.direction(x, rows, draws, first=step == 1)
            walk.jump(x, rows, direction, walk.away(x, rows) / math.sqrt(step))
            walk.to_boundary(x, rows)
        return budget.project(x, examples.inputs)


@dataclass(frozen=True)
class _Boundary:
    """Moves that change `x` (N x C x H x W) in place, for `rows` of it that are classified wrongly."""

    oracle: DecisionOracle
    examples: Examples
    norm: Norm
    rng: ExampleRandom

    @property
    def tolerance(self) -> float:
        """How near to the boundary, as a part of the distance, a point must be for the estimate to work (theta)."""
        pixels = self.examples.inputs[0].numel()
        return 1 / pixels**1.5 if self.norm == "l2" else 1 / pixels**2

    def away(self, x: Tensor, rows: Tensor) -> Tensor:
        return length(x[rows] - self.examples.inputs[rows], self.norm)

    def wrong(self, inputs: Tensor, rows: Tensor) -> Tensor:
        return self.oracle.decide(inputs, rows) != self.examples.labels[rows]

    def to_boundary(self, x: Tensor, rows: Tensor) -> Tensor:
        """Bisect between each image and its original, staying on the wrong side; returns the rows that could pay."""
        rows = rows[affords(self.oracle, rows, MOST_HALVINGS * score_cost(self.oracle))]
        origin, far = self.examples.inputs[rows], x[rows] - self.examples.inputs[rows]
        low = torch.zeros(len(rows), dtype=torch.float64)
        high = self.away(x, rows)
        enough = high * self.tolerance
        for _ in range(MOST_HALVINGS):
            going = high - low > enough
            if not bool(going.any()):
                break
            middle = (low + high) / 2
            tried = (origin + into_ball(far, middle, self.norm))[going]
            wrong = torch.zeros_like(going)
            wrong[going] = self.wrong(tried, rows[going])
            x[rows[wrong]] = tried[wrong[going]]
            high, low = torch.where(wrong, middle, high), torch.where(going & ~wrong, middle, low)
        return rows

    def direction(self, x: Tensor, rows: Tensor, draws: int, first: bool) -> Tensor:
        """Which way leads deeper into the wrong class, from decisions around each point (their algorithm 1)."""
        found, part = torch.zeros_like(x[rows]), lanes_of(self.oracle)
        pixels = x[0].numel()
        spread = pixels**0.5 if self.norm == "l2" else float(pixels)
        for lane, row in enumerate(torch.split(rows, 1)):
            radius = 0.1 if first else max(float(self.away(x, row)) * spread * self.tolerance, 1e-6)
            total, weighted, positive = torch.zeros_like(x[0]), torch.zeros_like(x[0]), 0.0
            for start in range(0, draws, part):
                count = min(part, draws - start)
                shape = (count, *x.shape[1:])
                drawn = self.rng.normal(row, shape)[0] if self.norm == "l2" else self.rng.uniform(row, shape, -1, 1)[0]
                unit = drawn / each(length(drawn, "l2").clamp_min(1e-12).to(drawn.dtype))
                tried = (x[row] + radius * unit).clamp(0, 1)
                unit = (tried - x[row]) / radius
                sign = self.wrong(tried, row.expand(count)).to(x.dtype) * 2 - 1
                total += unit.sum(0)
                weighted += (each(sign) * unit).sum(0)
                positive += float(sign.sum())
            mean = positive / draws
            # Without its mean the estimate has less variance; all on one side, the mean is all there is.
            found[lane] = total * mean if abs(mean) == 1 else weighted - mean * total
        if self.norm == "linf":
            return found.sign()
        return found / each(length(found, "l2").clamp_min(1e-30).to(found.dtype))

    def jump(self, x: Tensor, rows: Tensor, direction: Tensor, size: Tensor) -> None:
        """Go as far as stays on the wrong side: `size` (N), halved until it does."""
        start, going = x[rows], torch.ones(len(rows), dtype=torch.bool)
        for _ in range(MOST_HALVINGS):
            tried = (start + each(size.to(x.dtype)) * direction).clamp(0, 1)[going]
            wrong = self.wrong(tried, rows[going])
            x[rows[going][wrong]] = tried[wrong]
            going[going.clone()] = ~wrong
            if not bool(going.any()):
                return
            size = size / 2
