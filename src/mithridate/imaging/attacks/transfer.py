"""Who fools whom: examples made on every surrogate, tried on every victim."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mithridate.attack import Examples
from mithridate.imaging.attacks.pgd import PGD
from mithridate.imaging.attacks.views import Diverse
from mithridate.oracle import DifferentiableModel, Gradients
from mithridate.seeds import ExampleRandom
from mithridate.statistics import Interval, wilson

TRANSFERABLE = Diverse(PGD(steps=20, random_start=False, loss="cross-entropy", momentum=1.0))
"""Momentum (Dong et al. 2018) and input diversity (Xie et al. 2019): what makes examples travel between models."""


@dataclass(frozen=True)
class TransferMatrix:
    """Success of examples made on the model of a row, on the model of a column.

    fooled: int64 M x M, examples that the victim classified rightly and now wrongly.  right: int64 M, how many each
    model classified rightly.  The diagonal is the white box.
    """

    names: tuple[str, ...]
    fooled: Tensor
    right: Tensor

    def rate(self, surrogate: str, victim: str) -> Interval:
        """Attack success rate with its 95% interval."""
        row, column = self.names.index(surrogate), self.names.index(victim)
        return wilson(int(self.fooled[row, column]), int(self.right[column]))


def transfer_matrix(
    models: Mapping[str, DifferentiableModel],
    examples: Examples,
    budget: Any,
    seed: int,
    attack: Any = TRANSFERABLE,
    progress: Callable[[int, int], None] | None = None,
) -> TransferMatrix:
    """Every model of `models` as the surrogate for every other; `attack` runs once a surrogate, all with the same
    randomness.  progress: called with (surrogates done, surrogates in all)."""
    names = tuple(models)
    clean = torch.stack([models[name].logits(examples.inputs).argmax(1) == examples.labels for name in names])
    fooled = torch.zeros(len(names), len(names), dtype=torch.int64)
    for row, name in enumerate(names):
        oracle = Gradients(models[name], len(examples))
        candidates = attack.run(oracle, examples, budget, ExampleRandom(seed, "transfer", examples.ids))
        inside = budget.violation(examples.inputs, candidates) == 0
        for column, victim in enumerate(names):
            wrong = models[victim].logits(candidates).argmax(1) != examples.labels
            fooled[row, column] = (wrong & clean[column] & inside).sum()
        if progress:
            progress(row + 1, len(names))
    return TransferMatrix(names, fooled, clean.sum(1))
