"""The shipped models can be rebuilt by command, and are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from imaging.training.blobs import RECIPE
from mithridate.imaging.sources.phantom import phantom_catalog
from mithridate.imaging.training import Event
from mithridate.imaging.zoo import FOLDER, TASKS, available, resolve
from mithridate.imaging.zoo_build import FRACTIONS, IMAGES, SEEDS, build_model, tidy

TINY = RECIPE.override({"augmentation.mixup": 0, "storage": "float16"})


def test_victim_and_surrogate_share_no_patient_and_no_seed() -> None:
    assert SEEDS["victim"].training != SEEDS["surrogate"].training
    cohorts = [phantom_catalog("skin", IMAGES, seed=SEEDS[role].cohort, fractions=FRACTIONS).table for role in SEEDS]
    assert not set(cohorts[0]["patient_seed"]) & set(cohorts[1]["patient_seed"])


def test_a_model_is_built_once_and_again_when_its_settings_change(tmp_path: Path) -> None:
    events: list[Event] = []

    def build(images: int) -> str:
        card = build_model("skin", "surrogate", tmp_path, images=images, recipe=TINY, progress=events.append)
        tidy(tmp_path / "skin/surrogate")
        assert sorted(path.name for path in (tmp_path / "skin/surrogate").iterdir()) == [
            "card.json",
            "model.safetensors",
        ]
        return card.sha256

    first = build(48)
    steps = len(events)
    assert build(48) == first
    assert len(events) == steps
    assert build(56) != first
    assert resolve(str(tmp_path / "skin/surrogate"))[1].role == "surrogate"


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("role", ["victim", "surrogate"])
def test_the_shipped_model_is_small_good_and_says_what_it_is(task: str, role: str) -> None:
    reference = f"builtin:{task}/{role}"
    if reference not in available():
        pytest.skip(f"{reference} has not been built yet: python -m mithridate.imaging.zoo_build")
    network, card = resolve(reference)
    assert (card.task, card.role, network.channels) == (task, role, 1 if task == "chest" else 3)
    assert card.test is not None
    assert card.test.auc.low > 0.9
    folder = FOLDER / task / role
    assert (folder / "model.safetensors").stat().st_size < 3e6
