"""Which examples an attack may give up half-way, because what it gains there cannot bring it home.

What a search gains falls off with its age.  So what it gained between a fifth and two fifths of its effort, kept up
to the end, is more than it will gain; where three times that would not do, the example is left as one that holds out.
On adversarially trained models this saves half of an attack's work, and attacks that are not cut short fool no more
(`make bench-attacks`).  Discarding by progress is known from Liu et al., CVPR 2022.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LOOKS = (1, 2)
"""Fifths of the effort at which progress is taken down, and judged."""
TRUST = 3.0
"""How many times better than at that pace the rest may go."""


@dataclass(frozen=True)
class Outlook:
    """The rule for a search of `effort` steps or queries, which applies when that is at least `least`: the progress of
    a few steps says little.  With applies=False nothing is ever hopeless."""

    effort: int
    applies: bool
    least: int = 80

    def note(self, age: Tensor, value: Tensor, noted: Tensor) -> Tensor:
        """What to keep in the lane as `noted`: the value where it stood at the first look.

        age: steps taken, N.  value: what the search raises, the best so far, N; at 0 it has won.
        """
        return torch.where(age == LOOKS[0] * self.effort // 5, value, noted)

    def hopeless(self, age: Tensor, value: Tensor, noted: Tensor) -> Tensor:
        """Which lanes to leave, bool N.  A value of minus infinity (nothing found yet) is no reason."""
        if not self.applies or self.effort < self.least:
            return torch.zeros(len(age), dtype=torch.bool)
        first, second = (look * self.effort // 5 for look in LOOKS)
        pace = (value - noted) / (second - first)
        return (age == second) & (value + TRUST * pace * (self.effort - second) < 0)
