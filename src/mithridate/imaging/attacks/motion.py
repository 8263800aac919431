"""Rotation and translation together (Engstrom et al., ICML 2019): an exhaustive grid, and the worst of k at random."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mithridate.attack import Examples
from mithridate.imaging.attacks.aim import payers
from mithridate.imaging.attacks.losses import margin
from mithridate.imaging.budgets import RotationTranslation, move
from mithridate.imaging.engine.best import Best
from mithridate.imaging.engine.oracles import ScoreOracle, score_cost
from mithridate.seeds import ExampleRandom


@dataclass(frozen=True)
class MotionGrid:
    """Tries every combination of evenly spaced angles and shifts and keeps the one with the highest margin loss.

    angles, shifts: how many values from one end of the budget to the other; shifts for either axis.
    """

    angles: int = 31
    shifts: int = 5

    def run(self, oracle: ScoreOracle, examples: Examples, budget: RotationTranslation, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W."""
        angles = torch.linspace(-budget.degrees, budget.degrees, self.angles)
        shifts = torch.linspace(-budget.pixels, budget.pixels, self.shifts)
        best = Best(examples.inputs)
        for motion in torch.cartesian_prod(angles, shifts, shifts):
            _try(oracle, examples, budget, motion.expand(len(examples), 3), best)
        return best.candidates


@dataclass(frozen=True)
class WorstMotion:
    """Tries k motions drawn uniformly from the budget and keeps the one with the highest margin loss."""

    k: int = 10

    def run(self, oracle: ScoreOracle, examples: Examples, budget: RotationTranslation, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W."""
        best = Best(examples.inputs)
        limits = torch.tensor([budget.degrees, budget.pixels, budget.pixels])
        for _ in range(self.k):
            drawn = rng.uniform(torch.arange(len(examples)), (3,), -1.0, 1.0)
            _try(oracle, examples, budget, drawn * limits, best)
        return best.candidates


def _try(oracle: ScoreOracle, examples: Examples, budget: RotationTranslation, motions: Tensor, best: Best) -> None:
    rows = payers(oracle, len(examples), score_cost(oracle))
    if len(rows) == 0:
        return
    moved = move(examples.inputs[rows], motions[rows, 0], motions[rows, 1:], budget.fill)
    logits = oracle.scores(moved, rows)
    labels = examples.labels[rows]
    best.offer(rows, moved, margin(logits, labels), logits.argmax(1) != labels)
