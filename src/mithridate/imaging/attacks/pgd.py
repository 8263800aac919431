"""Projected gradient descent (Madry et al. 2018), with momentum (Dong et al. 2018), and its single step, FGSM
(Goodfellow et al. 2015)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mithridate.attack import Examples
from mithridate.budget import PixelBudget
from mithridate.imaging.attacks.aim import goal_of, payers
from mithridate.imaging.attacks.losses import LossName, towards
from mithridate.imaging.engine.best import Best
from mithridate.imaging.engine.loop import Goal, Lanes, walk
from mithridate.imaging.engine.norms import each
from mithridate.imaging.engine.oracles import GradientOracle, affords, gradient_cost, score_cost
from mithridate.oracle import Loss
from mithridate.seeds import ExampleRandom


@dataclass(frozen=True)
class PGD:
    """Iterated steepest ascent of the loss, projected into a norm ball.

    steps: gradient evaluations of each start.  step_size: length of a step in the budget's units; None means
    2.5 x size / steps (Madry et al.).  random_start: begin at a random point of the ball, as every restart after the
    first does.  restarts: independent starts, of which each example keeps its best.  loss: "margin", "cross-entropy"
    or "dlr".  targeted: steer to `examples.targets` instead of away from the label.  every_step: go on after an example
    is fooled, as the paper does; otherwise it leaves the loop, which saves most of the work.  momentum: part of the
    earlier directions that a step keeps, 0 for none; 1 makes examples that transfer between models.

    The candidate returned is the iterate with the highest loss among those that reached the goal, if any did; else
    among all, the last one included.
    """

    steps: int = 20
    step_size: float | None = None
    random_start: bool = True
    restarts: int = 1
    loss: LossName = "margin"
    targeted: bool = False
    every_step: bool = True
    momentum: float = 0.0

    def run(self, oracle: GradientOracle, examples: Examples, budget: PixelBudget, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W.  Raises ValueError if targeted without targets."""
        goal = goal_of(examples, self.targeted)
        best = Best(examples.inputs)
        pending = torch.arange(len(examples))
        for restart in range(self.restarts):
            jump = self.random_start or restart > 0
            walk(oracle, pending, _Climb(self, oracle, examples, budget, rng, goal, jump, best))
            if not self.every_step:
                pending = pending[~best.hit[pending]]
        return best.candidates


@dataclass
class _Lane(Lanes):
    x: Tensor
    best: Tensor
    value: Tensor
    hit: Tensor
    velocity: Tensor
    age: Tensor


@dataclass(frozen=True)
class _Climb:
    """One start of PGD."""

    attack: PGD
    oracle: GradientOracle
    examples: Examples
    budget: PixelBudget
    rng: ExampleRandom
    goal: Goal
    jump: bool
    best: Best

    @property
    def loss(self) -> Loss:
        return towards(self.attack.loss, self.goal.targeted)

    @property
    def cost(self) -> int:
        return gradient_cost(self.oracle)

    def enter(self, rows: Tensor) -> _Lane:
        origin = self.examples.inputs[rows]
        x = self.budget.sample(origin, rows, self.rng) if self.jump else origin.clone()
        lanes = len(rows)
        return _Lane(
            x=x,
            best=x.clone(),
            value=torch.full((lanes,), -torch.inf),
            hit=torch.zeros(lanes, dtype=torch.bool),
            velocity=torch.zeros_like(x) if self.attack.momentum else torch.zeros(lanes, 0),
            age=torch.zeros(lanes, dtype=torch.int64),
        )

    def step(self, rows: Tensor, lanes: _Lane) -> tuple[_Lane, Tensor]:
        attack = self.attack
        logits, value, gradient = self.oracle.loss_and_gradient(lanes.x, self.goal.aim[rows], rows, self.loss)
        self._keep(lanes, value, self.goal.reached(logits, rows))
        if attack.momentum:
            # Dong et al. scale each gradient to unit mean before they add it: gradients shrink by orders as loss grows.
            mean = gradient.abs().flatten(1).mean(1).clamp_min(1e-38)
            lanes.velocity = gradient = attack.momentum * lanes.velocity + gradient / each(mean)
        step_size = attack.step_size if attack.step_size is not None else 2.5 * self.budget.size / attack.steps
        ahead = lanes.x + step_size * self.budget.steepest(gradient)
        lanes.x = self.budget.project(ahead, self.examples.inputs[rows])
        lanes.age += 1
        through = lanes.age >= attack.steps
        return lanes, through if attack.every_step else through | lanes.hit

    def leave(self, rows: Tensor, lanes: _Lane) -> tuple[_Lane, Tensor]:
        last = affords(self.oracle, rows, score_cost(self.oracle))
        if not self.attack.every_step:
            last &= ~lanes.hit
        if bool(last.any()):
            # The last step's end has not been looked at yet.
            end = lanes.pick(last)
            logits = self.oracle.scores(end.x, rows[last])
            self._keep(end, self.loss(logits, self.goal.aim[rows[last]]), self.goal.reached(logits, rows[last]))
            lanes = lanes.replaced(last, end)
        stands = self.goal.confirmed(self.oracle, lanes.best, rows, lanes.hit)
        again = lanes.hit & ~stands & (lanes.age < self.attack.steps)
        self.best.offer(rows[~again], lanes.best[~again], lanes.value[~again], stands[~again])
        lanes.hit, lanes.value = stands, torch.where(again, -torch.inf, lanes.value)
        return lanes, again

    def _keep(self, lanes: _Lane, value: Tensor, hit: Tensor) -> None:
        better = (hit & ~lanes.hit) | ((hit == lanes.hit) & (value > lanes.value))
        lanes.best[better] = lanes.x[better]
        lanes.value, lanes.hit = torch.where(better, value, lanes.value), lanes.hit | hit


@dataclass(frozen=True)
class FGSM:
    """One full-size step of steepest ascent from the clean image."""

    loss: LossName = "cross-entropy"
    targeted: bool = False

    def run(self, oracle: GradientOracle, examples: Examples, budget: PixelBudget, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W.  Raises ValueError if targeted without targets."""
        aim = goal_of(examples, self.targeted).aim
        candidates = examples.inputs.clone()
        rows = payers(oracle, len(examples), gradient_cost(oracle))
        origin, loss = examples.inputs[rows], towards(self.loss, self.targeted)
        _, _, gradient = oracle.loss_and_gradient(origin, aim[rows], rows, loss)
        candidates[rows] = budget.project(origin + budget.size * budget.steepest(gradient), origin)
        return candidates
