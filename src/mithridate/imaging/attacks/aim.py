"""Which class an attack steers from or to, and who can pay for finding out."""

from __future__ import annotations

import torch
from torch import Tensor

from mithridate.attack import Examples
from mithridate.imaging.attacks.losses import likeliest_others
from mithridate.imaging.engine.loop import Goal
from mithridate.imaging.engine.oracles import DecisionOracle, ScoreOracle, affords, score_cost


def goal_of(examples: Examples, targeted: bool) -> Goal:
    """The goal of an attack on these examples.  Raises ValueError if targeted without targets."""
    aim = examples.targets if targeted else examples.labels
    if aim is None:
        raise ValueError("a targeted attack needs examples with targets")
    return Goal(aim, targeted)


def payers(oracle: DecisionOracle, count: int, queries: int) -> Tensor:
    """The rows, of `count` examples, that may still ask so many queries."""
    rows = torch.arange(count)
    return rows[affords(oracle, rows, queries)]


def likeliest_targets(oracle: ScoreOracle, examples: Examples, count: int) -> tuple[Tensor, Tensor]:
    """The rows that could pay for their clean scores, and every example's wrong classes, the likeliest first, N x
    min(count, K - 1)."""
    rows = payers(oracle, len(examples), score_cost(oracle))
    if len(rows) == 0:
        return rows, torch.zeros(len(examples), 0, dtype=torch.int64)
    some = likeliest_others(oracle.scores(examples.inputs[rows], rows), examples.labels[rows], count)
    others = torch.zeros(len(examples), some.shape[1], dtype=torch.int64)
    others[rows] = some
    return rows, others
