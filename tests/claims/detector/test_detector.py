"""Providers are kept apart, thresholds keep their promise, and features hold what a payer sees and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from claims.attacks import cohort
from mithridate.claims.claim import Diagnosis, Documentation
from mithridate.claims.detector import Recipe, measure, part_of, train
from mithridate.claims.features import FeatureSpace
from mithridate.errors import UserError


def test_documentation_is_no_feature() -> None:
    claims = cohort.claims()[:50]
    space = FeatureSpace.fit(claims, cohort.shared_terms().pricer, least=3)
    silent = [replace(claim, documentation=Documentation()) for claim in claims]
    np.testing.assert_array_equal(space.transform(claims), space.transform(silent))


def test_columns_say_what_is_billed() -> None:
    claims = cohort.claims()[:60]
    space = FeatureSpace.fit(claims, cohort.shared_terms().pricer, least=3)
    rows = space.transform(claims)
    for claim, row in zip(claims, rows, strict=True):
        seen = dict(zip(space.names, row.tolist(), strict=True))
        assert seen["diagnoses"] == len(claim.codes)
        assert seen["payment"] == pytest.approx(cohort.shared_terms().payments([claim])[0])
        for name, value in seen.items():
            if name.startswith("code "):
                assert value == claim.codes.count(name[5:])
            if name.startswith("category "):
                assert value == sum(code[:3] == name[9:] for code in claim.codes)
            if name.startswith("first "):
                assert value == (claim.codes[0][:3] == name[6:])
    np.testing.assert_array_equal(rows[7:9], space.transform(claims[7:9]))  # one at a time or together


def test_counted_columns_add_up_and_fixed_ones_stay() -> None:
    claim = cohort.claims()[30]
    space = FeatureSpace.fit(cohort.claims(), cohort.shared_terms().pricer, least=3)
    more = [claim.with_billed(secondary=(*claim.billed.secondary, *map(Diagnosis, codes))) for codes in
            ((), ("E43",), ("M069",), ("E43", "M069"))]  # fmt: skip
    none, one, other, both = space.transform(more)
    counted, fixed = space.columns("counted"), space.columns("fixed")
    np.testing.assert_array_equal((one + other - none)[counted], both[counted])
    np.testing.assert_array_equal(none[fixed], both[fixed])
    assert set(space.parts) == {"fixed", "counted", "leading", "paid"}


def test_families_hide_codes() -> None:
    space = FeatureSpace.fit(cohort.claims(), cohort.shared_terms().pricer, "category", least=3)
    assert not [name for name in space.names if name.startswith("code ")]
    assert [name for name in space.names if name.startswith("category ")]


def test_threshold_keeps_its_rate_where_it_was_set() -> None:
    claims, fraud = cohort.claims(), np.array(cohort.fraud())
    detector, performance = train(
        claims, fraud, Recipe(trees=20, leaves=6, least=10), pricer=cohort.shared_terms().pricer
    )
    held = [i for i, claim in enumerate(claims) if part_of(claim.provider, 0) == "calibration"]
    honest = [claims[i] for i in held if not fraud[i]]
    for ceiling, rate in zip(detector.ceilings, (0.01, 0.05), strict=True):
        share = (detector.margins(honest) >= ceiling).mean()
        assert rate - 1 / len(honest) < share <= rate
    scores = detector.score(claims)
    assert ((scores >= detector.threshold) == detector.denies(claims)).all()
    assert performance.auc.value > 0.6
    tested = [i for i, claim in enumerate(claims) if part_of(claim.provider, 0) == "test"]
    # As text: precision is not a number where nothing was flagged, and such numbers equal nothing.
    assert repr(performance) == repr(measure(detector, [claims[i] for i in tested], fraud[tested]))


def test_providers_are_kept_apart() -> None:
    names = [f"P{i}" for i in range(3000)]
    parts = [part_of(name, 4) for name in names]
    assert [round(parts.count(part) / 3000, 1) for part in ("train", "calibration", "test")] == [0.6, 0.2, 0.2]
    assert parts == [part_of(name, 4) for name in names]


def test_monotone_scores_do_not_fall_when_codes_are_added() -> None:
    detector = cohort.detector("lightgbm", monotone=True)
    for claim in cohort.claims()[200:230:3]:
        more = [claim.with_billed(secondary=(*claim.billed.secondary, Diagnosis(code))) for code in ("D649", "E43")
                if code not in claim.codes]  # fmt: skip
        paid = cohort.shared_terms().payments([claim, *more])
        kept = [m for m, amount in zip(more, paid[1:], strict=True) if amount == paid[0]]
        if kept:  # the group column is not ordered, so only edits that keep the group are promised
            assert (detector.margins(kept) >= detector.margins([claim])[0] - 1e-9).all()


def test_says_what_is_missing() -> None:
    claims = cohort.claims()[:40]
    with pytest.raises(UserError, match="no fraud"):
        train(claims, np.zeros(40), pricer=cohort.shared_terms().pricer)
    with pytest.raises(UserError, match="no claims"):
        FeatureSpace.fit([])
    with pytest.raises(UserError, match="monotone"):
        Recipe("logistic", monotone=True)
    with pytest.raises(UserError, match="of 1"):
        Recipe(false_positive_rate=1.5)
