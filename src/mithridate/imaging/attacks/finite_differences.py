"""Gradients estimated from scores (ZOO, Chen et al. 2017; NES, Ilyas et al. 2018): a black box walked as white."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mithridate.attack import Examples
from mithridate.budget import PixelBudget
from mithridate.imaging.attacks.losses import LossName
from mithridate.imaging.attacks.pgd import PGD
from mithridate.imaging.engine.norms import each
from mithridate.imaging.engine.oracles import ScoreOracle, View, lanes_of
from mithridate.oracle import Loss
from mithridate.seeds import ExampleRandom

Directions = Literal["pixels", "gaussian"]


class EstimatedGradients(View):
    """A score oracle that offers gradients: symmetric differences of the loss along random directions.

    directions: how many; each costs two queries.  radius: half the distance between the two points of a pair.  kind:
    "pixels" draws single pixels (ZOO), "gaussian" directions over all pixels (NES).
    """

    def __init__(
        self, inner: ScoreOracle, rng: ExampleRandom, directions: int, radius: float, kind: Directions
    ) -> None:
        super().__init__(inner)
        self._rng, self._directions, self._radius, self._kind = rng, directions, radius, kind

    @property
    def gradient_cost(self) -> int:
        return (2 * self._directions + 1) * super().score_cost

    def loss_and_gradient(
        self, inputs: Tensor, labels: Tensor, rows: Tensor, loss: Loss
    ) -> tuple[Tensor, Tensor, Tensor]:
        logits = self.scores(inputs, rows)
        estimate = torch.zeros_like(inputs)
        for lane in range(len(inputs)):
            estimate[lane] = self._estimate(inputs[lane], labels[lane : lane + 1], rows[lane : lane + 1], loss)
        return logits, loss(logits, labels), estimate

    def _estimate(self, x: Tensor, label: Tensor, row: Tensor, loss: Loss) -> Tensor:
        """One example's gradient: its pairs fill the batches."""
        total, half = torch.zeros_like(x), max(1, lanes_of(self.inner) // 2)
        for first in range(0, self._directions, half):
            count = min(half, self._directions - first)
            pairs = self._draw(x, row, count)
            # Only images can be asked about: at the ends of the range a pair is cut, and its difference smaller.
            both = torch.cat([x + self._radius * pairs, x - self._radius * pairs]).clamp(0, 1)
            many = row.expand(2 * count)
            values = loss(self.scores(both, many), label.expand(2 * count, *label.shape[1:]))
            total += (each(values[:count] - values[count:]) / (2 * self._radius) * pairs).sum(0)
        return total / self._directions

    def _draw(self, x: Tensor, row: Tensor, count: int) -> Tensor:
        if self._kind == "gaussian":
            return self._rng.normal(row, (count, *x.shape))[0]
        where = (self._rng.uniform(row, (count,))[0] * x.numel()).long().clamp_max(x.numel() - 1)
        return torch.zeros(count, x.numel()).scatter_(1, where[:, None], 1.0).view(count, *x.shape)


@dataclass(frozen=True)
class FiniteDifferences:
    """PGD with estimated gradients; an example leaves as soon as it is fooled.

    steps: steps of PGD; queries an example: at most steps x (2 x directions + 1) + 1.  momentum: averages the noise
    of the estimates.  Other fields as in EstimatedGradients and PGD.
    """

    steps: int = 50
    directions: int = 50
    radius: float = 0.01
    kind: Directions = "gaussian"
    loss: LossName = "margin"
    momentum: float = 0.9

    def run(self, oracle: ScoreOracle, examples: Examples, budget: PixelBudget, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W."""
        estimated = EstimatedGradients(oracle, rng, self.directions, self.radius, self.kind)
        walk = PGD(
            self.steps,
            random_start=False,
            loss=self.loss,
            every_step=False,
            momentum=self.momentum,
        )
        return walk.run(estimated, examples, budget, rng)
