"""One attack at several sizes of a budget, for little more than the price of the largest.

Balls of one norm lie inside one another: what fools at a small size fools at every larger one, and what holds out at a
large size holds out, as far as the same attack can tell, at every smaller one.  So the search begins at the largest
size, goes down while it succeeds, and carries every success upward.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from mithridate.attack import Examples
from mithridate.budget import PixelBudget
from mithridate.errors import UserError
from mithridate.imaging.engine.oracles import GradientOracle, affords, attack_some, score_cost
from mithridate.seeds import ExampleRandom


def sweep(
    attack: Any, oracle: GradientOracle, examples: Examples, budgets: Sequence[PixelBudget], rng: ExampleRandom
) -> list[Tensor]:
    """Candidates N x C x H x W for each of `budgets`: one norm, sizes ascending.

    Success never falls as the size grows.  Where an example holds out, its candidate is that of the next larger size
    cut to this one: the sweep decides who is fooled, and is not the place for the highest loss at every size.  Raises
    UserError when the sizes do not ascend or the norms differ.
    """
    ascending = all(a.size < b.size for a, b in pairwise(budgets))
    if not ascending or len({type(budget) for budget in budgets}) > 1:
        raise UserError("a sweep needs budgets of one norm, their sizes ascending")
    found: list[Tensor] = []
    candidates, pending = examples.inputs.clone(), torch.arange(len(examples))
    for budget in reversed(budgets):
        # A candidate of the larger size that still fools when it is cut to this one needs no attack.
        candidates = budget.project(candidates, examples.inputs)
        fooled = _fooled(oracle, candidates, examples, pending)
        rest = pending[~fooled]
        if len(rest):
            candidates[rest] = attack_some(attack, oracle, examples, budget, rng, rest)
            fooled[~fooled] = _fooled(oracle, candidates, examples, rest)
        pending = pending[fooled]
        found.insert(0, candidates.clone())
    return found


def _fooled(oracle: GradientOracle, candidates: Tensor, examples: Examples, rows: Tensor) -> Tensor:
    fooled = affords(oracle, rows, score_cost(oracle))
    if bool(fooled.any()):
        able = rows[fooled]
        fooled[fooled.clone()] = oracle.decide(candidates[able], able) != examples.labels[able]
    return fooled
