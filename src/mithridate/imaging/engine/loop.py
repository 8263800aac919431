"""The loop that every iterative attack shares: compaction with refill.

An example leaves its lane as soon as its attack is through with it, and a waiting example takes the lane, so that
every evaluation is of a full batch of examples that still need one.  Each example walks alone: its company, its lane
and the order of the work never change its numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from mithridate.imaging.engine.oracles import DecisionOracle, affords, is_scout, lanes_of, score_cost


@dataclass
class Lanes:
    """State of the examples in work: fields are tensors whose first dimension is the lane."""

    def pick(self: L, chosen: Tensor) -> L:
        """The chosen lanes (bool mask or indices)."""
        return type(self)(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})

    def replaced(self: L, where: Tensor, part: L) -> L:
        """These lanes, with those of a bool mask replaced by `part`."""
        merged = {f.name: getattr(self, f.name).clone() for f in fields(self)}
        for name, values in merged.items():
            values[where] = getattr(part, name)
        return type(self)(**merged)

    @staticmethod
    def join(parts: Sequence[L]) -> L:
        """All lanes of the parts, in order."""
        if len(parts) == 1:
            return parts[0]
        first = parts[0]
        return type(first)(**{f.name: torch.cat([getattr(p, f.name) for p in parts]) for f in fields(first)})


L = TypeVar("L", bound=Lanes)


class Walk(Protocol[L]):
    """One attack's walk.  `cost` is the most queries that a step asks of a lane."""

    @property
    def cost(self) -> int: ...

    def enter(self, rows: Tensor) -> L:
        """Lanes for examples that have not walked yet."""
        ...

    def step(self, rows: Tensor, lanes: L) -> tuple[L, Tensor]:
        """The lanes one step on, and which of them are through (bool)."""
        ...

    def leave(self, rows: Tensor, lanes: L) -> tuple[L, Tensor]:
        """Take the results of lanes that are through, or have no queries left; returns the lanes and which of them
        must go on after all (bool)."""
        ...


def walk(oracle: DecisionOracle, rows: Tensor, walker: Walk[L]) -> None:
    """Walk all examples `rows` (int64) to their ends, as many at a time as fill the model's batch."""
    width = lanes_of(oracle)
    waiting, active, through = rows, rows[:0], rows[:0]
    lanes: list[L] = []
    done: list[L] = []
    while len(waiting) or len(active) or len(through):
        free = max(0, width - len(active))
        fresh, waiting = waiting[:free], waiting[free:]
        if len(fresh):
            lanes.append(walker.enter(fresh))
            active = torch.cat([active, fresh])
        if len(active):
            state = Lanes.join(lanes)
            able = affords(oracle, active, walker.cost)
            ended = ~able
            if bool(able.all()):
                state, ended = walker.step(active, state)
            elif bool(able.any()):
                # Only the lanes that can pay move; the others leave with what they have.
                moved, over = walker.step(active[able], state.pick(able))
                state = Lanes.join([moved, state.pick(~able)])
                active = torch.cat([active[able], active[~able]])
                ended = torch.cat([over, torch.ones(int((~able).sum()), dtype=torch.bool)])
            if bool(ended.any()):
                done.append(state.pick(ended))
                through = torch.cat([through, active[ended]])
                state, active = state.pick(~ended), active[~ended]
            lanes = [state]
        # What is through waits for company: one full evaluation verifies or finishes a whole batch of examples.
        if len(through) >= width or (len(through) and not len(active) and not len(waiting)):
            state, again = walker.leave(through, Lanes.join(done))
            again = again & affords(oracle, through, walker.cost)
            if bool(again.any()):
                lanes.append(state.pick(again))
                active = torch.cat([active, through[again]])
            through, done = through[:0], []


@dataclass(frozen=True)
class Goal:
    """What an attack wants of each example: any class but its label, or, targeted, one class."""

    aim: Tensor
    targeted: bool = False

    def reached(self, answers: Tensor, rows: Tensor) -> Tensor:
        """Whether logits (N x K) or decisions (N) of the examples `rows` are what the attack wants, bool N."""
        decisions = answers.argmax(1) if answers.ndim == 2 else answers
        return (decisions == self.aim[rows]) == self.targeted

    def confirmed(self, oracle: Any, candidates: Tensor, rows: Tensor, claimed: Tensor) -> Tensor:
        """Which claims (bool N) stand: a scout's are put to the caller's own model, any other oracle's stand as they
        are.  A claim that nobody can pay to verify does not stand."""
        if not is_scout(oracle):
            return claimed
        stands = claimed & affords(oracle, rows, score_cost(oracle))
        if bool(stands.any()):
            stands[stands.clone()] = self.reached(oracle.decide(candidates[stands], rows[stands]), rows[stands])
        oracle.deny(rows[claimed & ~stands])
        return stands
