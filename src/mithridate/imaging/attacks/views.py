"""What stands between an attacker and a model, as views of the gradient oracle: every attack works through them.

EOT and BPDA (Athalye et al., ICML 2018) see through randomness and through preprocessing without a gradient; input
diversity (Xie et al., CVPR 2019) keeps an example from fitting one model alone; `AnyFinding` turns a multilabel head
into two classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own alias
from torch import Tensor

from mithridate.attack import Examples
from mithridate.imaging.engine.oracles import View
from mithridate.oracle import Loss
from mithridate.seeds import ExampleRandom

Transformation = Callable[[Tensor, Tensor], Tensor]
"""(inputs N x C x H x W, rows N) -> inputs of the same shape; random ones draw from the streams of their rows."""


class Expectation(View):
    """Averages over random transformations (EOT): logits, losses and gradients are means over `samples` draws.

    transform: differentiable; None for a model that is random itself.  Each draw is a query.
    """

    def __init__(self, inner: Any, samples: int, transform: Transformation | None = None) -> None:
        super().__init__(inner)
        self._samples, self._transform = samples, transform

    @property
    def gradient_cost(self) -> int:
        return self._samples * super().gradient_cost

    @property
    def score_cost(self) -> int:
        return self._samples * super().score_cost

    def decide(self, inputs: Tensor, rows: Tensor) -> Tensor:
        """The class with the highest mean probability."""
        drawn = [super(Expectation, self).scores(self._draw(inputs, rows), rows) for _ in range(self._samples)]
        return torch.stack(drawn).softmax(2).mean(0).argmax(1)

    def scores(self, inputs: Tensor, rows: Tensor) -> Tensor:
        drawn = [super(Expectation, self).scores(self._draw(inputs, rows), rows) for _ in range(self._samples)]
        return torch.stack(drawn).mean(0)

    def loss_and_gradient(
        self, inputs: Tensor, labels: Tensor, rows: Tensor, loss: Loss
    ) -> tuple[Tensor, Tensor, Tensor]:
        parts = [self._one(inputs, labels, rows, loss) for _ in range(self._samples)]
        logits, losses, gradients = (torch.stack(part).mean(0) for part in zip(*parts, strict=True))
        return logits, losses, gradients

    def _draw(self, inputs: Tensor, rows: Tensor) -> Tensor:
        return inputs if self._transform is None else self._transform(inputs, rows)

    def _one(self, inputs: Tensor, labels: Tensor, rows: Tensor, loss: Loss) -> tuple[Tensor, Tensor, Tensor]:
        if self._transform is None:
            return super().loss_and_gradient(inputs, labels, rows, loss)
        x, shown = _differentiable(self._transform, inputs, rows)
        logits, losses, gradient = super().loss_and_gradient(shown.detach(), labels, rows, loss)
        return logits, losses, torch.autograd.grad(shown, x, gradient)[0]


class BackwardPass(View):
    """Attacks through preprocessing that has no useful gradient (BPDA).

    forward: what the defense does to the inputs, exactly.  backward: a differentiable approximation of it that carries
    the gradient back; None for the identity, which suits every defense that leaves the image nearly as it was.
    """

    def __init__(self, inner: Any, forward: Transformation, backward: Transformation | None = None) -> None:
        super().__init__(inner)
        self._forward, self._backward = forward, backward

    def decide(self, inputs: Tensor, rows: Tensor) -> Tensor:
        return super().decide(self._forward(inputs, rows), rows)

    def scores(self, inputs: Tensor, rows: Tensor) -> Tensor:
        return super().scores(self._forward(inputs, rows), rows)

    def loss_and_gradient(
        self, inputs: Tensor, labels: Tensor, rows: Tensor, loss: Loss
    ) -> tuple[Tensor, Tensor, Tensor]:
        logits, losses, gradient = super().loss_and_gradient(self._forward(inputs, rows), labels, rows, loss)
        if self._backward is not None:
            x, shown = _differentiable(self._backward, inputs, rows)
            (gradient,) = torch.autograd.grad(shown, x, gradient)
        return logits, losses, gradient


class InputDiversity(View):
    """Gradients of the image shrunk and put down at a random place, in `probability` of the calls (DI-FGSM).

    smallest: side of the shrunk image, as a part of the whole, at least.  Scores and decisions are of the image itself.
    """

    def __init__(self, inner: Any, rng: ExampleRandom, probability: float = 0.5, smallest: float = 0.9) -> None:
        super().__init__(inner)
        self._rng, self._probability, self._smallest = rng, probability, smallest

    def loss_and_gradient(
        self, inputs: Tensor, labels: Tensor, rows: Tensor, loss: Loss
    ) -> tuple[Tensor, Tensor, Tensor]:
        x, shown = _differentiable(self._shrunk, inputs, rows)
        logits, losses, gradient = super().loss_and_gradient(shown.detach(), labels, rows, loss)
        return logits, losses, torch.autograd.grad(shown, x, gradient)[0]

    def _shrunk(self, inputs: Tensor, rows: Tensor) -> Tensor:
        drawn = self._rng.uniform(rows, (4,))
        side = torch.where(drawn[:, 0] < self._probability, self._smallest + (1 - self._smallest) * drawn[:, 1], 1.0)
        # In units of the grid, where the image spans [-1, 1]: the free border is shared at random.
        shift = (2 * drawn[:, 2:] - 1) * (1 - side)[:, None]
        theta = torch.zeros(len(inputs), 2, 3)
        theta[:, 0, 0] = theta[:, 1, 1] = 1 / side
        theta[:, :, 2] = -shift / side[:, None]
        grid = F.affine_grid(theta, list(inputs.shape), align_corners=False)
        return F.grid_sample(inputs, grid, padding_mode="zeros", align_corners=False)


@dataclass(frozen=True)
class Diverse:
    """Any gradient attack with input diversity."""

    attack: Any
    probability: float = 0.5
    smallest: float = 0.9

    def run(self, oracle: Any, examples: Examples, budget: Any, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W."""
        seen = InputDiversity(oracle, rng, self.probability, self.smallest)
        candidates: Tensor = self.attack.run(seen, examples, budget, rng)
        return candidates


class AnyFinding(View):
    """A multilabel head seen as two classes: 0, every finding as in `findings`; 1, at least one turned.

    findings: bool N x L, what should be found in each example.  The logit of class 1 is the largest change of mind:
    positive exactly when a finding is on the wrong side of its own threshold, so every loss and attack for two
    classes applies, with label 0.
    """

    def __init__(self, inner: Any, findings: Tensor) -> None:
        super().__init__(inner)
        self._findings = findings.bool()

    @property
    def classes(self) -> int:
        return 2

    def decide(self, inputs: Tensor, rows: Tensor) -> Tensor:
        return self.scores(inputs, rows).argmax(1)

    def scores(self, inputs: Tensor, rows: Tensor) -> Tensor:
        return _turned(super().scores(inputs, rows), self._findings[rows])

    def loss_and_gradient(
        self, inputs: Tensor, labels: Tensor, rows: Tensor, loss: Loss
    ) -> tuple[Tensor, Tensor, Tensor]:
        flat = labels.view(len(labels), -1)
        # The model is asked in parts; what belongs to an example must travel with its labels.
        packed = torch.cat([self._findings[rows].to(labels.dtype), flat], 1)
        width = self._findings.shape[1]

        def two_class(logits: Tensor, both: Tensor) -> Tensor:
            own = both[:, width:]
            return loss(_turned(logits, both[:, :width].bool()), own[:, 0] if labels.ndim == 1 else own)

        logits, losses, gradient = super().loss_and_gradient(inputs, packed, rows, two_class)
        return _turned(logits, self._findings[rows]), losses, gradient


def _turned(logits: Tensor, findings: Tensor) -> Tensor:
    strongest = torch.where(findings, -logits, logits).amax(1, keepdim=True)
    return torch.cat([torch.zeros_like(strongest), strongest], 1)


def _differentiable(function: Transformation, inputs: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        x = inputs.detach().requires_grad_(True)
        return x, function(x, rows)


def noisy(rng: ExampleRandom, deviation: float) -> Transformation:
    """Gaussian noise of this standard deviation: the transformation of a randomized smoothing defense."""
    return lambda inputs, rows: inputs + deviation * rng.normal(rows, inputs.shape[1:])
