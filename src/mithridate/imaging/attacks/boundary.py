"""The boundary attack (Brendel, Rauber and Bethge, ICLR 2018): a random walk along the boundary, with labels alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mithridate.attack import Examples
from mithridate.budget import PixelBudget
from mithridate.imaging.attacks.decision_starts import wrong_starts
from mithridate.imaging.engine.norms import each, length, norm_of
from mithridate.imaging.engine.oracles import DecisionOracle, affords, score_cost
from mithridate.seeds import ExampleRandom

PACE = 1.1
"""How a step grows when it succeeds more often than it should, and shrinks when less often."""


@dataclass(frozen=True)
class Boundary:
    """Steps sideways on the sphere around the original, then towards it, as long as the class stays wrong.

    steps: of two decisions each.  sideways, inwards: the first steps' lengths, as parts of the distance; both adapt, so
    that half of the sideways steps and a quarter of the inward ones succeed.  tries: random images tried for a start.
    inside_is_enough: an example stops once a wrongly classified image lies inside the budget.  The walk shortens the
    Euclidean distance, whatever the budget's norm.
    """

    steps: int = 5000
    sideways: float = 0.1
    inwards: float = 0.1
    tries: int = 100
    inside_is_enough: bool = False

    def run(self, oracle: DecisionOracle, examples: Examples, budget: PixelBudget, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W: the nearest wrongly classified image found, cut to the budget if it is farther.

        An example whose queries run out keeps what it has.  Raises UserError for a budget that is no norm ball.
        """
        norm = norm_of(budget, "the boundary attack")
        x, found = wrong_starts(oracle, examples, rng, self.tries)
        rows = torch.arange(len(examples))[found]
        side = torch.full((len(examples),), self.sideways)
        toward = torch.full((len(examples),), self.inwards)
        for _ in range(self.steps):
            rows = rows[affords(oracle, rows, 2 * score_cost(oracle))]
            if self.inside_is_enough:
                rows = rows[length(x[rows] - examples.inputs[rows], norm) > budget.size]
            if len(rows) == 0:
                break
            origin = examples.inputs[rows]
            around = _sideways(x[rows], origin, each(side[rows]), rng.normal(rows, origin.shape[1:]))
            stays = oracle.decide(around, rows) != examples.labels[rows]
            side[rows] = (side[rows] * torch.where(stays, PACE, 1 / PACE)).clamp_max(1.0)
            # Only who is still wrong can go on towards the original.
            ahead, tried = rows[stays], around[stays]
            if len(ahead) == 0:
                continue
            tried = (tried + each(toward[ahead]) * (origin[stays] - tried)).clamp(0, 1)
            wrong = oracle.decide(tried, ahead) != examples.labels[ahead]
            toward[ahead] = (toward[ahead] * torch.where(wrong, PACE**3, 1 / PACE)).clamp_max(0.5)
            x[ahead] = torch.where(each(wrong), tried, around[stays])
        return budget.project(x, examples.inputs)


def _sideways(x: Tensor, origin: Tensor, part: Tensor, drawn: Tensor) -> Tensor:
    """A random step of `part` of the distance, at right angles to the line to the original, back onto the sphere."""
    out = x - origin
    distance = each(length(out, "l2").clamp_min(1e-12).to(x.dtype))
    unit = out / distance
    drawn = drawn - (drawn * unit).flatten(1).sum(1).view(-1, 1, 1, 1) * unit
    drawn = drawn / each(length(drawn, "l2").clamp_min(1e-12).to(x.dtype)) * part * distance
    moved = out + drawn
    moved = moved / each(length(moved, "l2").clamp_min(1e-12).to(x.dtype)) * distance
    return (origin + moved).clamp(0, 1)
