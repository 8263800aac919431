"""Rotation to the angle that the model likes least (Engstrom et al. 2019): no gradient, no noise, only geometry."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mithridate.attack import Examples
from mithridate.imaging.attacks.losses import margin
from mithridate.imaging.rotation import Rotation, rotate
from mithridate.oracle import Scores
from mithridate.seeds import ExampleRandom


@dataclass(frozen=True)
class WorstRotation:
    """Tries `angles` evenly spaced angles from -degrees to +degrees and keeps the one with the highest margin loss."""

    angles: int = 31

    def run(self, oracle: Scores, examples: Examples, budget: Rotation, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W."""
        best, best_loss = examples.inputs.clone(), torch.full((len(examples),), -torch.inf)
        rows = torch.arange(len(examples))
        for angle in torch.linspace(-budget.degrees, budget.degrees, self.angles):
            turned = rotate(examples.inputs, angle.expand(len(examples)), budget.fill)
            value = margin(oracle.scores(turned, rows), examples.labels)
            better = value > best_loss
            best[better], best_loss[better] = turned[better], value[better]
        return best
