from __future__ import annotations

from pathlib import Path

import pytest

from mithridate.report.html import write_report
from report.runs import build


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of three tasks with pictures, reported once."""
    folder = build(tmp_path_factory.mktemp("run"))
    write_report(folder)
    return folder
