"""Results of a claims audit, written by hand: what the page must say follows from them."""

from __future__ import annotations

from typing import Any

from mithridate.audit.claims.results import (
    ClaimsCondition,
    ClaimsResults,
    DefenseResult,
    DriftResult,
    DriftRow,
    ScenarioResult,
    Stability,
)
from mithridate.audit.results import Estimate


def estimate(value: float | None, low: float | None = None, high: float | None = None) -> Estimate:
    return Estimate(value=value, low=low, high=high, method="made")


def condition(**changes: Any) -> ClaimsCondition:
    facts: dict[str, Any] = {
        "defense": "none",
        "attacker": "adaptive",
        "attack": "beam",
        "k": 2,
        "classes": "ABCDE",
        "n": 40,
        "gain": estimate(1200.0, 900.0, 1500.0),
        "received_before": 100_000.0,
        "received_after": 148_000.0,
        "success": estimate(0.6, 0.45, 0.74),
        "flips": estimate(0.5, 0.2, 0.8),
        "edits_per_success": 1.5,
        "gain_per_edit": 800.0,
        "queries_per_claim": 900.0,
        "detection_1": estimate(0.02),
        "detection_5": estimate(0.1),
        "supported": 0.7,
        "violation": 0.0,
        "unlawful": 0,
        "class_shares": {"A": 0.1, "D": 0.9},
        "families": (("J18>A41", 30_000.0), (">E43", 10_000.0)),
        "seconds_per_claim": 0.1,
    } | changes
    cell = "{defense}/{attacker}/{attack}/{classes}-{k}".format(**facts)
    return ClaimsCondition(cell=cell, **facts)


def defense(name: str, auc: float, burden: float = 0.0) -> DefenseResult:
    part = (estimate(0.3, 0.2, 0.4), estimate(0.5, 0.4, 0.6))
    return DefenseResult(
        name=name,
        limits=f"What {name} is.",
        auc=estimate(auc, auc - 0.02, auc + 0.02),
        detection=part,
        precision=part,
        false_positives=part,
        burden=burden,
    )


def drift() -> DriftResult:
    def row(who: str, found: float, **facts: Any) -> DriftRow:
        plain: dict[str, Any] = {"attack": None, "share": 0.0, "days": None, "claims": None, "gained": 0.0}
        return DriftRow(who=who, providers=20, found=estimate(found), **(plain | facts))  # type: ignore[arg-type]

    return DriftResult(
        allowance=0.5,
        limit=6.2,
        false_alarms=0.05,
        days=180,
        rows=(
            row("honest", 0.05, days=90.0, claims=31.0),
            row("abusive", 0.4, days=60.0, claims=20.0),
            row("attack", 0.9, attack="beam, 2", share=1.0, days=20.0, claims=7.0, gained=9000.0),
            row("attack", 0.1, attack="beam, 2", share=0.1, days=80.0, claims=30.0, gained=5000.0),
        ),
    )


def made(**changes: Any) -> ClaimsResults:
    honest = {"classes": "AB", "k": 2, "gain": estimate(150.0, 80.0, 220.0), "class_shares": {"B": 1.0}}
    facts: dict[str, Any] = {
        "mithridate": "0",
        "name": "Denial model",
        "run": "abc",
        "created": "2025-11-22T00:47:05Z",
        "authority": {"owner": "Example Payer", "authorized_by": "Integrity", "statement": "may be attacked here"},
        "seed": 1,
        "synthetic": True,
        "edits_kept": True,
        "seconds": 61.0,
        "data": {"claims": 4000, "fraud": 400, "providers": 100, "test_claims": 800, "attacked": 40},
        "detector": {"kind": "lightgbm", "columns": 300},
        "vintages": {"stays": "MS-DRG"},
        "defenses": (defense("none", 0.80), defense("families", 0.78), defense("records", 0.80, 0.2)),
        "conditions": (
            condition(k=1, gain=estimate(700.0, 500.0, 900.0)),
            condition(),
            condition(attack="random", gain=estimate(100.0, 50.0, 150.0)),
            condition(**honest),
            condition(defense="families", gain=estimate(1100.0, 800.0, 1400.0)),
            condition(defense="records", gain=estimate(200.0, 100.0, 300.0)),
        ),
        "stability": Stability(k=2, n=40, stable=estimate(0.85), unstable=4, uncertified=2),
        "drift": drift(),
        "scenarios": (
            ScenarioResult(
                name="Upcoded pneumonia",
                story="A stay.",
                before=4399.5,
                after=9200.0,
                asked_before=4399.5,
                asked_after=9200.0,
                edits=1,
                classes="D",
                change="J18>J69",
                denied_before=False,
                denied_after=False,
                caught_by_record=True,
            ),
        ),
    }
    return ClaimsResults(**(facts | changes))
