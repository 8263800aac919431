"""An attack for each class that images are steered to: what is trained towards one class says nothing of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mithridate.attack import Examples
from mithridate.imaging.attacks.aim import goal_of
from mithridate.imaging.engine.oracles import attack_some
from mithridate.seeds import ExampleRandom


@dataclass(frozen=True, eq=False)
class PerTarget:
    """`attacks[k]` for the examples whose target is class k."""

    attacks: tuple[Any, ...]

    def run(self, oracle: Any, examples: Examples, budget: Any, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W.  Raises ValueError without targets."""
        targets = goal_of(examples, True).aim
        candidates = examples.inputs.clone()
        for target, attack in enumerate(self.attacks):
            rows = (targets == target).nonzero()[:, 0]
            if len(rows):
                candidates[rows] = attack_some(attack, oracle, examples, budget, rng, rows)
        return candidates
