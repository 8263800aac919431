from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("patient", deadline=None)  # a busy machine is no fault of the program's
settings.load_profile("patient")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real images and conformance vectors kept outside the project; the test skips, visibly, where they are absent."""
    path = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"real data is not at {path}")
    return path
