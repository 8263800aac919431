"""The CUSUM in an audit: false alarms as asked for, a thick attacker found, and money until the alarm."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mithridate.audit.claims.drift import SHARES, drift
from mithridate.audit.claims.plan import PopulationData, demo_plan
from mithridate.audit.claims.results import DriftResult
from mithridate.audit.claims.subject import ClaimsSubject, load_claims_subject

GAIN = 40_000.0


@pytest.fixture(scope="module")
def subject() -> ClaimsSubject:
    data = PopulationData(claims=4000, seed=5, claims_a_provider=40)
    return load_claims_subject(demo_plan().model_copy(update={"data": data, "seed": 4}))


def attack(gain: float) -> pd.DataFrame:
    """Findings of an attack that brings the same on every claim of every payer model."""
    models = ["ms-drg", "cms-hcc-v28", "physician", "anesthesia"]
    rows = {"payer_model": models, "violation": 0.0, "lawful": True, "denied_after": False, "asked_before": 0.0}
    return pd.DataFrame(rows | {"asked_after": gain})


def made(subject: ClaimsSubject, gain: float, out: Path) -> DriftResult:
    found = drift(subject, [("made, 1", attack(gain))], out)
    assert found is not None
    return found


def test_who_is_found_when_and_what_was_gained(subject: ClaimsSubject, tmp_path: Path) -> None:
    found = made(subject, GAIN, tmp_path)
    plain = {row.who: row for row in found.rows if row.attack is None}
    mine = [row for row in found.rows if row.attack]
    assert [row.share for row in mine] == list(SHARES)
    assert plain["honest"].found.value is not None
    assert plain["honest"].found.value <= 0.2  # the limit is set at 5% on other providers
    # A gain of many deviations on every claim is seen on the first day, after the claims of that day.
    assert mine[0].found.value == 1.0
    assert mine[0].days == 1.0
    assert mine[0].claims is not None
    assert mine[0].gained >= GAIN
    assert mine[0].gained < 10 * GAIN
    assert mine[-1].days is not None
    assert mine[-1].days > mine[0].days


def test_an_attack_that_gains_nothing_changes_nothing(subject: ClaimsSubject, tmp_path: Path) -> None:
    found = made(subject, 0.0, tmp_path)
    honest = found.rows[0]
    for row in found.rows[2:]:
        assert (row.found, row.days, row.claims, row.gained) == (honest.found, honest.days, honest.claims, 0.0)


def test_thin_attackers_keep_more_of_a_small_gain(subject: ClaimsSubject, tmp_path: Path) -> None:
    rows = made(subject, 300.0, tmp_path).rows[2:]
    shares = [row.found.value or 0.0 for row in rows]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > shares[-1]


def test_every_provider_of_the_test_part_has_its_row(subject: ClaimsSubject, tmp_path: Path) -> None:
    found = made(subject, GAIN, tmp_path)
    rows = list(csv.DictReader((tmp_path / "providers.csv").read_text().splitlines()))
    tested = {subject.material.claims[i].provider for i in subject.material.part("test").tolist()}
    assert {row["provider"] for row in rows} == tested
    for who, result in zip(("honest", "abusive"), found.rows, strict=False):
        mine = [row for row in rows if row["bills"] == who]
        assert len(mine) == result.providers
        days = [int(row["days to alarm"]) for row in mine if row["days to alarm"]]
        assert result.days == (float(np.median(days)) if days else None)
