"""The best candidate of each example so far."""

from __future__ import annotations

import torch
from torch import Tensor


class Best:
    """Candidates start as the clean inputs; an offer replaces one when it reaches the goal and the kept one does not,
    or else has the higher value (a loss, or minus a distance).  `hopeless` marks examples that an attack gave up."""

    def __init__(self, inputs: Tensor) -> None:
        self.candidates = inputs.clone()
        self.value = torch.full((len(inputs),), -torch.inf, dtype=torch.float64)
        self.hit = torch.zeros(len(inputs), dtype=torch.bool)
        self.hopeless = torch.zeros(len(inputs), dtype=torch.bool)

    def offer(self, rows: Tensor, candidates: Tensor, value: Tensor, hit: Tensor) -> None:
        """candidates, values and whether they reach the goal, one for each of `rows`."""
        value = value.double()
        better = (hit & ~self.hit[rows]) | ((hit == self.hit[rows]) & (value > self.value[rows]))
        chosen = rows[better]
        self.candidates[chosen], self.value[chosen], self.hit[chosen] = candidates[better], value[better], hit[better]
