"""Dose-response curves as data: accuracy against the size of the change, one chart a task and kind of budget."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from mithridate.audit.results import Condition, Kind
from mithridate.report.films import axis_name
from mithridate.report.study import ORDER, Study, Task, usable
from mithridate.report.words import dose, percent, short_dose

ZERO_GAP = 0.16
"""The part of a logarithmic axis between dose 0 and the smallest dose."""


@dataclass(frozen=True)
class Point:
    """Accuracy with its interval at one dose; fractions in [0, 1]."""

    size: float
    value: float
    low: float
    high: float
    tick: str


@dataclass(frozen=True)
class Style:
    """How a curve is told from the others without color: dashes (empty is solid) and the shape of its marks."""

    color: str
    dash: tuple[int, ...]
    marker: Literal["circle", "square", "triangle", "diamond", "cross"]


STYLES: dict[Kind, Style] = {
    "white-box": Style("#a4262c", (), "circle"),
    "black-box": Style("#1f4e8c", (7, 3), "square"),
    "noise": Style("#4a5560", (2, 3), "triangle"),
    "rotation": Style("#6b3fa0", (8, 3, 2, 3), "diamond"),
    "other": Style("#7a5200", (4, 2), "cross"),
    "clean": Style("#1d6b3a", (), "circle"),
}
SPARE = (
    Style("#0b6b70", (5, 2, 1, 2), "diamond"),
    Style("#7a5200", (4, 2), "cross"),
    Style("#8a2f7a", (10, 3), "triangle"),
)
"""For a second curve of a kind in one chart."""


@dataclass(frozen=True)
class Curve:
    """One attack over its doses, dose 0 included when the clean condition was measured."""

    name: str
    kind: Kind
    style: Style
    points: tuple[Point, ...]
    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class Chart:
    """The curves of one task that share a dose axis.  `marked` is the dose of the study's own conditions."""

    task: Task
    budget: str
    axis: str
    curves: tuple[Curve, ...]
    marked: float | None

    @property
    def logarithmic(self) -> bool:
        return self.budget != "rotation"

    @property
    def sizes(self) -> tuple[float, ...]:
        return tuple(sorted({p.size for curve in self.curves for p in curve.points}))

    def position(self, size: float) -> float:
        """Where a dose lies on the axis, 0 to 1: linear for degrees; otherwise 0, a gap, then logarithmic."""
        positive = [s for s in self.sizes if s > 0]
        low, high = positive[0], positive[-1]
        if size <= 0:
            return 0.0
        if not self.logarithmic:
            return size / high
        if high == low:
            return 1.0
        return ZERO_GAP + (1 - ZERO_GAP) * math.log(size / low) / math.log(high / low)

    @property
    def finding(self) -> str:
        """What the chart shows, in words, for those who do not see it."""
        parts = []
        for curve in self.curves:
            first, last = curve.points[0], curve.points[-1]
            parts.append(
                f"{curve.name}: accuracy goes from {percent(first.value)} at dose {first.tick} "
                f"to {percent(last.value)} at {dose({'kind': self.budget}, last.size)}"
            )
        return f"{self.task.title}. " + "; ".join(parts) + "."


def charts(study: Study) -> tuple[Chart, ...]:
    """All dose-response charts of a run, tasks in order."""
    return tuple(chart for task in study.attacked for chart in _of_task(task))


def _of_task(task: Task) -> list[Chart]:
    by_budget: dict[str, list[tuple[Condition, ...]]] = {}
    for conditions in task.sweeps.values():
        kept = tuple(c for c in conditions if usable(c) and c.size > 0)
        if len({c.size for c in kept}) > 1:
            by_budget.setdefault(str(kept[0].budget.get("kind")), []).append(kept)
    found = []
    for budget, sweeps in by_budget.items():
        curves: list[Curve] = []
        for conditions in sorted(sweeps, key=lambda c: -ORDER.index(c[0].kind)):
            curves.append(_curve(task, conditions, curves))
        marked = next((c.size for s in sweeps for c in s if c.main), None)
        found.append(Chart(task, budget, axis_name(budget), tuple(curves), marked))
    return found


def _curve(task: Task, conditions: tuple[Condition, ...], others: list[Curve]) -> Curve:
    first = conditions[0]
    used = [curve.style for curve in others]
    style = next((s for s in (STYLES[first.kind], *SPARE) if s not in used), SPARE[-1])
    start = [task.clean] if task.clean is not None and usable(task.clean) else []
    points = tuple(p for c in (*start, *conditions) if (p := _point(c, first)) is not None)
    return Curve(first.label, first.kind, style, points, conditions)


def _point(condition: Condition, like: Condition) -> Point | None:
    e, size = condition.accuracy, 0.0 if condition.kind == "clean" else condition.size
    if e.value is None:
        return None
    low, high = (e.value if e.low is None else e.low), (e.value if e.high is None else e.high)
    return Point(size, e.value, low, high, short_dose(like.budget, size))
