"""DeepFool (Moosavi-Dezfooli et al., CVPR 2016): step by step over the nearest boundary of the linearized model."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mithridate.attack import Examples
from mithridate.budget import PixelBudget
from mithridate.imaging.attacks.aim import likeliest_targets
from mithridate.imaging.attacks.losses import towards_class
from mithridate.imaging.engine.best import Best
from mithridate.imaging.engine.hyperplane import nearest_step
from mithridate.imaging.engine.loop import Goal, Lanes, walk
from mithridate.imaging.engine.norms import Norm, dual_length, each, length, norm_of
from mithridate.imaging.engine.oracles import GradientOracle, gradient_cost
from mithridate.seeds import ExampleRandom


@dataclass(frozen=True)
class DeepFool:
    """A small perturbation that fools, not one of fixed size: its candidates lie anywhere inside the budget.

    steps: linearizations at most.  overshoot: how much further than the boundary the whole change goes.  classes: how
    many of the likeliest wrong classes are looked at.  The boundary's nearest point is taken inside the pixel range.
    """

    steps: int = 50
    overshoot: float = 0.02
    classes: int = 9

    def run(self, oracle: GradientOracle, examples: Examples, budget: PixelBudget, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W.  Raises UserError for a budget that is no norm ball."""
        norm, best, goal = norm_of(budget, "DeepFool"), Best(examples.inputs), Goal(examples.labels)
        rows, others = likeliest_targets(oracle, examples, self.classes)
        walk(oracle, rows, _Descent(self, oracle, examples, others, budget, norm, goal, best))
        return best.candidates


@dataclass
class _Lane(Lanes):
    x: Tensor
    age: Tensor
    fooled: Tensor
    candidate: Tensor


@dataclass(frozen=True)
class _Descent:
    attack: DeepFool
    oracle: GradientOracle
    examples: Examples
    others: Tensor
    budget: PixelBudget
    norm: Norm
    goal: Goal
    best: Best

    @property
    def cost(self) -> int:
        return self.others.shape[1] * gradient_cost(self.oracle)

    def enter(self, rows: Tensor) -> _Lane:
        x = self.examples.inputs[rows]
        none = torch.zeros(len(rows), dtype=torch.bool)
        return _Lane(x=x, age=torch.zeros(len(rows), dtype=torch.int64), fooled=none, candidate=x)

    def step(self, rows: Tensor, lanes: _Lane) -> tuple[_Lane, Tensor]:
        origin = self.examples.inputs[rows]
        looked = origin + (1 + self.attack.overshoot) * (lanes.x - origin)
        looked = looked.clamp(0, 1)
        nearest = torch.full((len(rows),), torch.inf, dtype=torch.float64)
        step = torch.zeros_like(origin)
        fooled = lanes.fooled
        for rank in range(self.others.shape[1]):
            pairs = torch.stack([self.goal.aim[rows], self.others[rows, rank]], 1)
            logits, gap, gradient = self.oracle.loss_and_gradient(looked, pairs, rows, towards_class)
            fooled = self.goal.reached(logits, rows)
            away = gap.double().abs() / dual_length(gradient, self.norm).clamp_min(1e-300)
            closer = away < nearest
            nearest = torch.where(closer, away, nearest)
            step = torch.where(each(closer), nearest_step(looked, gradient, gap, self.norm), step)
        candidate = torch.where(each(fooled | ~lanes.fooled), looked, lanes.candidate)
        # Without the overshoot taken out again the change would grow by it at every step.
        x = (origin + (looked - origin) / (1 + self.attack.overshoot) + step).clamp(0, 1)
        lanes = replace(lanes, x=x, age=lanes.age + 1, fooled=fooled, candidate=candidate)
        return lanes, fooled | (lanes.age > self.attack.steps)

    def leave(self, rows: Tensor, lanes: _Lane) -> tuple[_Lane, Tensor]:
        origin = self.examples.inputs[rows]
        stands = self.goal.confirmed(self.oracle, lanes.candidate, rows, lanes.fooled)
        again = lanes.fooled & ~stands & (lanes.age <= self.attack.steps)
        candidate = self.budget.project(lanes.candidate, origin)
        value = -length(lanes.candidate - origin, self.norm)
        self.best.offer(rows[~again], candidate[~again], value[~again], stands[~again])
        return replace(lanes, fooled=stands), again
