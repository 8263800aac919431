"""Projected gradient descent (Madry et al. 2018) and its single step, FGSM (Goodfellow et al. 2015)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mithridate.attack import Examples
from mithridate.budget import PixelBudget
from mithridate.imaging.attacks.losses import LossName, towards
from mithridate.oracle import Gradients, Loss
from mithridate.seeds import ExampleRandom


@dataclass(frozen=True)
class PGD:
    """Iterated steepest ascent of the loss, projected into a norm ball.

    steps: gradient evaluations of each start.  step_size: length of a step in the budget's units; None means
    2.5 x size / steps (Madry et al.).  random_start: begin at a random point of the ball, as every restart after the
    first does.  restarts: independent starts, of which each example keeps its best.  loss: "margin" or
    "cross-entropy".  targeted: steer to `examples.targets` instead of away from the label.  every_step: go on after
    an example is fooled, as the paper does; otherwise it leaves the loop, which saves most of the work.

    The candidate returned is the iterate with the highest loss, the last one included.
    """

    steps: int = 20
    step_size: float | None = None
    random_start: bool = True
    restarts: int = 1
    loss: LossName = "margin"
    targeted: bool = False
    every_step: bool = True

    def run(self, oracle: Gradients, examples: Examples, budget: PixelBudget, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W.  Raises ValueError if targeted without targets."""
        aim = examples.targets if self.targeted else examples.labels
        if aim is None:
            raise ValueError("a targeted attack needs examples with targets")
        loss = towards(self.loss, self.targeted)
        best, best_loss = examples.inputs.clone(), torch.full((len(examples),), -torch.inf)
        pending = torch.arange(len(examples))
        for restart in range(self.restarts):
            jump = self.random_start or restart > 0
            self._climb(oracle, examples, aim, pending, budget, rng, loss, jump, best, best_loss)
            if not self.every_step:
                pending = pending[~self._fooled(oracle, best[pending], examples, aim, pending)]
            if len(pending) == 0:
                break
        return best

    def _climb(
        self,
        oracle: Gradients,
        examples: Examples,
        aim: Tensor,
        rows: Tensor,
        budget: PixelBudget,
        rng: ExampleRandom,
        loss: Loss,
        jump: bool,
        best: Tensor,
        best_loss: Tensor,
    ) -> None:
        """One start for `rows`; improves `best` and `best_loss` in place."""
        step_size = self.step_size if self.step_size is not None else 2.5 * budget.size / self.steps
        origin = examples.inputs[rows]
        current = budget.sample(origin, rows, rng) if jump else origin.clone()
        for _ in range(self.steps):
            logits, value, gradient = oracle.loss_and_gradient(current, aim[rows], rows, loss)
            self._keep(current, value, rows, best, best_loss)
            if not self.every_step:
                going = ~self._success(logits, aim[rows])
                rows, current, gradient, origin = rows[going], current[going], gradient[going], origin[going]
                if len(rows) == 0:
                    return
            current = budget.project(current + step_size * budget.steepest(gradient), origin)
        self._keep(current, loss(oracle.scores(current, rows), aim[rows]), rows, best, best_loss)

    def _keep(self, current: Tensor, value: Tensor, rows: Tensor, best: Tensor, best_loss: Tensor) -> None:
        better = value > best_loss[rows]
        best[rows[better]], best_loss[rows[better]] = current[better], value[better]

    def _success(self, logits: Tensor, aim: Tensor) -> Tensor:
        return (logits.argmax(1) == aim) if self.targeted else (logits.argmax(1) != aim)

    def _fooled(self, oracle: Gradients, inputs: Tensor, examples: Examples, aim: Tensor, rows: Tensor) -> Tensor:
        return self._success(oracle.scores(inputs, rows), aim[rows])


@dataclass(frozen=True)
class FGSM:
    """One full-size step of steepest ascent from the clean image."""

    loss: LossName = "cross-entropy"
    targeted: bool = False

    def run(self, oracle: Gradients, examples: Examples, budget: PixelBudget, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W.  Raises ValueError if targeted without targets."""
        aim = examples.targets if self.targeted else examples.labels
        if aim is None:
            raise ValueError("a targeted attack needs examples with targets")
        rows = torch.arange(len(examples))
        _, _, gradient = oracle.loss_and_gradient(examples.inputs, aim, rows, towards(self.loss, self.targeted))
        return budget.project(examples.inputs + budget.size * budget.steepest(gradient), examples.inputs)
