"""Auto-PGD (Croce and Hein, ICML 2020): projected gradient ascent that halves its own step when it stops gaining."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from mithridate.attack import Examples
from mithridate.budget import PixelBudget
from mithridate.imaging.attacks.aim import likeliest_targets
from mithridate.imaging.attacks.losses import (
    LOSSES,
    LossName,
    margin,
    targeted_difference_of_logits_ratio,
)
from mithridate.imaging.engine.best import Best
from mithridate.imaging.engine.loop import Goal, Lanes, walk
from mithridate.imaging.engine.norms import each
from mithridate.imaging.engine.oracles import GradientOracle, gradient_cost
from mithridate.imaging.engine.outlook import Outlook
from mithridate.oracle import Loss
from mithridate.seeds import ExampleRandom

MOMENTUM = 0.75
"""The paper's alpha: how much of a step is new, the rest being the step before."""
GAINS = 0.75
"""The paper's rho: a step size stands while this part of its steps raised the loss."""


@dataclass(frozen=True)
class APGD:
    """Auto-PGD without parameters to tune.

    steps: gradient evaluations of each start.  loss: "cross-entropy" (APGD-CE), "dlr" (APGD-DLR) or "margin".
    restarts: independent random starts for examples that are not fooled yet.  An example leaves as soon as it is
    fooled, and with `discard_hopeless` as soon as its progress rules success out (see `engine.outlook`).
    """

    steps: int = 100
    loss: LossName = "cross-entropy"
    restarts: int = 1
    discard_hopeless: bool = False

    def run(self, oracle: GradientOracle, examples: Examples, budget: PixelBudget, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W."""
        best, goal = Best(examples.inputs), Goal(examples.labels)
        pending = torch.arange(len(examples))
        outlook = Outlook(self.steps, self.discard_hopeless)
        for _ in range(self.restarts):
            ascent = _Ascent(oracle, examples, examples.labels, budget, rng, goal, LOSSES[self.loss], outlook, best)
            walk(oracle, pending, ascent)
            pending = pending[~best.hit[pending] & ~best.hopeless[pending]]
        return best.candidates


@dataclass(frozen=True)
class TargetedAPGD:
    """APGD towards each of the likeliest wrong classes in turn, with the targeted DLR loss (APGD-T).

    classes: how many target classes an example that holds out is pulled to, at most; the classes that its clean image
    is likeliest to be taken for come first.  Success is any wrong class.  discard_hopeless: as for `APGD`, by target.
    """

    steps: int = 100
    classes: int = 9
    discard_hopeless: bool = False

    def run(self, oracle: GradientOracle, examples: Examples, budget: PixelBudget, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W."""
        best, goal = Best(examples.inputs), Goal(examples.labels)
        rows, targets = likeliest_targets(oracle, examples, self.classes)
        outlook, loss = Outlook(self.steps, self.discard_hopeless), targeted_difference_of_logits_ratio
        for rank in range(targets.shape[1]):
            pairs = torch.stack([examples.labels, targets[:, rank]], 1)
            ascent = _Ascent(oracle, examples, pairs, budget, rng, goal, loss, outlook, best)
            walk(oracle, rows[~best.hit[rows]], ascent)
        return best.candidates


@lru_cache(maxsize=16)
def checkpoints(steps: int) -> tuple[int, ...]:
    """The steps after which the step size is looked at: periods shrink from 22% of all steps to 6% (section 3.2)."""
    # In hundredths, where the paper's numbers are whole.
    found, last, period = [], 0, 22
    while -(-(last + period) * steps // 100) < steps:
        last += period
        found.append(-(-last * steps // 100))
        period = max(period - 3, 6)
    return tuple(found)


@dataclass
class _Lane(Lanes):
    x: Tensor
    before: Tensor
    top: Tensor
    top_gradient: Tensor
    top_value: Tensor
    last_value: Tensor
    step_size: Tensor
    gains: Tensor
    checked_value: Tensor
    just_halved: Tensor
    age: Tensor
    fooled: Tensor
    candidate: Tensor
    closest: Tensor
    noted: Tensor


@dataclass(frozen=True)
class _Ascent:
    """One start; `aim` is what the loss takes for labels."""

    oracle: GradientOracle
    examples: Examples
    aim: Tensor
    budget: PixelBudget
    rng: ExampleRandom
    goal: Goal
    loss: Loss
    outlook: Outlook
    best: Best

    @property
    def steps(self) -> int:
        return self.outlook.effort

    @property
    def cost(self) -> int:
        return gradient_cost(self.oracle)

    def enter(self, rows: Tensor) -> _Lane:
        x = self.budget.sample(self.examples.inputs[rows], rows, self.rng)
        none, no = torch.full((len(rows),), -torch.inf), torch.zeros(len(rows), dtype=torch.bool)
        zero = torch.zeros(len(rows), dtype=torch.int64)
        return _Lane(
            x=x,
            before=x,
            top=x,
            top_gradient=torch.zeros_like(x),
            top_value=none,
            last_value=none,
            step_size=torch.full((len(rows),), 2.0 * self.budget.size),
            gains=zero,
            checked_value=none,
            just_halved=no,
            age=zero,
            fooled=no,
            candidate=x,
            closest=none,
            noted=self.outlook.unnoted(len(rows)),
        )

    def step(self, rows: Tensor, lanes: _Lane) -> tuple[_Lane, Tensor]:
        logits, value, gradient = self.oracle.loss_and_gradient(lanes.x, self.aim[rows], rows, self.loss)
        fooled = self.goal.reached(logits, rows)
        higher = value > lanes.top_value
        closest = torch.maximum(lanes.closest, margin(logits, self.examples.labels[rows]))
        lanes = replace(
            lanes,
            # The first value starts the counting and is no gain.
            gains=lanes.gains + ((value > lanes.last_value) & (lanes.age > 0)),
            top=torch.where(each(higher), lanes.x, lanes.top),
            top_gradient=torch.where(each(higher), gradient, lanes.top_gradient),
            top_value=torch.where(higher, value, lanes.top_value),
            last_value=value,
            candidate=torch.where(each(fooled | (higher & ~lanes.fooled)), lanes.x, lanes.candidate),
            fooled=lanes.fooled | fooled,
            closest=closest,
            noted=self.outlook.note(lanes.age + 1, closest, lanes.noted),
        )
        halved = self._halve(lanes)
        x = torch.where(each(halved), lanes.top, lanes.x)
        gradient = torch.where(each(halved), lanes.top_gradient, gradient)
        origin = self.examples.inputs[rows]
        ahead = self.budget.project(x + each(lanes.step_size) * self.budget.steepest(gradient), origin)
        alpha = each(torch.where(lanes.age == 0, 1.0, MOMENTUM))
        blend = x + alpha * (ahead - x) + (1 - alpha) * (x - lanes.before)
        lanes = replace(lanes, before=x, x=self.budget.project(blend, origin), age=lanes.age + 1)
        hopeless = self.outlook.hopeless(lanes.age, lanes.closest, lanes.noted) & ~lanes.fooled
        self.best.hopeless[rows[hopeless]] = True
        return lanes, lanes.fooled | hopeless | (lanes.age >= self.steps)

    def _halve(self, lanes: _Lane) -> Tensor:
        """Halve the step, in place, of lanes at a checkpoint that gained too rarely, or nothing since the last one at
        the same step; returns which."""
        at, window = self._window(lanes.age)
        rarely = lanes.gains < GAINS * window
        stuck = ~lanes.just_halved & (lanes.top_value <= lanes.checked_value)
        halved = at & (rarely | stuck)
        lanes.step_size = torch.where(halved, lanes.step_size / 2, lanes.step_size)
        lanes.just_halved = torch.where(at, halved, lanes.just_halved)
        lanes.checked_value = torch.where(at, lanes.top_value, lanes.checked_value)
        lanes.gains = torch.where(at, 0, lanes.gains)
        return halved

    def _window(self, age: Tensor) -> tuple[Tensor, Tensor]:
        """Which ages are checkpoints, and how many steps lie between each and the one before."""
        table = torch.zeros(self.steps + 1, dtype=torch.int64)
        last = 0
        for checkpoint in checkpoints(self.steps):
            table[checkpoint] = checkpoint - last
            last = checkpoint
        window = table[age]
        return window > 0, window

    def leave(self, rows: Tensor, lanes: _Lane) -> tuple[_Lane, Tensor]:
        stands = self.goal.confirmed(self.oracle, lanes.candidate, rows, lanes.fooled)
        again = lanes.fooled & ~stands & (lanes.age < self.steps)
        self.best.offer(rows[~again], lanes.candidate[~again], lanes.top_value[~again], stands[~again])
        return replace(lanes, fooled=stands), again
