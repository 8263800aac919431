"""`mithridate claims audit`, `certify` and `report`: there, and clear about a user's mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mithridate.cli.claims import claims_app
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
