"""The surrogate attack: its descent does the work, what it finds is lawful, and it asks little."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from claims.attacks import cohort
from mithridate.claims.attacks.oracle import Scores
from mithridate.claims.attacks.space import EditSpace
from mithridate.claims.attacks.surrogate import Surrogate, SurrogateGradient
from mithridate.claims.claim import Claim
from mithridate.errors import UserError


@cache
def surrogate() -> Surrogate:
    seen = cohort.claims()[:500]
    return Surrogate.fit(seen, cohort.detector().denies(seen), cohort.detector().features, seed=3)


def spaces(k: int = 3) -> list[EditSpace]:
    paid_by_codes = [c for c in cohort.claims()[500:] if c.payer_model != "physician"]
    return [cohort.space(claim, k, wide=9) for claim in paid_by_codes[:20]]


def run(attack: SurrogateGradient) -> tuple[list[Claim], Scores]:
    oracle = Scores(cohort.detector(), cohort.shared_terms(), 20)
    return attack.run(oracle, spaces(), np.random.default_rng(7)), oracle


def gained(after: list[Claim]) -> float:
    """Dollars received above those of the unedited claims."""
    terms, detector = cohort.shared_terms(), cohort.detector()
    before = [space.claim for space in spaces()]
    return float(
        (terms.payments(after) * ~detector.denies(after)).sum()
        - (terms.payments(before) * ~detector.denies(before)).sum()
    )


def test_descending_finds_what_rounded_noise_does_not() -> None:
    # With no steps, or with a gradient that says nothing, the same noise is rounded: all else is equal.
    attack = SurrogateGradient(surrogate(), prices=(10.0,), asked=4)
    (informed, asked), (blind, asked_blind) = run(attack), run(replace(attack, steps=0))
    assert gained(informed) > 1.1 * gained(blind) > 0
    assert asked.queries.sum() < 1.2 * asked_blind.queries.sum()


def test_a_surrogate_that_says_the_opposite_leads_astray() -> None:
    network = torch.nn.Sequential(surrogate().network, torch.nn.Linear(1, 1))
    with torch.no_grad():
        network[1].weight.fill_(-1.0)  # type: ignore[union-attr, operator]
        network[1].bias.zero_()  # type: ignore[union-attr, operator]
    attack = SurrogateGradient(surrogate(), prices=(10.0,), asked=2)
    turned = replace(attack, surrogate=replace(surrogate(), network=network.requires_grad_(False)))
    detector = cohort.detector()

    def suspicion(attack: SurrogateGradient) -> float:
        """Mean margin of everything that the attack asked about."""
        asked: list[Claim] = []

        class Listening(Scores):
            def score(self, claims, row):  # type: ignore[no-untyped-def]
                asked.extend(claims)
                return super().score(claims, row)

        attack.run(Listening(detector, cohort.shared_terms(), 20), spaces(), np.random.default_rng(7))
        return float(detector.margins(asked).mean())

    assert suspicion(turned) > suspicion(attack) + 0.1


def test_stays_lawful_within_budget_and_asks_little() -> None:
    some, attack, terms = spaces()[:5], SurrogateGradient(surrogate(), asked=4), cohort.shared_terms()
    oracle = Scores(cohort.detector(), terms, 5)
    after = attack.run(oracle, some, np.random.default_rng(7))
    for space, candidate in zip(some, after, strict=True):
        assert space.budget.violation(space.claim, candidate) == 0
        assert terms.lawful(space.claim, [candidate])[0]
    assert (oracle.queries <= 1 + 2 * 5 * 4).all()
    assert attack.run(Scores(cohort.detector(), terms, 5), some, np.random.default_rng(7)) == after


def test_needs_both_decisions() -> None:
    with pytest.raises(UserError, match="denied and claims that were not"):
        Surrogate.fit(cohort.claims()[:9], [True] * 9, cohort.detector().features)
