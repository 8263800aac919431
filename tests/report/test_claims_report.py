"""The claims page: its verdict follows from the numbers, it loads nothing, and what users call things stays text."""

from __future__ import annotations

from pathlib import Path

import pytest

from mithridate.errors import UserError
from mithridate.report.claims import render_claims, write_claims_report
from mithridate.report.claims_chart import gain_chart
from mithridate.report.claims_verdict import judge_claims, worst
from report.claims_made import condition, estimate, made
from report.page import parse


def said(results, topic: str) -> str:  # type: ignore[no-untyped-def]
    return dict(judge_claims(results).statements)[topic]


def test_verdict_says_how_much_how_many_which_and_what_stops_it() -> None:
    verdict = judge_claims(made())
    assert verdict.headline == "Can be gamed"
    assert "2 edits" in verdict.lead
    assert "$1,200 (95% interval 900 to 1,500)" in verdict.lead
    assert "60.0% of 40" in verdict.lead
    assert "48% more" in said(made(), "Money")
    assert "unsupported codes of another category (90%)" in said(made(), "Edits")
    assert "J18>A41 ($30,000)" in said(made(), "Edits")
    assert "$150" in said(made(), "Within the record")
    assert "85.0% of 40 decisions" in said(made(), "Stability")
    stops = said(made(), "What would stop it")
    assert "asking for records takes 83% of the gain and asks for the records of 20.0%" in stops
    assert "codes seen by family only takes 8% of the gain, which is little and costs 2 points" in stops


@pytest.mark.parametrize(
    ("gain", "share", "level"), [(1200.0, 0.6, "fooled"), (20.0, 0.1, "weakened"), (0.0, 0.0, "held")]
)
def test_level_follows_from_the_numbers(gain: float, share: float, level: str) -> None:
    only = condition(gain=estimate(gain), success=estimate(share), edits_per_success=None, gain_per_edit=None)
    assert judge_claims(made(conditions=(only,), defenses=made().defenses[:1])).level == level


def test_the_strongest_adaptive_attack_counts() -> None:
    naive = condition(attacker="naive", defense="records", gain=estimate(5000.0))
    results = made(conditions=(*made().conditions, naive))
    assert worst(results, "records").gain.value == 200.0
    assert worst(results, "none").attack == "beam"


def test_page_is_whole_and_loads_nothing() -> None:
    html = render_claims(made())
    page = parse(html)
    assert "default-src 'none'" in html
    assert "<script" not in html
    for text in (
        "Verdict",
        "Table 1",
        "Table 2",
        "Table 3",
        "Table 4",
        "Table 5",
        "Upcoded pneumonia",
        "Made-up claims",
    ):
        assert text in html
    assert page is not None
    assert html.index('id="verdict"') < html.index('id="defenses"') < html.index('id="attacks"')
    assert "http" not in html.replace("http-equiv", "")


def test_providers_are_told_as_they_are_found() -> None:
    text = said(made(), "Providers")
    assert "5.0% of 20 honest providers and 40.0% of 20 abusive ones" in text
    assert "edit every claim (beam attack, 2 edits), it finds 90.0% after 7 claims" in text
    assert "one claim in 10, 10.0%; they keep $5,000 each" in text
    html = render_claims(made())
    assert "One claim in 10" in html
    assert "providers.csv" in html
    alone = made(drift=None)
    assert "no provider was watched" in said(alone, "Providers")
    assert "Which providers would be found" not in render_claims(alone)


def test_what_is_not_known_is_said_and_not_zero() -> None:
    blind = condition(detection_1=estimate(None), detection_5=estimate(None))
    results = made(stability=None, conditions=(blind,), defenses=made().defenses[:1])
    assert "answers with labels" in said(results, "Detection")
    assert "Nothing is proven" in said(results, "Stability")
    assert not any("certificate" in step for step in judge_claims(results).steps)
    render_claims(results)


def test_a_naive_attacker_stands_beside_the_adaptive_one() -> None:
    naive = condition(attacker="naive", gain=estimate(-400.0, -900.0, 100.0), detection_5=estimate(0.62))
    results = made(conditions=(*made().conditions, naive))
    assert "flagged on 2.0% and 62.0% and gains -$400 (95% interval -900 to 100)" in said(results, "Detection")
    assert worst(results, "none").attacker == "adaptive"
    assert "the attacker knows of no model" in render_claims(results)


def test_of_equal_attacks_the_one_that_proves_is_named() -> None:
    same = condition(attack="exact")
    assert worst(made(conditions=(*made().conditions, same)), "none").attack == "exact"


def test_names_stay_text() -> None:
    html = render_claims(made(name="<script>alert(1)</script>"))
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_real_claims_are_not_called_made_up() -> None:
    html = render_claims(made(synthetic=False, edits_kept=False))
    assert "Made-up claims" not in html
    assert "were not kept" in html


def test_chart_needs_two_doses_and_says_its_numbers() -> None:
    chart = gain_chart(made())
    assert chart is not None
    assert "1 edit $700, 2 edits $1,200" in chart
    assert gain_chart(made(conditions=(condition(),), defenses=made().defenses[:1])) is None


def test_run_folders(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no results\.json"):
        write_claims_report(tmp_path)
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(UserError, match="not a claims result"):
        write_claims_report(tmp_path)
    (tmp_path / "results.json").write_text(made().model_dump_json())
    assert write_claims_report(tmp_path).read_text() == render_claims(made())
