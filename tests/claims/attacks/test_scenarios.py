"""The four named scenarios, with the figures that their stories state."""

from __future__ import annotations

import numpy as np
import pytest

from claims.attacks import cohort
from mithridate.claims.attacks.oracle import Decisions
from mithridate.claims.attacks.scenarios import MetabolicPolicy, Scenario, scenarios
from mithridate.claims.attacks.searches import Exhaustive
from mithridate.claims.budget import measure
from mithridate.claims.defenses.records import RecordRetrieval
from mithridate.claims.endpoint import CallableDecider
from mithridate.claims.rules import Rules

BY_NAME = {scenario.name: scenario for scenario in scenarios()}
PAYS_ALL = CallableDecider(lambda claims: [False] * len(claims))


def best(scenario: Scenario) -> tuple[float, float, str, bool]:
    """Dollars asked before and after, classes of the edits, and whether the record supports the result."""
    terms, before = cohort.shared_terms(), scenario.space.claim
    oracle = Decisions(scenario.policy or PAYS_ALL, terms, 1)
    (after,) = Exhaustive().run(oracle, [scenario.space], np.random.default_rng(0))
    asked = terms.payments([before, after])
    record = RecordRetrieval(cohort.detector(), 0.0, Rules())
    return float(asked[0]), float(asked[1]), measure(before, after).classes, record.borne_out(after)


def test_every_claim_keeps_the_rules() -> None:
    for scenario in scenarios():
        assert not cohort.shared_terms().rules.check(scenario.space.claim), scenario.name


def test_metabolic_syndrome_is_denied_and_its_components_are_paid() -> None:
    scenario = BY_NAME["Metabolic syndrome with obesity"]
    assert MetabolicPolicy().denies([scenario.space.claim])[0]
    before, after, classes, supported = best(scenario)
    assert before == after > 0
    assert set(classes) <= {"A", "B"}
    assert supported


def test_pneumonia_goes_from_simple_to_complex() -> None:
    before, after, classes, supported = best(BY_NAME["Upcoded pneumonia"])
    assert before == pytest.approx(0.6285 * 7000)
    assert after > 2 * before
    assert set(classes) & {"C", "D"}
    assert not supported


def test_visit_level_and_anesthesia_minutes_show_in_the_record_only() -> None:
    for name, letter in (("Level of a visit", "C"), ("Anesthesia minutes", "E")):
        before, after, classes, supported = best(BY_NAME[name])
        assert after > before
        assert classes == letter
        assert not supported
