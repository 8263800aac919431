"""Which examples an attack may give up half-way, because what it gains there cannot bring it home.

What a search gains falls off with its age.  So what it gained between one and three tenths of its effort, or between
two and four, kept up to the end, is more than it will gain; where three times that would not do, the example is left as
one that holds out.  On adversarially trained models this saves more than half of an attack's work, and attacks that are
not cut short fool no more (`make bench-attacks`).  Discarding by progress is known from Liu et al., CVPR 2022.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

WINDOWS = ((1, 3), (2, 4))
"""Tenths of the effort between which progress is judged, at the later of the two."""
TRUST = 3.0
"""How many times better than at that pace the rest may go."""


@dataclass(frozen=True)
class Outlook:
    """The rule for a search of `effort` steps or queries, which applies when that is at least `least`: the progress of
    a few steps says little.  With applies=False nothing is ever hopeless."""

    effort: int
    applies: bool
    least: int = 80

    def unnoted(self, count: int) -> Tensor:
        """What new lanes have noted: nothing, count x 2."""
        return torch.full((count, len(WINDOWS)), -torch.inf, dtype=torch.float64)

    def note(self, age: Tensor, value: Tensor, noted: Tensor) -> Tensor:
        """What to keep in the lane as `noted`: the values at the beginnings of the windows.

        age: steps taken, N.  value: what the search raises, the best so far, N; at 0 it has won.
        """
        begins = torch.tensor([begin * self.effort // 10 for begin, _ in WINDOWS])
        return torch.where(age[:, None] == begins, value[:, None].double(), noted)

    def hopeless(self, age: Tensor, value: Tensor, noted: Tensor) -> Tensor:
        """Which lanes to leave, bool N.  A value of minus infinity (nothing found yet) is no reason."""
        found = torch.zeros(len(age), dtype=torch.bool)
        if not self.applies or self.effort < self.least:
            return found
        for window, (begin, end) in enumerate(WINDOWS):
            first, last = begin * self.effort // 10, end * self.effort // 10
            at = age == last
            if bool(at.any()):
                pace = (value.double() - noted[:, window]) / (last - first)
                found |= at & (value.double() + TRUST * pace * (self.effort - last) < 0)
        return found
