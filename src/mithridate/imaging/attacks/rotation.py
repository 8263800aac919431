"""Rotation to the angle that the model likes least (Engstrom et al. 2019): no gradient, no noise, only geometry."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mithridate.attack import Examples
from mithridate.imaging.attacks.aim import payers
from mithridate.imaging.attacks.losses import margin
from mithridate.imaging.engine.oracles import ScoreOracle, score_cost
from mithridate.imaging.rotation import Rotation, rotate
from mithridate.seeds import ExampleRandom


@dataclass(frozen=True)
class WorstRotation:
    """Tries `angles` evenly spaced angles from -degrees to +degrees and keeps the one with the highest margin loss."""

    angles: int = 31

    def run(self, oracle: ScoreOracle, examples: Examples, budget: Rotation, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W."""
        best, best_loss = examples.inputs.clone(), torch.full((len(examples),), -torch.inf)
        for angle in torch.linspace(-budget.degrees, budget.degrees, self.angles):
            rows = payers(oracle, len(examples), score_cost(oracle))
            if len(rows) == 0:
                break
            turned = rotate(examples.inputs[rows], angle.expand(len(rows)), budget.fill)
            value = margin(oracle.scores(turned, rows), examples.labels[rows])
            better = value > best_loss[rows]
            best[rows[better]], best_loss[rows[better]] = turned[better], value[better]
        return best
