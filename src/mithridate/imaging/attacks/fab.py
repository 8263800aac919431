"""FAB, the fast adaptive boundary attack (Croce and Hein, ICML 2020), in its targeted form (FAB-T)."""

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
from mithridate.imaging.engine.norms import Norm, each, length, norm_of
from mithridate.imaging.engine.oracles import GradientOracle, gradient_cost
from mithridate.imaging.engine.outlook import Outlook
from mithridate.seeds import ExampleRandom

MOST_BIAS = 0.1
"""The paper's alpha_max: how far a step is pulled towards the original's own projection."""
OVERSHOOT = 1.05
"""The paper's eta: how much further than the linearized boundary a step goes."""
BACKWARD = 0.9
"""The paper's beta: how far back towards the original an adversarial iterate goes."""


@dataclass(frozen=True)
class FAB:
    """Searches the smallest change that fools, along the boundary to each of the likeliest wrong classes in turn.

    steps: gradient evaluations a target class and start.  classes: target classes at most.  restarts: starts a class,
    the first at the original.  inside_is_enough: an example leaves as soon as a fooling change lies inside the budget
    (as in an ensemble); otherwise the search for smaller ones goes on to the last step.  discard_hopeless: the search
    towards a class ends as soon as its progress rules out that it comes inside (see `engine.outlook`).
    """

    steps: int = 100
    classes: int = 9
    restarts: int = 1
    inside_is_enough: bool = False
    discard_hopeless: bool = False

    def run(self, oracle: GradientOracle, examples: Examples, budget: PixelBudget, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W: the smallest change found, cut to the budget if it is larger.

        Raises UserError for a budget that is no norm ball.
        """
        norm, best = norm_of(budget, "FAB"), Best(examples.inputs)
        rows, others = likeliest_targets(oracle, examples, self.classes)
        for start in range(self.restarts):
            for rank in range(others.shape[1]):
                pairs = torch.stack([examples.labels, others[:, rank]], 1)
                search = _Search(self, oracle, examples, pairs, budget, rng, norm, start > 0, best)
                walk(oracle, self._pending(best, budget, rows), search)
        return budget.project(best.candidates, examples.inputs)

    def _pending(self, best: Best, budget: PixelBudget, rows: Tensor) -> Tensor:
        return rows[~(best.hit & (-best.value <= budget.size))] if self.inside_is_enough else rows


@dataclass
class _Lane(Lanes):
    x: Tensor
    age: Tensor
    shortest: Tensor
    candidate: Tensor
    noted: Tensor


@dataclass(frozen=True)
class _Search:
    attack: FAB
    oracle: GradientOracle
    examples: Examples
    pairs: Tensor
    budget: PixelBudget
    rng: ExampleRandom
    norm: Norm
    jump: bool
    best: Best

    @property
    def goal(self) -> Goal:
        return Goal(self.examples.labels)

    @property
    def outlook(self) -> Outlook:
        return Outlook(self.attack.steps, self.attack.discard_hopeless)

    @property
    def cost(self) -> int:
        return gradient_cost(self.oracle)

    def enter(self, rows: Tensor) -> _Lane:
        origin = self.examples.inputs[rows]
        x = origin
        if self.jump:
            # The paper's restarts begin half-way to the best change so far, or to the budget's border.
            reach = torch.minimum(-self.best.value[rows], torch.full((len(rows),), self.budget.size).double())
            jump = self.budget.sample(origin, rows, self.rng) - origin
            x = origin + jump * each((reach / self.budget.size).nan_to_num(0.0) / 2).to(origin.dtype)
        far = torch.full((len(rows),), torch.inf, dtype=torch.float64)
        age = torch.zeros(len(rows), dtype=torch.int64)
        return _Lane(x=x, age=age, shortest=far, candidate=origin, noted=self.outlook.unnoted(len(rows)))

    def step(self, rows: Tensor, lanes: _Lane) -> tuple[_Lane, Tensor]:
        origin, x = self.examples.inputs[rows], lanes.x
        logits, gap, gradient = self.oracle.loss_and_gradient(x, self.pairs[rows], rows, towards_class)
        moved = x - origin
        fooled, size = self.goal.reached(logits, rows), length(moved, self.norm)
        shorter = fooled & (size < lanes.shortest)
        # An adversarial iterate is drawn back towards the original; the linearization moves with it.
        back = torch.where(fooled, 1 - BACKWARD, 0.0)
        here = x - each(back) * moved
        rise = (gradient * moved).flatten(1).sum(1, dtype=torch.float64)
        at_here, at_origin = gap.double() - back * rise, gap.double() - rise
        forward = nearest_step(here, gradient, at_here, self.norm)
        from_origin = nearest_step(origin, gradient, at_origin, self.norm)
        a, b = length(forward, self.norm), length(from_origin, self.norm)
        bias = each((a / (a + b).clamp_min(1e-300)).clamp_max(MOST_BIAS).to(x.dtype))
        ahead = (1 - bias) * (here + OVERSHOOT * forward) + bias * (origin + OVERSHOOT * from_origin)
        shortest, age = torch.where(shorter, size, lanes.shortest), lanes.age + 1
        short_of = self.budget.size - shortest
        lanes = replace(
            lanes,
            x=ahead.clamp(0, 1),
            age=age,
            shortest=shortest,
            candidate=torch.where(each(shorter), x, lanes.candidate),
            noted=self.outlook.note(age, short_of, lanes.noted),
        )
        through = (age >= self.attack.steps) | self.outlook.hopeless(age, short_of, lanes.noted)
        if self.attack.inside_is_enough:
            through |= lanes.shortest <= self.budget.size
        return lanes, through

    def leave(self, rows: Tensor, lanes: _Lane) -> tuple[_Lane, Tensor]:
        # What lies outside is no success of an ensemble's, and whether the model agrees with a scout on it no matter.
        enough = lanes.shortest <= self.budget.size if self.attack.inside_is_enough else torch.isfinite(lanes.shortest)
        stands = self.goal.confirmed(self.oracle, lanes.candidate, rows, enough)
        again = enough & ~stands & (lanes.age < self.attack.steps)
        self.best.offer(rows[~again], lanes.candidate[~again], -lanes.shortest[~again], stands[~again])
        return replace(lanes, shortest=torch.where(again, torch.inf, lanes.shortest)), again
