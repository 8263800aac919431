"""The tables of a run: for people (cells of text) and for programs (CSV with every digit)."""

from __future__ import annotations

from dataclasses import dataclass

from mithridate.audit.results import Condition, Estimate
from mithridate.report.charts import Chart
from mithridate.report.published import CLEAN_PREDICTIONS, SOURCE, TABLE_1
from mithridate.report.study import Study, Task
from mithridate.report.verdict import reason
from mithridate.report.words import ABSENT, count, decimal, dose, interval, percent, sentence


@dataclass(frozen=True)
class Cell:
    """A figure and, smaller, its interval."""

    text: str
    detail: str = ""


@dataclass(frozen=True)
class Row:
    """A row; one with a `message` has it in place of cells.  `outside` marks figures of other data."""

    label: str
    detail: str
    cells: tuple[Cell, ...] = ()
    message: str = ""
    outside: bool = False
    key: str = ""


@dataclass(frozen=True)
class Group:
    """The rows of one task."""

    label: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Table:
    """A table for people; the first column holds the rows' labels."""

    id: str
    caption: str
    columns: tuple[str, ...]
    groups: tuple[Group, ...]
    notes: tuple[str, ...] = ()


def _share(estimate: Estimate) -> Cell:
    return Cell(percent(estimate.value), interval(estimate))


def _area(estimate: Estimate) -> Cell:
    return Cell(decimal(estimate.value, 3), interval(estimate, 3, 1.0))


def _decibels(estimate: Estimate) -> Cell:
    return Cell(decimal(estimate.value, 1), interval(estimate, 1, 1.0))


def clean_table(study: Study) -> Table:
    """Table 1: the models on untouched images, each above the published row that it resembles."""
    groups = []
    for task in study.tasks:
        rows = [_clean_row(task)]
        key = task.published
        if key is not None:
            rows.append(_published_row(key))
        groups.append(Group(task.title, tuple(rows)))
    notes = [
        "Accuracy counts a probability above 50% as positive; sensitivity and specificity use the threshold in the "
        "first column. Small figures are 95% intervals. Majority: the accuracy of always giving the more "
        "frequent answer."
    ]
    if any(row.outside for group in groups for row in group.rows):
        notes.append(
            f"Published: {SOURCE}, Table 1. Other images and other models: a landmark, not a target. Their n and "
            "majority follow from the prediction files that the authors made public."
        )
    columns = ("Model", "Images", "Accuracy", "Majority", "AUC", "Sensitivity", "Specificity")
    return Table("table-1", "Table 1. The models on untouched images.", columns, tuple(groups), tuple(notes))


def _clean_row(task: Task) -> Row:
    clean, refused = task.clean, task.result.refused
    detail = "not attacked, see the verdict" if refused is not None else ""
    if clean is None:
        return Row("This run", detail, message="The untouched images were not measured.")
    positives = task.result.data.get("positives")
    threshold = f"threshold {clean.threshold:.3g}"
    cells = (
        Cell(f"{clean.n:,}", f"{positives:,} positive" if isinstance(positives, int) else ""),
        _share(clean.accuracy),
        Cell(percent(task.result.majority_accuracy)),
        _area(clean.auc),
        _share(clean.sensitivity),
        _share(clean.specificity),
    )
    return Row("This run", f"{threshold}; {detail}" if detail else threshold, cells, key=clean.cell)


def _published_row(key: str) -> Row:
    row = TABLE_1[key]
    cells = (
        Cell(f"{row.n:,}", f"{row.positives:,} positive"),
        Cell(percent(row.accuracy, 0)),
        Cell(percent(row.majority_accuracy)),
        Cell(decimal(row.auc, 2)),
        Cell(percent(row.sensitivity, 0)),
        Cell(percent(row.specificity, 0)),
    )
    return Row("Published, other data", f"{row.question}; threshold {row.threshold:g}", cells, outside=True)


def attack_table(study: Study) -> Table:
    """Table 2: what each attack does."""
    groups = []
    for task in study.tasks:
        if task.result.refused is not None:
            row = Row("Not attacked", "", message=sentence(reason(task.result.refused)))
            groups.append(Group(task.title, (row,)))
            continue
        rows = [_attack_row(c) for c in task.main]
        known = CLEAN_PREDICTIONS.get(task.published or "")
        if known is not None:
            cells = (Cell(percent(known.accuracy)), Cell(decimal(known.auc, 3)), Cell(percent(known.confidence)))
            rows.append(
                Row(
                    "Published, other data",
                    "untouched images",
                    (*cells, *(Cell(ABSENT) for _ in range(4))),
                    outside=True,
                )
            )
        groups.append(Group(task.title, tuple(rows) or (Row("No conditions", "", message="Nothing was measured."),)))
    notes = [
        "Accuracy at a probability of 50%. Confidence: mean probability of the answer given. Success: of the images "
        "that the model had right, the part that the attack made wrong; stored: the same after saving as 8-bit pixels. "
        "SSIM (1 = identical) and PSNR (higher = more alike) compare each image with the untouched one. Small figures "
        "are 95% intervals."
    ]
    if any(row.outside for group in groups for row in group.rows):
        notes.append(
            f"Published: computed from the skin predictions that the authors of {SOURCE} made public. Their other "
            "figures under attack are not readable in the copies at hand and are not quoted."
        )
    columns = ("Condition", "Accuracy", "AUC", "Confidence", "Success", "Stored", "SSIM", "PSNR, dB")
    return Table(
        "table-2",
        "Table 2. Every condition of the study, beside the untouched images.",
        columns,
        tuple(groups),
        tuple(notes),
    )


def _attack_row(condition: Condition) -> Row:
    c = condition
    label = c.label if c.kind != "clean" else "Untouched"
    detail = dose(c.budget, c.size) if c.kind != "clean" else count(c.n, "image")
    if c.surrogate:
        detail += f"; computed on {c.surrogate}"
    if c.unverified:
        detail += f"; {count(c.unverified, 'candidate')} without a finite prediction"
    if c.violation != 0:
        return Row(label, detail, message=f"Void: a candidate left its budget by {c.violation:g}.", key=c.cell)
    cells = (
        _share(c.accuracy),
        _area(c.auc),
        _share(c.confidence),
        _share(c.attack_success_rate),
        _share(c.stored_success_rate),
        _area(c.ssim),
        _decibels(c.psnr),
    )
    return Row(label, detail, cells, key=c.cell)


def dose_table(chart: Chart, identifier: str) -> Table:
    """The numbers behind one chart: a group for each curve, the untouched images first."""
    task = chart.task
    groups = []
    for curve in chart.curves:
        rows = [_dose_row(c) for c in ((task.clean,) if task.clean else ()) + curve.conditions]
        groups.append(Group(curve.name, tuple(rows)))
    columns = ("Dose", "Accuracy", "AUC", "Confidence", "Success")
    return Table(f"{identifier}-table", f"{task.title}, dose by dose.", columns, tuple(groups))


def _dose_row(c: Condition) -> Row:
    label = "untouched" if c.kind == "clean" else dose(c.budget, c.size)
    if c.violation != 0:
        return Row(label, "", message=f"Void: a candidate left its budget by {c.violation:g}.", key=c.cell)
    cells = (_share(c.accuracy), _area(c.auc), _share(c.confidence), _share(c.attack_success_rate))
    return Row(label, "", cells, key=c.cell)
