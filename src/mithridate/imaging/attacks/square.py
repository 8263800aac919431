"""The square attack (Andriushchenko et al., ECCV 2020): random search over squares, from scores alone."""

from __future__ import annotations

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
from mithridate.imaging.engine.norms import Norm, norm_of
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
        origin = self.examples.inputs[rows]
        tried = self.budget.project(self._proposal(lanes, origin, rows), origin)
        logits = self.oracle.scores(tried, rows)
        value, fooled = margin(logits, self.goal.aim[rows]), self.goal.reached(logits, rows)
        kept = value > lanes.value
        x = lanes.x.clone()
        x[kept] = tried[kept]
        value, age = torch.where(kept, value, lanes.value), lanes.age + 1
        noted = self.outlook.note(age, value, lanes.noted)
        lanes = replace(lanes, x=x, value=value, age=age, fooled=fooled & kept, noted=noted)
        hopeless = self.outlook.hopeless(age, value, noted) & ~lanes.fooled
        self.best.hopeless[rows[hopeless]] = True
        return lanes, lanes.fooled | hopeless | (age >= self.attack.queries)

    def _proposal(self, lanes: _Lane, origin: Tensor, rows: Tensor) -> Tensor:
        change = lanes.x - origin
        fresh = lanes.age == 0
        if bool(fresh.any()):
            start = square_moves.stripes if self.norm == "linf" else square_moves.tiles
            change[fresh] = start(change[fresh], rows[fresh], self.rng, self.budget.size)
        old = ~fresh
        if bool(old.any()):
            move = square_moves.flip_square if self.norm == "linf" else square_moves.move_mass
            place = (lanes.age - 1) % BLOCK
            empty = old & (place == 0)
            if bool(empty.any()):
                lanes.draws[empty] = self.rng.uniform(rows[empty], lanes.draws.shape[1:])
            drawn = lanes.draws[old, place[old]]
            change[old] = move(change[old], self._areas(lanes.age[old]), drawn, self.budget.size)
        return origin + change

    def _areas(self, ages: Tensor) -> Tensor:
        done = ages.double() / self.attack.queries * 10_000
        halvings = (done[:, None] > torch.tensor(HALVINGS)).sum(1)
        return self.attack.area / 2.0**halvings

    def leave(self, rows: Tensor, lanes: _Lane) -> tuple[_Lane, Tensor]:
        stands = self.goal.confirmed(self.oracle, lanes.x, rows, lanes.fooled)
        again = lanes.fooled & ~stands & (lanes.age < self.attack.queries)
        self.best.offer(rows[~again], lanes.x[~again], lanes.value[~again], stands[~again])
        return replace(lanes, fooled=stands), again
