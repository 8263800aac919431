"""Random noise of the attack's own size: the control that a robust reading of any attack needs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mithridate.attack import Examples
from mithridate.budget import PixelBudget
from mithridate.imaging.engine.oracles import DecisionOracle, affords, score_cost
from mithridate.seeds import ExampleRandom


@dataclass(frozen=True)
class RandomNoise:
    """A random point of the budget; with more draws than one, the first that changes the decision, else the last."""

    draws: int = 1

    def run(self, oracle: DecisionOracle, examples: Examples, budget: PixelBudget, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W."""
        candidates = examples.inputs.clone()
        rows = torch.arange(len(examples))
        for draw in range(self.draws):
            candidates[rows] = budget.sample(examples.inputs[rows], rows, rng)
            if draw + 1 < self.draws:
                rows = rows[affords(oracle, rows, score_cost(oracle))]
                rows = rows[oracle.decide(candidates[rows], rows) == examples.labels[rows]]
            if len(rows) == 0:
                break
        return candidates
