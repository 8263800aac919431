"""The exact attack finds what trying every edit finds, and proves it where there is nothing to find."""

from __future__ import annotations

import numpy as np
import pytest

from claims.attacks import cohort
from mithridate.claims.attacks.exact import ExactOptimum, extreme_margin
from mithridate.claims.attacks.oracle import Scores, WhiteBox
from mithridate.claims.attacks.searches import Exhaustive
from mithridate.claims.claim import Claim
from mithridate.claims.detector import Detector
from mithridate.errors import UserError


def money(claim: Claim, detector: Detector) -> float:
    return float(cohort.shared_terms().payments([claim])[0]) * (not detector.denies([claim])[0])


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost", "logistic"])
@pytest.mark.parametrize("classes", ["ABCDE", "BC"])
def test_gets_as_much_as_trying_everything(kind: str, classes: str) -> None:
    terms, detector = cohort.shared_terms(), cohort.detector(kind)
    chosen = cohort.claims()[30:48] if classes == "ABCDE" else cohort.claims()[60:69]
    gains = 0
    for claim in chosen:
        space = cohort.space(claim, 2, tuple(classes))
        oracle = WhiteBox(detector, terms, 2)
        (tried,) = Exhaustive().run(oracle, [space], np.random.default_rng(0))
        proven = ExactOptimum(seconds=600).solve(detector, terms, space)
        assert proven.proof in ("optimal", "none")
        assert proven.worth == pytest.approx(money(tried, detector), abs=0.01)
        if proven.candidate is not None:
            assert space.budget.violation(claim, proven.candidate) == 0
            assert terms.lawful(claim, [proven.candidate])[0]
            assert money(proven.candidate, detector) == pytest.approx(proven.worth)
            gains += proven.worth > money(claim, detector)
    assert gains >= 3  # the cases are not trivial


def test_proves_that_nothing_is_worth_more() -> None:
    terms, detector = cohort.shared_terms(), cohort.detector()
    claim = cohort.claims()[30]
    best = ExactOptimum(seconds=600).solve(detector, terms, cohort.space(claim, 2))
    beyond = ExactOptimum(seconds=600).solve(detector, terms, cohort.space(claim, 2), floor=best.worth)
    assert (beyond.proof, beyond.candidate) == ("none", None)


@pytest.mark.parametrize("highest", [False, True])
def test_extreme_margins(highest: bool) -> None:
    terms, detector = cohort.shared_terms(), cohort.detector()
    for claim in cohort.claims()[90:99]:
        space = cohort.space(claim, 2, ("A", "B", "C"))
        points = [space.apply(point) for point in space.every()]
        points = [c for c, fine in zip(points, terms.lawful(claim, points), strict=True) if fine]
        margins = detector.margins(points)
        found = extreme_margin(detector, terms, space, highest=highest, attack=ExactOptimum(seconds=600))
        assert found is not None
        assert found[1] == pytest.approx(margins.max() if highest else margins.min(), abs=1e-5)


def test_claims_nothing_at_its_limits() -> None:
    terms, detector = cohort.shared_terms(), cohort.detector()
    space = cohort.space(cohort.claims()[30], 2)
    assert ExactOptimum(seconds=0.0).solve(detector, terms, space).proof == "unfinished"
    assert extreme_margin(detector, terms, space, highest=False, attack=ExactOptimum(seconds=0.0)) is None
    with pytest.raises(UserError, match="white box"):
        ExactOptimum(seconds=600).run(Scores(detector, terms, 1), [space], np.random.default_rng(0))
