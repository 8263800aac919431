"""Rules and payment of many claims at once, as arrays: what a search asks thousands of times a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mithridate.claims.claim import Claim
from mithridate.claims.payment import Pricer
from mithridate.claims.rules import Rules
from mithridate.claims.rules.reasons import HARD_REASONS


@dataclass(frozen=True)
class Evaluation:
    """N claims as billed.

    Attributes: amount (float64 N, dollars, what the claim asks for whether or not it breaks a rule), units (float64 N),
    signature (N), broken (N tuples of reason codes), denied (bool N: some broken rule is a hard one).
    """

    amount: NDArray[np.float64]
    units: NDArray[np.float64]
    signature: tuple[str, ...]
    broken: tuple[tuple[str, ...], ...]
    denied: NDArray[np.bool_]

    @property
    def clean(self) -> NDArray[np.bool_]:
        """bool N: no rule is broken at all."""
        return np.array([not reasons for reasons in self.broken], dtype=np.bool_)


def evaluate(claims: Sequence[Claim], rules: Rules, pricer: Pricer) -> Evaluation:
    """Rules and payment of each claim, in order; `rules` and `pricer` keep their answers by code set between calls."""
    prices = [pricer.price(claim) for claim in claims]
    broken = tuple(tuple(item.reason for item in rules.check(claim)) for claim in claims)
    return Evaluation(
        np.array([price.amount for price in prices], dtype=np.float64),
        np.array([price.units for price in prices], dtype=np.float64),
        tuple(price.signature for price in prices),
        broken,
        np.array([not HARD_REASONS.isdisjoint(reasons) for reasons in broken], dtype=np.bool_),
    )
