"""A task that can be solved by hand: images brighter on one side, in PNG files, and the linear model that sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from mithridate.audit.plan import Plan
from mithridate.imaging.catalog import Catalog
from mithridate.imaging.tasks import TASKS
from mithridate.seeds import generator
from models.files import SIZE, pattern

TILT = 0.1
"""How far each half lies from the middle gray; the linear boundary is so far away in Linf."""


def save_catalog(folder: Path, n: int = 24, train: int = 0) -> Path:
    """n gray images of SIZE x SIZE, every other one positive (bright on the left), as 8-bit PNG; the first `train` of
    them for training, the others for testing."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for i in range(n):
        noise = generator(5, i).uniform(-0.02, 0.02, (SIZE, SIZE))
        x = 0.5 + (1 if i % 2 else -1) * TILT * pattern() + noise
        Image.fromarray(np.rint(x * 255).astype(np.uint8)).save(folder / f"{i:02d}.png")
        rows.append((f"i{i:02d}", f"{i:02d}.png", i % 2, f"g{i:02d}", "train" if i < train else "test"))
    table = pd.DataFrame(rows, columns=["id", "path", "label", "group", "split"])
    file = folder / "catalog.parquet"
    Catalog(table, TASKS["chest"], folder, "test", "by hand", 0).save(file)
    return file


def pixels(folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    """id -> the image's pixels in [0, 1], SIZE x SIZE."""
    return {f"i{f.stem}": np.asarray(Image.open(f)) / 255 for f in sorted(folder.glob("*.png"))}


def answers(folder: Path) -> dict[str, float]:
    """id -> what the linear model of `models.files` answers for "bright left"."""
    z = {i: 8 * float((x * pattern()).mean()) for i, x in pixels(folder).items()}
    return {i: float(1 / (1 + np.exp(-2 * value))) for i, value in z.items()}


def plan(catalog: Path, victim: dict[str, Any] | str, attacks: list[dict[str, Any]], **more: Any) -> Plan:
    return Plan.model_validate(
        {
            "name": "foreign",
            "authority": {"owner": "us", "authorized_by": "us", "statement": "Made to be attacked in this test."},
            "tasks": [{"name": "sides", "data": str(catalog), "victim": victim}],
            "attacks": attacks,
            "pictures": 2,
            "execution": {"executor": "inline", "shard": 8},
            "checks": {"examples": 4, "draws": 40, "queries": 80},
            **more,
        }
    )
