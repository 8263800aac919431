"""Attacks that only ask: random, greedy, beam, genetic, and the exhaustive oracle that the others are measured against.

All of them work with scores and with labels alone.  Ties are broken by the fixed order of a space, so a result depends
on the generator and on nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from mithridate.claims.attacks.oracle import Decisions
from mithridate.claims.attacks.search import CHUNK, Search, Tried
from mithridate.claims.attacks.space import Edits, EditSpace
from mithridate.claims.claim import Claim
from mithridate.errors import UserError


class _Searching(ABC):
    """Runs `_search` over each space: one search a claim."""

    def run(
        self, oracle: Decisions, spaces: Sequence[EditSpace], rng: np.random.Generator, row: int = 0
    ) -> list[Claim]:
        """One candidate a space, in order; space i is charged to row + i of the oracle."""
        found = []
        for number, (space, own) in enumerate(zip(spaces, rng.spawn(len(spaces)), strict=True)):
            search = Search(oracle, space, row + number)
            self._search(search, own)
            found.append(search.candidate())
        return found

    @abstractmethod
    def _search(self, search: Search, rng: np.random.Generator) -> None:
        """Ask about edits of one claim; the search keeps the best."""


@dataclass(frozen=True)
class RandomEdits(_Searching):
    """The control: `tries` random walks of as many edits as the budget allows."""

    tries: int = 200

    def _search(self, search: Search, rng: np.random.Generator) -> None:
        search.ask(_walk(search.space, rng) for _ in range(self.tries))


@dataclass(frozen=True)
class Greedy(_Searching):
    """The best single edit, then the best on top of it, as long as one helps."""

    def _search(self, search: Search, rng: np.random.Generator) -> None:
        here = search.best
        while here is not None and not search.over:
            tried = search.ask(search.space.neighbors(here.edits))
            best = min(tried, key=lambda item: item.rank, default=None)
            if best is None or best.rank >= here.rank:
                return
            here = best


@dataclass(frozen=True)
class Beam(_Searching):
    """Edit by edit, with `width` points kept at each step.

    The points kept are the best by several measures in turn: money received, least suspicion, most money asked for,
    and money less suspicion at several prices, since what is denied after one edit may pay most after the next.
    """

    width: int = 8

    def __post_init__(self) -> None:
        if self.width < 1:
            raise UserError(f"a beam of width {self.width} keeps nothing: give 1 or more")

    def _search(self, search: Search, rng: np.random.Generator) -> None:
        layer = [] if search.best is None else [search.best]
        for _ in range(search.space.budget.k):
            known = len(search.known)
            points = dict.fromkeys(point for item in layer for point in search.space.neighbors(item.edits))
            layer = kept_points(search.ask(points), self.width)
            if len(search.known) == known or search.over:
                return


@dataclass(frozen=True)
class Genetic(_Searching):
    """A population that is crossed and mutated within the space; the best half of each generation survives."""

    population: int = 64
    generations: int = 20

    def _search(self, search: Search, rng: np.random.Generator) -> None:
        space = search.space
        points = [_walk(space, rng) for _ in range(self.population)]
        for _ in range(self.generations):
            alive = kept_points(search.ask(points), max(2, self.population // 2))
            if search.over or not alive:
                return
            parents = [item.edits for item in alive]
            points = parents + [_child(space, parents, rng) for _ in range(self.population - len(parents))]
        search.ask(points)


@dataclass(frozen=True)
class Exhaustive(_Searching):
    """Every point of the space: exact for any model, and the oracle of the other attacks' tests.

    Raises UserError when a space holds more than `most` points.
    """

    most: int = 2_000_000

    def _search(self, search: Search, rng: np.random.Generator) -> None:
        size = search.space.size()
        if size > self.most:
            raise UserError(
                f"claim {search.space.claim.id}: {size:,} ways to edit it are more than {self.most:,}: "
                "lower k or name fewer codes, or use the exact attack"
            )
        for points in _chunks(search.space.every(), CHUNK):
            search.ask(points)
            best = search.best
            # What has been seen is not met again: forget it, or memory grows with the space.
            search.known = {} if best is None else {best.edits: best}


def kept_points(tried: Sequence[Tried], many: int) -> list[Tried]:
    """The best points by each measure in turn, `many` in all."""
    if len(tried) <= many:
        return list(tried)
    payment = np.array([item.payment for item in tried])
    excess = np.maximum(0.0, [item.excess for item in tried])
    spread, worst = float(np.ptp(payment)) or 1.0, float(excess.max()) or 1.0
    orders = [np.array([item.rank for item in tried])]
    orders += [np.column_stack([excess, -payment]), np.column_stack([-payment, excess])]
    orders += [(price * excess / worst - payment / spread)[:, None] for price in (0.5, 1.0, 2.0, 4.0)]
    queues = [np.lexsort(keys.T[::-1]).tolist() for keys in orders]
    chosen: dict[int, None] = {}
    for place in range(len(tried)):
        for queue in queues:
            chosen.setdefault(queue[place])
            if len(chosen) >= many:
                return [tried[number] for number in chosen]
    return [tried[number] for number in chosen]


def _walk(space: EditSpace, rng: np.random.Generator) -> Edits:
    """A point after one to k random edits."""
    here = space.start
    for _ in range(int(rng.integers(1, space.budget.k + 1)) if space.budget.k else 0):
        steps = space.neighbors(here)
        if not steps:
            break
        here = steps[int(rng.integers(len(steps)))]
    return here


def _child(space: EditSpace, parents: Sequence[Edits], rng: np.random.Generator) -> Edits:
    """Each edit of two parents with even odds, then perhaps one random edit; repaired until the budget holds it."""
    mother, father = (parents[int(rng.integers(len(parents)))] for _ in range(2))
    dropped = {i for i in sorted(mother.dropped | father.dropped) if rng.random() < 0.5}
    added = {code for code in sorted(mother.added | father.added) if rng.random() < 0.5}
    pool = sorted(mother.lines | father.lines, key=lambda option: (option.line, option.field, str(option.value)))
    lines = {(option.line, option.field): option for option in pool if rng.random() < 0.5}
    child = Edits(frozenset(dropped), frozenset(added), mother.first, frozenset(lines.values()))
    child = space.led(child)
    while not space.holds(child):
        if not (child.lines or child.added or child.dropped):
            return space.start
        options = [("lines", item) for item in child.lines]
        parts = [(name, item) for name in ("added", "dropped") for item in getattr(child, name)]
        every = sorted([*options, *parts], key=str)
        name, item = every[int(rng.integers(len(every)))]
        child = space.led(replace(child, **{name: getattr(child, name) - {item}}))
    steps = space.neighbors(child) if rng.random() < 0.7 else []
    return steps[int(rng.integers(len(steps)))] if steps else child


def _chunks(points: Iterable[Edits], size: int) -> Iterator[list[Edits]]:
    iterator = iter(points)
    while chunk := list(islice(iterator, size)):
        yield chunk
