"""Fast minimum-norm attack (Pintor et al., NeurIPS 2021): the search for the smallest change that fools."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mithridate.attack import Examples
from mithridate.budget import PixelBudget
from mithridate.imaging.attacks.aim import likeliest_targets
from mithridate.imaging.attacks.losses import likeliest_others, towards_class
from mithridate.imaging.engine.best import Best
from mithridate.imaging.engine.hyperplane import nearest_step
from mithridate.imaging.engine.loop import Goal, Lanes, walk
from mithridate.imaging.engine.norms import Norm, dual_length, each, into_ball, length, norm_of
from mithridate.imaging.engine.oracles import GradientOracle, affords, gradient_cost, lanes_of
from mithridate.seeds import ExampleRandom


@dataclass(frozen=True)
class MinimumNorm:
    """Gradient steps in a ball whose radius shrinks while the example is fooled and grows while it is not.

    steps: gradient evaluations.  step: length of the first step in radii of the ball; shrink: the first change of the
    radius, as a part of it; both fall along a cosine.  classes: of how many of the likeliest wrong classes the
    linearized boundary is measured, a gradient each, before the walk sets out for the nearest; it follows another
    class when that one proves nearer.  The candidate is the smallest change found, cut to the budget if it is larger.
    """

    steps: int = 100
    step: float = 1.0
    shrink: float = 0.05
    classes: int = 9

    def run(self, oracle: GradientOracle, examples: Examples, budget: PixelBudget, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W.  Raises UserError for a budget that is no norm ball."""
        norm, best = norm_of(budget, "the minimum-norm search"), Best(examples.inputs)
        rows, others = likeliest_targets(oracle, examples, self.classes)
        if others.shape[1]:
            target = nearest_class(oracle, examples, rows, others, norm)
            walk(oracle, rows, _Search(self, oracle, examples, target, budget, norm, Goal(examples.labels), best))
        return best.candidates


def nearest_class(oracle: GradientOracle, examples: Examples, rows: Tensor, others: Tensor, norm: Norm) -> Tensor:
    """Of each example the class of `others` (N x M, the likeliest first) whose linearized boundary is nearest inside
    the pixel range, N; the likeliest for examples that are not in `rows` or cannot pay for M gradients.

    The likeliest wrong class need not be the nearest: what counts is the gap of its logit over the slope towards it.
    """
    target = others[:, 0].clone()
    if others.shape[1] == 1:
        return target
    rows = rows[affords(oracle, rows, others.shape[1] * gradient_cost(oracle))]
    for part in torch.split(rows, lanes_of(oracle)):
        x, found = examples.inputs[part], []
        for rank in range(others.shape[1]):
            pairs = torch.stack([examples.labels[part], others[part, rank]], 1)
            _, gap, gradient = oracle.loss_and_gradient(x, pairs, part, towards_class)
            found.append(length(nearest_step(x, gradient, gap, norm), norm))
        target[part] = others[part].gather(1, torch.stack(found, 1).argmin(1, keepdim=True))[:, 0]
    return target


@dataclass
class _Lane(Lanes):
    step: Tensor
    target: Tensor
    radius: Tensor
    shortest: Tensor
    candidate: Tensor
    fooled: Tensor
    age: Tensor


@dataclass(frozen=True)
class _Search:
    attack: MinimumNorm
    oracle: GradientOracle
    examples: Examples
    target: Tensor
    budget: PixelBudget
    norm: Norm
    goal: Goal
    best: Best

    @property
    def cost(self) -> int:
        return gradient_cost(self.oracle)

    def enter(self, rows: Tensor) -> _Lane:
        x = self.examples.inputs[rows]
        far = torch.full((len(rows),), torch.inf, dtype=torch.float64)
        return _Lane(
            step=torch.zeros_like(x),
            target=self.target[rows],
            radius=far,
            shortest=far,
            candidate=x,
            fooled=torch.zeros(len(rows), dtype=torch.bool),
            age=torch.zeros(len(rows), dtype=torch.int64),
        )

    def step(self, rows: Tensor, lanes: _Lane) -> tuple[_Lane, Tensor]:
        origin = self.examples.inputs[rows]
        x = (origin + lanes.step).clamp(0, 1)
        pairs = torch.stack([self.goal.aim[rows], lanes.target], 1)
        logits, value, gradient = self.oracle.loss_and_gradient(x, pairs, rows, towards_class)
        fooled = self.goal.reached(logits, rows)
        size = length(x - origin, self.norm)
        shorter = fooled & (size < lanes.shortest)
        shortest = torch.where(shorter, size, lanes.shortest)
        candidate = torch.where(each(shorter | ~(lanes.fooled | fooled)), x, lanes.candidate)
        ever = lanes.fooled | fooled
        # Half a cosine from 1 to 0: coarse first, fine at the end.
        part = (1 + torch.cos(math.pi * lanes.age.double() / self.attack.steps)) / 2
        change = self.attack.shrink * part
        # Until something fools, the radius is just beyond where the linearized model puts the boundary.
        beyond = 1 + change.clamp_min(1e-3)
        reach = size + beyond * value.double().abs() / dual_length(gradient, self.norm).clamp_min(1e-12)
        radius = torch.where(
            fooled,
            torch.minimum(lanes.radius * (1 - change), shortest),
            torch.where(ever, lanes.radius * (1 + change), reach),
        )
        radius = radius.clamp_min(1e-6)
        # A Euclidean step across the ball: the maximum norm's ball is wider by the root of the dimension.
        width = math.sqrt(origin[0].numel()) if self.norm == "linf" else 1.0
        pace = self.attack.step * width * radius * part.clamp_min(0.01)
        ahead = lanes.step + each(pace.to(x.dtype)) * _unit(gradient)
        ahead = (origin + into_ball(ahead, radius, self.norm)).clamp(0, 1) - origin
        # A boundary that looked near and is not reached after a quarter of the way is given up for the likeliest class.
        lost, runner_up = ~ever & (4 * lanes.age >= self.attack.steps), likeliest_others(logits, pairs[:, 0], 1)[:, 0]
        lanes = replace(
            lanes,
            step=ahead,
            target=torch.where(shorter, logits.argmax(1), torch.where(lost, runner_up, lanes.target)),
            radius=radius,
            shortest=shortest,
            candidate=candidate,
            fooled=ever,
            age=lanes.age + 1,
        )
        return lanes, lanes.age >= self.attack.steps

    def leave(self, rows: Tensor, lanes: _Lane) -> tuple[_Lane, Tensor]:
        stands = self.goal.confirmed(self.oracle, lanes.candidate, rows, lanes.fooled)
        candidate = self.budget.project(lanes.candidate, self.examples.inputs[rows])
        self.best.offer(rows, candidate, -lanes.shortest, stands)
        return lanes, torch.zeros_like(stands)


def _unit(gradient: Tensor) -> Tensor:
    scaled = gradient / each(gradient.abs().flatten(1).amax(1).clamp_min(1e-38))
    return scaled / each(length(scaled, "l2").clamp_min(1e-30).to(scaled.dtype))
