"""Searching attacks stay in their space, under their query limit, and get what there is to get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from claims.attacks import cohort
from mithridate.claims.attacks.oracle import Decisions, Scores
from mithridate.claims.attacks.search import Search, Tried
from mithridate.claims.attacks.searches import Beam, Exhaustive, Genetic, Greedy, RandomEdits, kept_points
from mithridate.claims.attacks.space import Edits
from mithridate.claims.claim import Claim
from mithridate.errors import QueryLimitReached, UserError

ATTACKS: dict[str, Any] = {
    "random": RandomEdits(60),
    "greedy": Greedy(),
    "beam": Beam(12),
    "genetic": Genetic(24, 6),
    "exhaustive": Exhaustive(),
}


def chosen() -> list[Claim]:
    """Denied and approved claims of each payer model."""
    return list(cohort.claims()[120:129])


def received(claims: Sequence[Claim]) -> NDArray[np.float64]:
    return cohort.shared_terms().payments(claims) * ~cohort.detector().denies(claims)


class Watching(Scores):
    """Counts what the detector was really asked, claim by claim."""

    asked = 0

    def score(self, claims: Sequence[Claim], row: int) -> NDArray[np.float64]:
        self.asked += len(claims)
        return super().score(claims, row)


@pytest.mark.parametrize("name", ATTACKS)
def test_lawful_within_budget_and_no_loss(name: str) -> None:
    terms, before = cohort.shared_terms(), chosen()
    spaces = [cohort.space(claim, 2) for claim in before]
    oracle = Watching(cohort.detector(), terms, len(before))
    after = ATTACKS[name].run(oracle, spaces, np.random.default_rng(1))
    assert [space.budget.violation(old, new) for space, old, new in zip(spaces, before, after, strict=True)] == [0] * 9
    assert all(terms.lawful(old, [new])[0] for old, new in zip(before, after, strict=True))
    assert (received(after) >= received(before)).all()
    assert oracle.queries.sum() == oracle.asked
    assert (oracle.queries > 0).all()


def test_beam_gets_what_there_is_with_few_queries() -> None:
    spaces = [cohort.space(claim, 3) for claim in chosen()]
    full, narrow = (
        Scores(cohort.detector(), cohort.shared_terms(), 9),
        Scores(cohort.detector(), cohort.shared_terms(), 9),
    )
    rng = np.random.default_rng(0)
    best = received(Exhaustive().run(full, spaces, rng))
    beam = received(Beam(5).run(narrow, spaces, rng))
    greedy = received(Greedy().run(Scores(cohort.detector(), cohort.shared_terms(), 9), spaces, rng))
    assert best.sum() > 1.02 * received(chosen()).sum()
    np.testing.assert_array_less(greedy, best + 0.01)
    assert (beam > 0.98 * best - 0.01).mean() >= 8 / 9
    assert narrow.queries.sum() < 0.3 * full.queries.sum()


@pytest.mark.parametrize("name", ATTACKS)
def test_the_same_for_any_order_of_claims(name: str) -> None:
    spaces = [cohort.space(claim, 2) for claim in chosen()[:4]]
    attack, seed = ATTACKS[name], 5

    def run(order: list[int]) -> list[Claim]:
        found = {}
        for i in order:
            rng = np.random.default_rng([seed, i])
            found[i] = attack.run(Scores(cohort.detector(), cohort.shared_terms(), 1), [spaces[i]], rng)[0]
        return [found[i] for i in sorted(found)]

    assert run([0, 1, 2, 3]) == run([3, 1, 0, 2])


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("limit", [0, 1, 7, 40])
def test_keeps_to_the_query_limit(name: str, limit: int) -> None:
    spaces = [cohort.space(claim, 2) for claim in chosen()[:3]]
    oracle = Watching(cohort.detector(), cohort.shared_terms(), 3, limit)
    after = ATTACKS[name].run(oracle, spaces, np.random.default_rng(2))
    assert (oracle.queries <= limit).all()
    assert oracle.asked == oracle.queries.sum()
    if limit == 0:
        assert after == [space.claim for space in spaces]
    with pytest.raises(QueryLimitReached, match=str(limit)):
        oracle.score(after * (limit + 1), 0)


def test_labels_alone_are_enough_to_get_past() -> None:
    denied = [c for c in cohort.claims() if cohort.detector().denies([c])[0]][:6]
    spaces = [cohort.space(claim, 2) for claim in denied]
    best = received(
        Exhaustive().run(Scores(cohort.detector(), cohort.shared_terms(), 6), spaces, np.random.default_rng(0))
    )
    oracle = Decisions(cohort.detector(), cohort.shared_terms(), 6)
    after = Beam(12).run(oracle, spaces, np.random.default_rng(0))
    assert best.max() > 0
    assert (received(after)[best > 0] > 0).mean() > 0.6
    assert oracle.queries.sum() > 6


def test_what_breaks_a_rule_is_never_asked() -> None:
    claim = next(
        c for c in cohort.claims() if c.payer_model == "ms-drg" and "E43" not in c.codes and "R6520" not in c.codes
    )
    space = cohort.space(claim, 1)
    septic = Edits(frozenset(), frozenset({"R6520"}), claim.codes[0])  # severe sepsis needs the infection
    oracle = Watching(cohort.detector(), cohort.shared_terms(), 1)
    search = Search(oracle, space, 0)
    lawful = bool(cohort.shared_terms().lawful(claim, [space.apply(septic)])[0])
    assert lawful == bool(search.ask([septic]))
    assert not lawful
    assert oracle.asked == 1  # the unedited claim


def test_kept_points_are_best_by_every_measure() -> None:
    rng = np.random.default_rng(3)
    tried = [
        Tried(Edits(frozenset(), frozenset({str(i)}), ""), float(p), float(e), 1)
        for i, (p, e) in enumerate(zip(rng.random(200) * 1000, rng.normal(0.3, 0.3, 200), strict=True))
    ]
    kept = kept_points(tried, 10)
    assert len(kept) == len(set(kept)) == 10
    assert min(tried, key=lambda t: t.rank) in kept
    assert max(tried, key=lambda t: t.payment) in kept
    assert min(tried, key=lambda t: (max(0.0, t.excess), -t.payment)) in kept
    assert kept_points(tried[:5], 10) == tried[:5]


def test_refuses_a_space_too_large_to_exhaust() -> None:
    space = cohort.space(cohort.claims()[0], 3)
    with pytest.raises(UserError, match="ways to edit"):
        Exhaustive(most=10).run(Scores(cohort.detector(), cohort.shared_terms(), 1), [space], np.random.default_rng(0))
    with pytest.raises(UserError, match="width 0"):
        Beam(0)
