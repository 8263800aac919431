from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mithridate.audit.folder import RunFolder


@pytest.mark.slow
def test_the_demonstration_shows_what_the_paper_showed(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    done = subprocess.run(
        [sys.executable, "-m", "mithridate.cli.main", "demo", "--quick", "--out", str(out)],
        capture_output=True, text=True, check=True, timeout=600,
    )  # fmt: skip
    assert str(out / "report.html") in done.stdout
    assert "\r" not in done.stderr  # no progress bar off a terminal
    page = (out / "report.html").read_text()
    assert page.lower().startswith("<!doctype html>")
    plain = json.loads((out / "results.json").read_text())
    assert [task["task"] for task in plain["tasks"]] == ["fundus", "chest", "skin"]
    for task in RunFolder(out).results().tasks:
        by_kind = {c.kind: c for c in task.conditions if c.main}
        clean, noise, white, black = (by_kind[k] for k in ("clean", "noise", "white-box", "black-box"))
        assert clean.auc.value >= 0.9
        assert white.accuracy.value <= 0.1
        assert abs(noise.accuracy.value - clean.accuracy.value) <= 2 / 24
        assert white.accuracy.value <= black.accuracy.value < clean.accuracy.value
        for c in (clean, noise, white, black):
            assert c.n == 24
            assert c.accuracy.low <= c.accuracy.value <= c.accuracy.high
            assert c.violation == 0
