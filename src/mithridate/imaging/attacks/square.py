"""The square attack (Andriushchenko et al., ECCV 2020): random search over squares, from scores alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mithridate.attack import Examples
from mithridate.budget import PixelBudget
from mithridate.imaging.attacks import square_moves
from mithridate.imaging.attacks.aim import goal_of
from mithridate.imaging.attacks.losses import margin
from mithridate.imaging.engine.best import Best
from mithridate.imaging.engine.loop import Goal, Lanes, walk
from mithridate.imaging.engine.norms import Norm, each, norm_of
from mithridate.imaging.engine.oracles import ScoreOracle, score_cost
from mithridate.imaging.engine.outlook import Outlook
from mithridate.seeds import ExampleRandom

HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Parts of all queries, in ten thousandths, after which the squares' area is halved (the paper's schedule)."""

BLOCK = 64

LEAST = 500
"""Queries from which on an example's progress is judged: most of them gain nothing."""


@dataclass(frozen=True)
class Square:
    """Changes one random square at a time and keeps what raises the margin; an example leaves as soon as it is fooled.

    queries: at most, for an example and start.  area: the first squares' part of the image.  restarts: starts.
    discard_hopeless: an example leaves, too, as soon as its progress rules success out (see `engine.outlook`).
    """

    queries: int = 5000
    area: float = 0.8
    restarts: int = 1
    discard_hopeless: bool = False

    def run(self, oracle: ScoreOracle, examples: Examples, budget: PixelBudget, rng: ExampleRandom) -> Tensor:
        """Candidates N x C x H x W.  Raises UserError for a budget that is no norm ball."""
        norm, best, goal = norm_of(budget, "the square attack"), Best(examples.inputs), goal_of(examples, False)
        pending = torch.arange(len(examples))
        outlook = Outlook(self.queries, self.discard_hopeless, LEAST)
        for _ in range(self.restarts):
            walk(oracle, pending, _Search(self, oracle, examples, budget, norm, rng, goal, outlook, best))
            pending = pending[~best.hit[pending] & ~best.hopeless[pending]]
        return best.candidates


_Settle = Callable[[Tensor], Tensor]
"""Given which changes are kept (bool N), the lanes' images as they then are."""


@dataclass
class _Lane(Lanes):
    x: Tensor
    value: Tensor
    age: Tensor
    fooled: Tensor
    noted: Tensor
    draws: Tensor
    """Random numbers of the next moves: drawn for BLOCK of them at a time, which costs hardly more than for one."""


@dataclass(frozen=True)
class _Search:
    attack: Square
    oracle: ScoreOracle
    examples: Examples
    budget: PixelBudget
    norm: Norm
    rng: ExampleRandom
    goal: Goal
    outlook: Outlook
    best: Best

    @property
    def cost(self) -> int:
        return score_cost(self.oracle)

    def enter(self, rows: Tensor) -> _Lane:
        x, count = self.examples.inputs[rows], len(rows)
        return _Lane(
            x=x,
            value=torch.full((count,), -torch.inf),
            age=torch.zeros(count, dtype=torch.int64),
            fooled=torch.zeros(count, dtype=torch.bool),
            noted=self.outlook.unnoted(count),
            draws=torch.zeros(count, BLOCK, square_moves.draws_of(x.shape[1])),
        )

    def step(self, rows: Tensor, lanes: _Lane) -> tuple[_Lane, Tensor]:
        tried, settle = self._squares(lanes, rows) if self.norm == "linf" else self._masses(lanes, rows)
        logits = self.oracle.scores(tried, rows)
        value, fooled = margin(logits, self.goal.aim[rows]), self.goal.reached(logits, rows)
        kept = value > lanes.value
        value, age = torch.where(kept, value, lanes.value), lanes.age + 1
        noted = self.outlook.note(age, value, lanes.noted)
        lanes = replace(lanes, x=settle(kept), value=value, age=age, fooled=fooled & kept, noted=noted)
        hopeless = self.outlook.hopeless(age, value, noted) & ~lanes.fooled
        self.best.hopeless[rows[hopeless]] = True
        return lanes, lanes.fooled | hopeless | (age >= self.attack.queries)

    def _squares(self, lanes: _Lane, rows: Tensor) -> tuple[Tensor, _Settle]:
        """The lanes' images, each changed in place, and what takes back those changes that were not kept."""
        x, inputs = lanes.x, self.examples.inputs
        fresh = lanes.age == 0
        if bool(fresh.any()):
            origin = inputs[rows[fresh]]
            start = square_moves.stripes(origin, rows[fresh], self.rng, self.budget.size)
            x[fresh] = self.budget.project(origin + start, origin)
        old = (~fresh).nonzero().flatten()
        if not len(old):
            return x, lambda kept: x
        areas = self._areas(lanes.age[old])
        squares = square_moves.Squares.draw(
            x, old, inputs, rows[old], areas, self._draws(lanes, rows, old), self.budget
        )
        squares.make(x)

        def settle(kept: Tensor) -> Tensor:
            squares.undo(x, ~kept[old])
            return x

        return x, settle

    def _masses(self, lanes: _Lane, rows: Tensor) -> tuple[Tensor, _Settle]:
        """The lanes' images changed, and what puts those that were kept in place of the former."""
        origin = self.examples.inputs[rows]
        change = lanes.x - origin
        fresh = lanes.age == 0
        if bool(fresh.any()):
            change[fresh] = square_moves.tiles(change[fresh], rows[fresh], self.rng, self.budget.size)
        old = (~fresh).nonzero().flatten()
        if len(old):
            areas, drawn = self._areas(lanes.age[old]), self._draws(lanes, rows, old)
            change[old] = square_moves.move_mass(change[old], areas, drawn, self.budget.size)
        tried = self.budget.project(origin + change, origin)
        return tried, lambda kept: torch.where(each(kept), tried, lanes.x)

    def _draws(self, lanes: _Lane, rows: Tensor, old: Tensor) -> Tensor:
        """The random numbers of the next move of the lanes `old` (indices)."""
        place = (lanes.age[old] - 1) % BLOCK
        empty = old[place == 0]
        if len(empty):
            lanes.draws[empty] = self.rng.uniform(rows[empty], lanes.draws.shape[1:])
        return lanes.draws[old, place]

    def _areas(self, ages: Tensor) -> Tensor:
        done = ages.double() / self.attack.queries * 10_000
        halvings = (done[:, None] > torch.tensor(HALVINGS)).sum(1)
        return self.attack.area / 2.0**halvings

    def leave(self, rows: Tensor, lanes: _Lane) -> tuple[_Lane, Tensor]:
        stands = self.goal.confirmed(self.oracle, lanes.x, rows, lanes.fooled)
        again = lanes.fooled & ~stands & (lanes.age < self.attack.queries)
        self.best.offer(rows[~again], lanes.x[~again], lanes.value[~again], stands[~again])
        return replace(lanes, fooled=stands), again
