"""What all searching attacks share: points of a space tried once each, and what the attacker would be paid for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mithridate.claims.attacks.oracle import Decisions, Scores
from mithridate.claims.attacks.space import Edits, EditSpace
from mithridate.claims.attacks.terms import Terms
from mithridate.claims.claim import Claim

CHUNK = 4096
"""Points that are tried at once: what a model does fast, and memory holds easily."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One point of a space as the attacker found it.

    payment in dollars; excess: how far the score lies above the threshold (0 or less: approved; for labels only 0 or
    1); cost in edits.
    """

    edits: Edits
    payment: float
    excess: float
    cost: int

    @property
    def approved(self) -> bool:
        return self.excess < 0

    @property
    def worth(self) -> float:
        """Dollars received: nothing for a denied claim."""
        return self.payment if self.approved else 0.0

    @property
    def rank(self) -> tuple[float, float, int]:
        """Better points sort first: more money, then less suspicion, then fewer edits."""
        return (-self.worth, self.excess if not self.approved else 0.0, self.cost)


class Attack(Protocol):
    """`run` gives one candidate for each claim, inside its space; the audit alone judges it."""

    def run(
        self, oracle: Decisions, spaces: Sequence[EditSpace], rng: np.random.Generator, row: int = 0
    ) -> list[Claim]: ...


class Search:
    """The state of a search over one space: every point is asked about once, and the best one kept.

    Points that break a rule are dropped before the model is asked.  Once the query limit is reached nothing more is
    asked, and `over` is True.
    """

    def __init__(self, oracle: Decisions, space: EditSpace, row: int) -> None:
        self._oracle, self.space, self._row = oracle, space, row
        self.known: dict[Edits, Tried | None] = {}
        self.over = False
        first = self.ask([space.start], keep_unlawful=True)
        self.best = first[0] if first else None

    @property
    def terms(self) -> Terms:
        """Payment and rules, which are asked freely."""
        return self._oracle.terms

    def ask(self, points: Iterable[Edits], keep_unlawful: bool = False) -> list[Tried]:
        """What is found at each lawful point, in order; points asked about before cost no query."""
        wanted = list(dict.fromkeys(points))
        fresh = [point for point in wanted if point not in self.known]
        for at in range(0, len(fresh), CHUNK):
            if not self.over:
                self._try(fresh[at : at + CHUNK], keep_unlawful)
        return [tried for point in wanted if (tried := self.known.get(point)) is not None]

    def candidate(self) -> Claim:
        """The best claim found; the unedited one when nothing pays more."""
        return self.space.claim if self.best is None else self.space.apply(self.best.edits)

    def _try(self, points: list[Edits], keep_unlawful: bool) -> None:
        claims = [self.space.apply(point) for point in points]
        terms = self.terms
        if not keep_unlawful:
            lawful = terms.lawful(self.space.claim, claims)
            self.known.update((point, None) for point, fine in zip(points, lawful, strict=True) if not fine)
            points = [point for point, fine in zip(points, lawful, strict=True) if fine]
            claims = [claim for claim, fine in zip(claims, lawful, strict=True) if fine]
        left = self._oracle.left(self._row)
        if left is not None and len(claims) > left:
            points, claims, self.over = points[:left], claims[:left], True
        if not claims:
            return
        if isinstance(self._oracle, Scores):
            excess = self._oracle.score(claims, self._row) - self._oracle.threshold
        else:
            excess = np.where(self._oracle.denies(claims, self._row), 1.0, -1.0)
        for point, payment, over in zip(points, terms.payments(claims), excess, strict=True):
            tried = Tried(point, float(payment), float(over), self.space.cost(point))
            self.known[point] = tried
            best = getattr(self, "best", None)
            if best is None or tried.rank < best.rank:
                self.best = tried
