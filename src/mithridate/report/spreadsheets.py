"""The tables as CSV: full precision, one row an item, one column a figure, empty where a figure is not defined."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from mithridate.audit.results import Condition
from mithridate.files import replace_text
from mithridate.report.published import CLEAN_PREDICTIONS, SOURCE, TABLE_1
from mithridate.report.study import Study

Value = str | float | int | bool | None
Row = dict[str, Value]

ESTIMATES = (
    "accuracy", "auc", "sensitivity", "specificity", "confidence", "attack_success_rate", "stored_success_rate",
    "ssim", "psnr",
)  # fmt: skip


def write_tables(study: Study, folder: Path) -> list[Path]:
    """Write table1.csv, table2.csv and conditions.csv into `folder`; give their paths."""
    contents = {
        "table1.csv": _table_1(study),
        "table2.csv": [row for row in _conditions(study) if row["main"]] + _published_clean(study),
        "conditions.csv": _conditions(study),
    }
    paths = []
    for name, rows in contents.items():
        path = folder / name
        _write(path, rows)
        paths.append(path)
    return paths


def _write(path: Path, rows: list[Row]) -> None:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows([{key: _plain(value) for key, value in row.items()} for row in rows])
    replace_text(path, text.getvalue())


def _plain(value: Value) -> Value:
    # A spreadsheet runs a cell that begins like a formula; a leading apostrophe makes it text.
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return "" if value is None else value


def _estimates(condition: Condition, names: Iterable[str]) -> Row:
    row: Row = {}
    for name in names:
        estimate = getattr(condition, name)
        row |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
        row[f"{name}_interval"] = estimate.method
    return row


def _table_1(study: Study) -> list[Row]:
    rows: list[Row] = []
    for task in study.tasks:
        clean, result = task.clean, task.result
        if clean is not None:
            rows.append(
                {
                    "task": task.name, "source": "this run", "modality": result.modality, "positive": result.positive,
                    "negative": result.negative, "n": clean.n, "positives": result.data.get("positives"),
                    "majority_accuracy": result.majority_accuracy, "threshold": clean.threshold,
                    "refused": result.refused,
                }
                | _estimates(clean, ESTIMATES[:5])
            )  # fmt: skip
        known = TABLE_1.get(task.published or "")
        if known is not None:
            rows.append(
                {
                    "task": task.name, "source": f"{SOURCE}, Table 1; other data", "positive": known.question,
                    "n": known.n, "positives": known.positives, "majority_accuracy": known.majority_accuracy,
                    "threshold": known.threshold, "accuracy": known.accuracy, "auc": known.auc,
                    "sensitivity": known.sensitivity, "specificity": known.specificity,
                }
            )  # fmt: skip
    return rows


def _conditions(study: Study) -> list[Row]:
    return [_condition(task.name, c) for task in study.tasks for c in task.result.conditions]


def _condition(task: str, c: Condition) -> Row:
    row: Row = {
        "task": task, "source": "this run", "cell": c.cell, "kind": c.kind, "label": c.label,
        "attack": c.attack, "budget": str(c.budget.get("kind", "")), "size": c.size, "main": c.main,
        "sweep": c.sweep, "surrogate": c.surrogate, "n": c.n, "threshold": c.threshold,
        "queries_per_example": c.queries_per_example, "violation": c.violation, "unverified": c.unverified,
    }  # fmt: skip
    return row | _estimates(c, ESTIMATES)


def _published_clean(study: Study) -> list[Row]:
    return [
        {
            "task": task.name, "source": f"from the public predictions of {SOURCE}; other data", "kind": "clean",
            "n": known.n, "accuracy": known.accuracy, "auc": known.auc, "confidence": known.confidence,
        }
        for task in study.tasks
        if (known := CLEAN_PREDICTIONS.get(task.published or "")) is not None
    ]  # fmt: skip
