"""What the report makes of the checks: a weak attack is never printed as a model that held."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mithridate.audit.checks.wording import check
from mithridate.audit.results import Canary, Check, Conclusion, Outcome
from mithridate.report.advice import meaning, next_steps, summary
from mithridate.report.html import render
from mithridate.report.trust import trust
from mithridate.report.verdict import judge_task
from report.made import condition, study, task, task_result
from report.page import parse

WEAK = "Twice the steps fool 3 of 8 that held out."


def checks(fails: int | None = None) -> tuple[Check, ...]:
    return tuple(check(n, "fail" if n == fails else "pass", WEAK if n == fails else "Sound.", {}) for n in range(1, 21))


def audited(outcome: Outcome, fails: int | None = None, fooled: int = 0) -> dict[str, Any]:
    return {
        "conditions": (
            condition("clean", 20, 20),
            condition("white-box", 20, 20 - fooled, was_right=20, fooled=fooled),
        ),
        "checks": checks(fails),
        "conclusion": Conclusion(outcome=outcome, reasons=(f"Check {fails}: {WEAK}",)),
    }


@pytest.mark.parametrize(
    ("outcome", "fails", "fooled", "level", "said"),
    [
        ("robust", None, 0, "held", "held against every attack"),
        ("inconclusive", 15, 0, "inconclusive", "too weak to tell"),
        ("void", 1, 15, "void", "integrity failed"),
        ("not robust", 15, 15, "fooled", "was fooled"),
    ],
)
def test_the_verdict_goes_as_far_as_the_checks_allow(
    outcome: Outcome, fails: int | None, fooled: int, level: str, said: str
) -> None:
    found = judge_task(task(**audited(outcome, fails, fooled)))
    assert found.level == level
    assert said in summary([found])
    reasons = [s.text for s in found.statements if s.kind == "trust"]
    assert reasons == ([f"Check {fails}: {WEAK}"] if level in ("void", "inconclusive") else [])
    assert any("failed checks ask for" in step for step in next_steps([found])) == (level in ("void", "inconclusive"))
    # Void figures support no warning and no comfort.
    assert ("choose the answer" in " ".join(meaning([found]))) == (level == "fooled")


def test_the_page_shows_every_check_and_leads_with_those_that_failed(tmp_path: Path) -> None:
    made = study(
        tmp_path,
        [task_result(**audited("inconclusive", 15))],
        canaries=(Canary(name="zero gradient", expected="inconclusive", found="inconclusive", evidence="e"),),
    )
    page = parse(render(made))
    section = page.find("section", id="checks")[0]
    rows = section.find("table")[0].find("tbody")[0].find("tr")
    assert [row.find("th")[0].text.split(".")[0] for row in rows] == [str(n) for n in range(1, 21)]
    (raised,) = section.find("ul", class_="raised")[0].find("li")
    assert "15." in raised.text
    assert WEAK in raised.text
    assert "zero gradient" in section.text
    assert "20 checks: 19 passed and 1 failed" in section.text
    assert page.find("article", class_="inconclusive")
    assert [a for a in page.find("a") if a.attributes.get("href") == "#checks"]


def test_runs_without_checks_have_no_such_section(tmp_path: Path) -> None:
    made = study(tmp_path, [task_result([condition("clean", 20, 20)])])
    assert trust(made) == []
    assert not parse(render(made)).find("section", id="checks")


def test_a_run_that_stopped_says_why(tmp_path: Path) -> None:
    why = "the query budget of 120 images is spent"
    made = study(tmp_path, [task_result([condition("clean", 20, 20)])], complete=False, stopped=why)
    assert why[1:] in parse(render(made)).find("section", id="verdict")[0].text
