"""One perturbation for every image (Moosavi-Dezfooli et al., CVPR 2017), trained by stochastic gradient ascent
(Shafahi et al., AAAI 2020; on medical images Hirano et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mithridate.attack import Examples
from mithridate.budget import PixelBudget
from mithridate.errors import UserError
from mithridate.imaging.attacks.aim import goal_of
from mithridate.imaging.attacks.losses import margin
from mithridate.imaging.engine.oracles import GradientOracle
from mithridate.oracle import Loss
from mithridate.seeds import generator


@dataclass(frozen=True, eq=False)
class UniversalPerturbation:
    """Adds the same trained perturbation (C x H x W) to every image, inside the budget."""

    perturbation: Tensor

    def run(self, oracle: object, examples: Examples, budget: PixelBudget, rng: object) -> Tensor:
        """Candidates N x C x H x W.  Raises UserError when the images have another shape than the perturbation."""
        if examples.inputs.shape[1:] != self.perturbation.shape:
            raise UserError(
                f"the universal perturbation is for images {tuple(self.perturbation.shape)}, and these are "
                f"{tuple(examples.inputs.shape[1:])}: train one at this size"
            )
        return budget.project(examples.inputs + self.perturbation, examples.inputs)


@dataclass(frozen=True)
class UniversalTraining:
    """Trains on images that are not those attacked afterwards.

    epochs: passes over the images.  batch: images a step.  relative_step: length of a step, as a part of epsilon.
    cap: an image that is fooled by so many logits pulls no more, so that none drowns the others out.  targeted: towards
    `examples.targets` instead of away from the labels.  An example's place in the order given does not matter.
    """

    epochs: int = 10
    batch: int = 32
    relative_step: float = 0.1
    cap: float = 5.0
    targeted: bool = False
    seed: int = 0

    def train(
        self,
        oracle: GradientOracle,
        examples: Examples,
        budget: PixelBudget,
        progress: Callable[[int, int], None] | None = None,
    ) -> UniversalPerturbation:
        """The attack with its perturbation.  progress: called with (steps done, steps in all)."""
        order = torch.tensor(sorted(range(len(examples)), key=lambda row: examples.ids[row]), dtype=torch.int64)
        aim = goal_of(examples, self.targeted).aim
        loss, delta = self._loss(), torch.zeros(1, *examples.inputs.shape[1:])
        nothing = torch.full_like(delta, 0.5)
        total, done = self.epochs * -(-len(examples) // self.batch), 0
        for epoch in range(self.epochs):
            shuffled = order[torch.from_numpy(generator(self.seed, "universal", epoch).permutation(len(order)))]
            for rows in torch.split(shuffled, self.batch):
                x = (examples.inputs[rows] + delta).clamp(0, 1)
                _, _, gradient = oracle.loss_and_gradient(x, aim[rows], rows, loss)
                step = budget.steepest(gradient.double().mean(0, keepdim=True).float())
                # On a gray image the pixel range cuts off nothing below half of it: the ball alone bounds the change.
                ahead = budget.project(nothing + delta + self.relative_step * budget.size * step, nothing)
                delta = ahead - nothing
                done += 1
                if progress:
                    progress(done, total)
        return UniversalPerturbation(delta[0])

    def _loss(self) -> Loss:
        sign = -1.0 if self.targeted else 1.0
        return lambda logits, labels: (sign * margin(logits, labels)).clamp_max(self.cap)
