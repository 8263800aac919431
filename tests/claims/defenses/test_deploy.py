"""Each defense does what it says, and the adaptive attacker faces all of it."""

from __future__ import annotations

import numpy as np
import pytest

from claims.attacks import cohort
from mithridate.claims.attacks.oracle import Scores
from mithridate.claims.attacks.searches import Exhaustive
from mithridate.claims.claim import Diagnosis
from mithridate.claims.defenses.deploy import LIMITS, Material, deploy
from mithridate.claims.defenses.records import RecordRetrieval
from mithridate.claims.detector import Recipe
from mithridate.claims.rules import Rules

RECIPE = Recipe(trees=20, leaves=6, least=10, false_positive_rate=0.1)


@pytest.fixture(scope="module")
def material() -> Material:
    return Material(cohort.claims(), np.array(cohort.fraud()), cohort.shared_terms(), 1)


def test_records_are_asked_for_the_share_that_was_said(material: Material) -> None:
    defended = deploy("records", material, RECIPE, rate=0.3)
    model = defended.model
    assert isinstance(model, RecordRetrieval)
    honest = [material.claims[i] for i in material.part("calibration").tolist() if not material.fraud[i]]
    assert model.asked(honest).mean() == pytest.approx(0.3, abs=0.05)
    assert 0.1 < defended.burden < 0.6
    for claim in cohort.claims()[:80]:
        asked, own = bool(model.asked([claim])[0]), bool(defended.detector.denies([claim])[0])
        assert bool(model.denies([claim])[0]) == (own or (asked and not model.borne_out(claim)))


def test_a_record_shows_what_it_does_not_support() -> None:
    model = RecordRetrieval(cohort.detector(), 0.0, Rules())
    stay = next(c for c in cohort.claims() if c.payer_model == "ms-drg" and "E43" not in c.codes)
    assert model.borne_out(stay)
    assert not model.borne_out(stay.with_billed(secondary=(*stay.billed.secondary, Diagnosis("E43"))))


def test_adaptive_attacker_faces_the_defense_itself(material: Material) -> None:
    defended = deploy("records", material, RECIPE, rate=0.5)
    assert defended.as_seen_by_attacker is defended.model
    gained = {}
    for name, seen in (("naive", defended.detector), ("adaptive", defended.as_seen_by_attacker)):
        spaces = [cohort.space(claim, 1) for claim in cohort.claims()[400:412]]
        oracle = Scores(seen, material.terms, len(spaces))
        after = Exhaustive().run(oracle, spaces, np.random.default_rng(0))
        gained[name] = float((material.terms.payments(after) * ~defended.model.denies(after)).sum())
    assert gained["adaptive"] >= gained["naive"]


def test_families_see_no_codes(material: Material) -> None:
    columns = deploy("families", material, RECIPE).detector.features.names
    assert not any(name.startswith("code ") for name in columns)


def test_adversarial_training_learns_the_optimal_edits(material: Material) -> None:
    plain = deploy("none", material, RECIPE).detector
    trained = deploy("adversarial-training", material, RECIPE, lessons=6).detector
    assert plain.margins(cohort.claims()[:50]).tolist() != trained.margins(cohort.claims()[:50]).tolist()


def test_every_defense_says_what_it_does_not_promise() -> None:
    assert set(LIMITS) == {"none", "families", "monotone", "adversarial-training", "records"}
    assert "certifies nothing" in LIMITS["monotone"]
