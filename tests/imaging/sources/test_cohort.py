from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mithridate.errors import MithridateError
from mithridate.imaging.images import ImageStore
from mithridate.imaging.phantoms import cohort
from mithridate.imaging.phantoms.cohort import render_phantom
from mithridate.imaging.sources.phantom import phantom_catalog
from mithridate.imaging.tasks import TASKS


@pytest.mark.parametrize("task", list(TASKS))
def test_a_phantom_is_the_same_in_every_cohort_order_and_store(task: str) -> None:
    small, large = phantom_catalog(task, 16, seed=3), phantom_catalog(task, 30, seed=3)
    wanted = small.table["id"].tolist()[:6]
    rows = [int(np.flatnonzero(large.table["id"] == name)[0]) for name in wanted]
    one = ImageStore(small, 48, workers=1).load(slice(0, 6))
    two = ImageStore(large, 48, workers=2).load(rows[::-1])[::-1]
    np.testing.assert_array_equal(one, two)
    assert one.shape == (6, TASKS[task].channels, 48, 48)
    rendered = render_phantom(small.table["path"].iloc[0], 48)
    np.testing.assert_allclose(one[0].transpose(1, 2, 0), rendered, atol=1 / 65535)


def test_two_shots_of_a_patient_differ() -> None:
    table = phantom_catalog("skin", patients=40, seed=0).table
    pair = next(rows["path"].tolist() for _, rows in table.groupby("group") if len(rows) == 2)
    first, second = (render_phantom(path, 48) for path in pair)
    assert not np.array_equal(first, second)


def test_cached_phantoms_are_drawn_again_when_the_drawing_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = phantom_catalog("skin", 16)
    ImageStore(catalog, 48, cache=tmp_path).load([0])
    ImageStore(catalog, 48, cache=tmp_path).load([0])
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1
    monkeypatch.setattr(cohort, "renderer_fingerprint", lambda: "another drawing")
    ImageStore(catalog, 48, cache=tmp_path).load([0])
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 2


@pytest.mark.parametrize("path", ["phantom:skin", "phantom:skin/high/1/2", "phantom:skin/0.5/1"])
def test_what_describes_no_phantom_is_refused(path: str) -> None:
    with pytest.raises(MithridateError, match="does not describe a phantom"):
        render_phantom(path, 48)
