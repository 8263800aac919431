"""Single results for tests of words and tables: counts in, a task with consistent figures out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mithridate.audit.metrics import UNDEFINED, estimate
from mithridate.audit.results import Condition, Estimate, Kind, Results, TaskResult
from mithridate.report.study import Study, Task, read_study
from mithridate.statistics import wilson

LABELS: dict[Kind, str] = {
    "clean": "Clean",
    "noise": "Random noise",
    "white-box": "White box, PGD",
    "black-box": "Black box, PGD",
    "rotation": "Rotation",
    "other": "Patch",
}


def share(successes: int, n: int) -> Estimate:
    return estimate(wilson(successes, n))


def condition(
    kind: Kind,
    n: int,
    right: int,
    *,
    was_right: int | None = None,
    fooled: int | None = None,
    size: float | None = None,
    **more: Any,
) -> Condition:
    """A condition of n examples, `right` of them right; of `was_right` clean ones `fooled` became wrong."""
    dose = size if size is not None else 0.0 if kind == "clean" else 30.0 if kind == "rotation" else 0.01
    budget = {"kind": "none" if kind == "clean" else "rotation" if kind == "rotation" else "linf"}
    rate = share(fooled, was_right) if was_right and fooled is not None else UNDEFINED
    values: dict[str, Any] = {
        "cell": f"task/{kind}/{dose:g}", "kind": kind, "label": LABELS[kind],
        "attack": "none" if kind == "clean" else "pgd()",
        "budget": budget, "size": dose, "main": True, "sweep": None, "surrogate": None, "n": n,
        "accuracy": share(right, n), "auc": UNDEFINED, "sensitivity": UNDEFINED, "specificity": UNDEFINED,
        "threshold": 0.5, "confidence": Estimate(value=0.9, low=0.88, high=0.92, method="t 95%"),
        "attack_success_rate": rate, "stored_success_rate": rate, "ssim": UNDEFINED, "psnr": UNDEFINED,
        "queries_per_example": 1.0, "violation": 0.0, "unverified": 0,
    }  # fmt: skip
    return Condition(**(values | more))


def task_result(conditions: Iterable[Condition], **more: Any) -> TaskResult:
    values: dict[str, Any] = {
        "task": "skin", "modality": "dermoscopy", "positive": "melanoma", "negative": "nevus", "data": {}, "victim": {},
        "majority_accuracy": 0.5, "refused": None, "conditions": tuple(conditions),
    }  # fmt: skip
    return TaskResult(**(values | more))


def task(conditions: Iterable[Condition], **more: Any) -> Task:
    """A task without pictures."""

    def none(cell: str) -> Any:
        raise AssertionError(f"no picture of {cell} should be read")

    return Task(0, task_result(conditions, **more), none)


def results(tasks: Iterable[TaskResult], **more: Any) -> Results:
    values: dict[str, Any] = {
        "mithridate": "0.1.0", "name": "a run", "run": "ab" * 16, "created": "2025-11-22T00:47:05+00:00",
        "authority": {"owner": "A", "authorized_by": "B", "statement": "May be attacked."}, "seed": 1,
        "epsilon_reading": "a number", "synthetic": False, "seconds": 1.0, "complete": True, "tasks": tuple(tasks),
    }  # fmt: skip
    return Results(**(values | more))


def study(folder: Path, tasks: Iterable[TaskResult], **more: Any) -> Study:
    """A run folder of results alone, read back."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(results(tasks, **more).model_dump_json())
    return read_study(folder)
