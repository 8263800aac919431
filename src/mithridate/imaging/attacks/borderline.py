"""Borderline cases first: those that a reader could take for either class anyway, and the smallest change turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mithridate.attack import Examples
from mithridate.imaging.attacks.aim import payers
from mithridate.imaging.attacks.losses import margin
from mithridate.imaging.engine.oracles import ScoreOracle, attack_some, each_attack, score_cost
from mithridate.seeds import ExampleRandom


@dataclass(frozen=True)
class Borderline:
    """An attack that spends itself only on examples near the decision threshold, the nearest first.

    gap: the largest gap, in probability, between an example's class and the next likely one; 1 attacks all.  The other
    examples are returned as they are.
    """

    attack: Any
    gap: float = 0.2

    def each(self, wrap: Callable[[Any], Any]) -> Borderline:
        """The same with each attack that it runs in its wrapping."""
        return Borderline(each_attack(self.attack, wrap), self.gap)

    def run(self, oracle: ScoreOracle, examples: Examples, budget: Any, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W."""
        rows = payers(oracle, len(examples), score_cost(oracle))
        probabilities = oracle.scores(examples.inputs[rows], rows).softmax(1)
        gaps = torch.full((len(examples),), torch.inf)
        gaps[rows] = -margin(probabilities, examples.labels[rows]) if len(rows) else gaps[rows]
        # Stable, so that equals keep the order of the examples.
        near = gaps.argsort(stable=True)
        near = near[(gaps[near] <= self.gap) & (gaps[near] >= 0)]
        candidates = examples.inputs.clone()
        if len(near):
            candidates[near] = attack_some(self.attack, oracle, examples, budget, rng, near)
        return candidates
