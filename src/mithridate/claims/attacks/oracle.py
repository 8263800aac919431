"""What an attacker on claims may ask: the payment and the rules, which are public, freely; the detector, counted.

`WhiteBox` offers all that `Scores` offers, which offers all that `Decisions` offers, as in `mithridate.oracle`: the
knowledge of an attacker is the oracle that it is handed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mithridate.claims.attacks.terms import Terms
from mithridate.claims.claim import Claim
from mithridate.errors import QueryLimitReached


class Decider(Protocol):
    """A model under audit that answers with labels only."""

    def denies(self, claims: Sequence[Claim]) -> NDArray[np.bool_]:
        """Whether each claim (N) is denied or held back."""
        ...


class Scorer(Decider, Protocol):
    """A model under audit that also says how suspicious a claim is."""

    @property
    def threshold(self) -> float:
        """Claims that score this or more are denied."""
        ...

    def score(self, claims: Sequence[Claim]) -> NDArray[np.float64]:
        """Suspicion (N) in [0, 1]."""
        ...


class Decisions:
    """Labels only.  `examples` is how many claims will be attacked; `limit` caps the queries about each."""

    def __init__(self, model: Decider, terms: Terms, examples: int, limit: int | None = None) -> None:
        self._decider = model
        self.terms = terms
        self.limit = limit
        self.queries = np.zeros(examples, dtype=np.int64)

    def left(self, row: int) -> int | None:
        """Queries that example `row` has left; None without a limit."""
        return None if self.limit is None else int(self.limit - self.queries[row])

    def denies(self, claims: Sequence[Claim], row: int) -> NDArray[np.bool_]:
        """Whether each claim is denied.  Raises QueryLimitReached before asking when `row` has too few queries left."""
        self._charge(len(claims), row)
        return self._decider.denies(claims)

    def _charge(self, many: int, row: int) -> None:
        if self.limit is not None and self.queries[row] + many > self.limit:
            raise QueryLimitReached(f"the query limit of {self.limit} per claim is reached")
        self.queries[row] += many


class Scores(Decisions):
    """Labels and scores."""

    def __init__(self, model: Scorer, terms: Terms, examples: int, limit: int | None = None) -> None:
        super().__init__(model, terms, examples, limit)
        self._scorer = model

    @property
    def threshold(self) -> float:
        return self._scorer.threshold

    def score(self, claims: Sequence[Claim], row: int) -> NDArray[np.float64]:
        """Suspicion of each claim, in [0, 1]."""
        self._charge(len(claims), row)
        return self._scorer.score(claims)


class WhiteBox(Scores):
    """The model itself, for exact attacks and certificates."""

    @property
    def model(self) -> Scorer:
        return self._scorer
