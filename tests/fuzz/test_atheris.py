"""Coverage-guided fuzzing of every parser for a few seconds, so that `fuzz/run_atheris.py` is known to work.

A night's worth is `python fuzz/run_atheris.py TARGET CORPUS -max_total_time=30000`.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.targets import TARGETS

PROGRAM = Path(__file__).resolve().parents[2] / "fuzz" / "run_atheris.py"
RUNS = 400

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is not installed: pip install mithridate[fuzz]"
)


@pytest.mark.parametrize("name", ["bundle", "canonical", "entry", "note", "image-png"])
def test_a_guided_run_finds_nothing(name: str, tmp_path: Path) -> None:
    assert name in TARGETS
    done = subprocess.run(
        [sys.executable, PROGRAM, name, f"-runs={RUNS}", "-seed=1", "-rss_limit_mb=4096", "-timeout=60"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert re.search(rf"Done {RUNS} runs|DONE", done.stderr), done.stderr[-2000:]
    assert [path.name for path in tmp_path.iterdir()] == []  # a crash would lie there
