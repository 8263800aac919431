"""The L2 attack of Carlini and Wagner (IEEE S&P 2017): Adam in tanh space, with a search for the weight of success."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mithridate.attack import Examples
from mithridate.budget import PixelBudget
from mithridate.errors import UserError
from mithridate.imaging.attacks.aim import likeliest_targets
from mithridate.imaging.attacks.losses import margin, towards_class
from mithridate.imaging.attacks.minimum_norm import nearest_class
from mithridate.imaging.engine.best import Best
from mithridate.imaging.engine.loop import Goal, Lanes, walk
from mithridate.imaging.engine.norms import each, length, norm_of
from mithridate.imaging.engine.oracles import GradientOracle, affords, gradient_cost, lanes_of
from mithridate.seeds import ExampleRandom

EDGE = 1 - 1e-6
"""Pixels at the very ends of the range have no finite tanh preimage: they start this near to it."""


@dataclass(frozen=True)
class CarliniWagner:
    """Minimizes ||change||^2 + c x max(-margin + confidence, 0) over w with image = (tanh w + 1) / 2.

    steps: gradient evaluations for each c.  searches: values of c tried, each example's own binary search.
    learning_rate and weight: of Adam's first steps and of the first c, in units of the model linearized at the image:
    a step is so long as a part of the distance to its boundary, and c is so many times what makes the boundary its
    optimum.  In the paper both are absolute, so that an example almost on the boundary is overshot by its first step.
    confidence: the margin, in logits, that counts as fooled.  classes: as in MinimumNorm.
    """

    steps: int = 100
    searches: int = 9
    learning_rate: float = 0.5
    weight: float = 2.0
    confidence: float = 0.0
    classes: int = 9

    def run(self, oracle: GradientOracle, examples: Examples, budget: PixelBudget, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W: the smallest change found, cut to the budget if it is larger.

        Raises UserError for a budget other than l2.
        """
        if norm_of(budget, "the attack of Carlini and Wagner") != "l2":
            raise UserError("the attack of Carlini and Wagner needs a budget l2, not linf")
        best, goal = Best(examples.inputs), Goal(examples.labels)
        low, high = torch.zeros(len(examples)), torch.full((len(examples),), torch.inf)
        rows, others = likeliest_targets(oracle, examples, self.classes)
        if others.shape[1] == 0:
            return best.candidates
        target = nearest_class(oracle, examples, rows, others, "l2")
        rows, weight, rate = self._scales(oracle, examples, target, rows)
        for _ in range(self.searches):
            reached = torch.zeros(len(examples), dtype=torch.bool)
            walk(oracle, rows, _Descent(self, oracle, examples, goal, target, weight, rate, reached, best))
            high = torch.where(reached, torch.minimum(high, weight), high)
            low = torch.where(reached, low, torch.maximum(low, weight))
            # Where nothing has been reached yet the linearized model may have put the boundary too near.
            never = torch.isinf(high)
            weight, rate = torch.where(never, weight * 10, (low + high) / 2), torch.where(never, rate * 2, rate)
        return budget.project(best.candidates, examples.inputs)

    def _scales(
        self, oracle: GradientOracle, examples: Examples, target: Tensor, rows: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The rows that can pay for a gradient, and of every example its first c and Adam's learning rate in w."""
        rows = rows[affords(oracle, rows, gradient_cost(oracle))]
        weight, rate = torch.ones(len(examples)), torch.full((len(examples),), self.learning_rate)
        for part in torch.split(rows, lanes_of(oracle)):
            x = examples.inputs[part]
            pairs = torch.stack([examples.labels[part], target[part]], 1)
            _, value, gradient = oracle.loss_and_gradient(x, pairs, part, towards_class)
            slope = length(gradient, "l2")
            lacking = (self.confidence - value.double()).clamp_min(0)
            # No farther than across the whole range: a slope of almost nothing says little about the distance.
            distance = (lacking / slope.clamp_min(1e-30)).clamp(1e-6, x[0].numel() ** 0.5)
            weight[part] = (self.weight * 2 * distance / slope.clamp_min(1e-12)).float()
            # Adam's step is about as long in every w; through the tanh it moves a pixel by 2 x (1 - x) of that.
            moves = length(2 * x * (1 - x), "l2").clamp_min(1e-6)
            rate[part] = (self.learning_rate * distance / moves).clamp_max(1.0).float()
        return rows, weight, rate


@dataclass
class _Lane(Lanes):
    w: Tensor
    first: Tensor
    second: Tensor
    shortest: Tensor
    candidate: Tensor
    found: Tensor
    age: Tensor


@dataclass(frozen=True)
class _Descent:
    attack: CarliniWagner
    oracle: GradientOracle
    examples: Examples
    goal: Goal
    target: Tensor
    weight: Tensor
    rate: Tensor
    reached: Tensor
    best: Best

    @property
    def cost(self) -> int:
        return gradient_cost(self.oracle)

    def enter(self, rows: Tensor) -> _Lane:
        x = self.examples.inputs[rows]
        w = torch.atanh((2 * x - 1) * EDGE)
        far = torch.full((len(rows),), torch.inf, dtype=torch.float64)
        age = torch.zeros(len(rows), dtype=torch.int64)
        return _Lane(w, torch.zeros_like(w), torch.zeros_like(w), far, x, self.target[rows], age)

    def step(self, rows: Tensor, lanes: _Lane) -> tuple[_Lane, Tensor]:
        attack, origin, tanh = self.attack, self.examples.inputs[rows], torch.tanh(lanes.w)
        x = (tanh + 1) / 2
        pairs = torch.stack([self.goal.aim[rows], self.target[rows]], 1)
        logits, _, gradient = self.oracle.loss_and_gradient(x, pairs, rows, towards_class)
        value = margin(logits, pairs[:, 0])
        size = length(x - origin, "l2")
        shorter = self.goal.reached(logits, rows) & (value >= attack.confidence) & (size < lanes.shortest)
        lacking = (value <= attack.confidence).to(x.dtype)
        # By hand through the tanh: dx/dw = (1 - tanh^2) / 2.
        slope = (2 * (x - origin) - each(self.weight[rows] * lacking) * gradient) * (1 - tanh.square()) / 2
        age = lanes.age + 1
        first = 0.9 * lanes.first + 0.1 * slope
        second = 0.999 * lanes.second + 0.001 * slope.square()
        corrected = first / each(1 - 0.9**age), second / each(1 - 0.999**age)
        # Falling to a fiftieth: coarse steps find the way, fine ones the distance.
        rate = self.rate[rows] * (1 - 0.98 * lanes.age / attack.steps)
        w = lanes.w - each(rate) * corrected[0] / (corrected[1].sqrt() + 1e-12)
        lanes = replace(
            lanes,
            w=w,
            first=first,
            second=second,
            shortest=torch.where(shorter, size, lanes.shortest),
            candidate=torch.where(each(shorter), x, lanes.candidate),
            found=torch.where(shorter, logits.argmax(1), lanes.found),
            age=age,
        )
        return lanes, age >= attack.steps

    def leave(self, rows: Tensor, lanes: _Lane) -> tuple[_Lane, Tensor]:
        stands = self.goal.confirmed(self.oracle, lanes.candidate, rows, torch.isfinite(lanes.shortest))
        self.reached[rows] = stands
        # The next search sets out for the class in which the nearest change of this one lay.
        self.target[rows] = lanes.found
        self.best.offer(rows, lanes.candidate, -lanes.shortest, stands)
        return lanes, torch.zeros_like(stands)
