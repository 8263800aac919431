"""Several attacks in a row, each on what the ones before it left: the worst case an example meets is what counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mithridate.attack import Examples
from mithridate.budget import PixelBudget
from mithridate.imaging.attacks.apgd import APGD, TargetedAPGD
from mithridate.imaging.attacks.fab import FAB
from mithridate.imaging.attacks.pgd import FGSM, PGD
from mithridate.imaging.attacks.square import Square
from mithridate.imaging.engine.oracles import GradientOracle, affords, attack_some, gradient_cost, score_cost
from mithridate.seeds import ExampleRandom


@dataclass(frozen=True)
class Ensemble:
    """Runs `attacks` in order on the examples that still hold out.  Examples that are wrong already need no attack."""

    attacks: tuple[Any, ...]

    def each(self, wrap: Callable[[Any], Any]) -> Ensemble:
        """The ensemble of the same attacks, each in its wrapping."""
        return Ensemble(tuple(wrap(attack) for attack in self.attacks))

    def run(self, oracle: GradientOracle, examples: Examples, budget: PixelBudget, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W: of each example the first that fooled, or the last that did not."""
        candidates = examples.inputs.clone()
        pending = _holding_out(oracle, candidates, examples, torch.arange(len(examples)))
        for attack in self.attacks:
            pending = pending[affords(oracle, pending, gradient_cost(oracle))]
            if len(pending) == 0:
                break
            candidates[pending] = attack_some(attack, oracle, examples, budget, rng, pending)
            pending = _holding_out(oracle, candidates, examples, pending)
        return candidates


def _holding_out(oracle: GradientOracle, candidates: Tensor, examples: Examples, rows: Tensor) -> Tensor:
    """The rows whose candidates are still classified rightly, of those that can pay for the question."""
    rows = rows[affords(oracle, rows, score_cost(oracle))]
    return rows[oracle.decide(candidates[rows], rows) == examples.labels[rows]] if len(rows) else rows


@dataclass(frozen=True)
class StandardEnsemble:
    """AutoAttack's standard version (Croce and Hein, ICML 2020) in the published order: APGD on the cross-entropy,
    targeted APGD on the DLR, targeted FAB, square.

    With two classes the DLR is the margin and there is one target class.  discard_hopeless, which is not in the paper:
    each attack leaves an example as soon as its progress there rules success out (see `engine.outlook`).
    """

    steps: int = 100
    classes: int = 9
    queries: int = 5000
    discard_hopeless: bool = False

    def run(self, oracle: GradientOracle, examples: Examples, budget: PixelBudget, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W.  Raises UserError for a budget that is no norm ball."""
        return Ensemble(self.parts).run(oracle, examples, budget, rng)

    def each(self, wrap: Callable[[Any], Any]) -> Ensemble:
        """The ensemble of the same attacks, each in its wrapping."""
        return Ensemble(self.parts).each(wrap)

    @property
    def parts(self) -> tuple[Any, ...]:
        """The attacks, in order."""
        discard = self.discard_hopeless
        return (
            APGD(self.steps, "cross-entropy", discard_hopeless=discard),
            TargetedAPGD(self.steps, self.classes, discard),
            FAB(self.steps, self.classes, inside_is_enough=True, discard_hopeless=discard),
            Square(self.queries, discard_hopeless=discard),
        )


@dataclass(frozen=True)
class CheapToDear:
    """The standard ensemble's four behind cheaper attacks, and each effort where it has a chance.

    Most examples fall to one step, or to a few: FGSM costs those that hold out 1 evaluation, PGD `quick`, against the
    ensemble's thousands.  What holds out then is left alone as soon as its progress rules success out (see
    `engine.outlook`), and a part of what that saves goes to `restarts` of APGD for the others.
    """

    steps: int = 100
    classes: int = 9
    queries: int = 5000
    quick: int = 10
    restarts: int = 3

    def run(self, oracle: GradientOracle, examples: Examples, budget: PixelBudget, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W.  Raises UserError for a budget that is no norm ball."""
        return Ensemble(self.parts).run(oracle, examples, budget, rng)

    def each(self, wrap: Callable[[Any], Any]) -> Ensemble:
        """The ensemble of the same attacks, each in its wrapping."""
        return Ensemble(self.parts).each(wrap)

    @property
    def parts(self) -> tuple[Any, ...]:
        """The attacks, in order."""
        cheap = (FGSM("margin"), PGD(self.quick, every_step=False))
        again = APGD(self.steps, "margin", self.restarts, discard_hopeless=True)
        return (*cheap, again, *StandardEnsemble(self.steps, self.classes, self.queries, discard_hopeless=True).parts)
