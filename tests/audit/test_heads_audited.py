"""Every kind of head through a whole audit: the boundary of each is known, and the question asked of it is stated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from audit.foreign import TILT, plan, save_catalog
from mithridate.audit.runner import run
from mithridate.report.html import write_report
from models.files import SIZE, headed_onnx

NAMES = ["dark left", "bright left", "blank"]
HEADS: dict[str, tuple[dict[str, Any], str]] = {
    "logits": ({"classes": NAMES, "positive": "bright left"}, "logits of dark left, bright left, blank; positive:"),
    "softmax": ({"classes": NAMES, "positive": ["bright left", "blank"]}, "their probabilities added up"),
    "logit": ({}, "logit: one number, for the positive class"),
    "sigmoid": ({"classes": NAMES[:2]}, "probability: one number, for the positive class"),
    "multilabel-logits": ({"classes": NAMES, "positive": "bright left"}, "asked about: the finding bright left alone"),
    "multilabel": ({"classes": NAMES, "positive": ["bright left", "blank"]}, "the largest of bright left, blank"),
}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_catalog(tmp_path_factory.mktemp("sides"), 16)


@pytest.mark.parametrize("head", HEADS)
def test_a_head_of_every_kind_is_audited_from_end_to_end(head: str, catalog: Path, tmp_path: Path) -> None:
    stated, said = HEADS[head]
    victim = {
        "format": "onnx",
        "path": str(headed_onnx(tmp_path / "m.onnx", head)),
        "input": {"size": SIZE, "channels": 1},
        "head": head,
        **stated,
    }
    pgd = {"attack": "pgd", "steps": 20, "random_start": False}
    attacks = [
        {**pgd, "budget": {"linf": 0.9 * TILT}},
        {**pgd, "budget": {"linf": 1.1 * TILT}, "loss": "cross-entropy"},
        {"attack": "apgd", "budget": {"linf": 1.1 * TILT}, "steps": 10, "loss": "dlr"},
        {"attack": "standard-ensemble", "budget": {"linf": 1.1 * TILT}, "steps": 5, "queries": 5},
    ]
    (task,) = run(plan(catalog, victim, attacks), tmp_path / "run").tasks
    clean, *rest = task.conditions
    assert clean.accuracy.value == clean.auc.value == 1.0
    assert {round(c.size / TILT, 1): c.attack_success_rate.value for c in rest} == {0.9: 0.0, 1.1: 1.0}
    assert all(c.attack_success_rate.value == 1.0 for c in rest if c.size > TILT)
    assert all(c.violation == 0 for c in rest)
    assert not [c for c in task.checks if c.verdict == "fail"]
    assert task.conclusion is not None
    assert task.conclusion.outcome == "not robust"
    assert said in task.victim["answers"]
    assert said in write_report(tmp_path / "run").read_text()
