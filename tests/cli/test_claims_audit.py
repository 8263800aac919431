"""`mithridate claims audit`, `certify` and `report`: there, and clear about a user's mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mithridate.cli.claims import claims_app
from mithridate.cli.claims_results import print_results
from mithridate.errors import UserError
from report.claims_made import made


def test_commands_are_registered() -> None:
    shown = CliRunner().invoke(claims_app, ["--help"]).output
    for name in ("audit", "certify", "report"):
        assert name in shown


@pytest.mark.parametrize("command", ["audit", "certify"])
def test_a_plan_that_is_not_there(command: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml cannot be read"):
        CliRunner().invoke(claims_app, [command, str(tmp_path / "none.yaml")], catch_exceptions=False)
    assert list(tmp_path.iterdir()) == []


def test_report_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(made().model_dump_json())
    done = CliRunner().invoke(claims_app, ["report", str(tmp_path)])
    assert done.exit_code == 0
    assert "<title>Denial model" in (tmp_path / "report.html").read_text()


def test_prints_every_part_of_the_results(capsys: pytest.CaptureFixture[str]) -> None:
    results = made()
    print_results(results.model_copy(update={"data": results.data | {"left_out": 3}}))
    printed = capsys.readouterr()
    text = " ".join(printed.out.split())
    for part in ("records", "$1,200", "Upcoded pneumonia", "attacked: beam, 2 edits", "0.780"):
        assert part in text
    assert "85.0% of 40 decisions are proven stable" in text
    assert "Can be gamed." in text
    assert "3 claims could not be used" in printed.err


def test_certificates_of_a_plan(tmp_path: Path) -> None:
    authority = "{owner: Lab, authorized_by: Lab, statement: may be attacked here}"
    plan = tmp_path / "plan.yaml"
    plan.write_text(f"authority: {authority}\ndata: {{claims: 900, seed: 3, claims_a_provider: 15}}\n")
    done = CliRunner().invoke(claims_app, ["certify", str(plan), "--limit", "4", "--edits", "1"])
    assert done.exit_code == 0
    assert sum(done.output.count(word) for word in ("unstable", "uncertified", "stable")) >= 4
