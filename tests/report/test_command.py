from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from mithridate.cli.main import app
from report.made import condition, results, task_result
from report.runs import write


def test_the_command_writes_the_page_and_says_where(tmp_path: Path) -> None:
    write(tmp_path / "run", results([task_result([condition("clean", 50, 45)])]))
    done = CliRunner().invoke(app, ["report", str(tmp_path / "run"), "--out", str(tmp_path / "page.html")])
    assert done.exit_code == 0
    assert str(tmp_path / "page.html") in done.output
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")
    assert (tmp_path / "tables" / "conditions.csv").is_file()
