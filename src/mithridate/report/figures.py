"""The figures of a run as PNG and SVG, for papers and slides; drawn from the same data as the page's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import fill, shorten
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mithridate.files import replace_file
from mithridate.report.charts import Chart, Curve, charts
from mithridate.report.panels import FIGURE_2, Gallery, Shot, describe, gallery, triptych
from mithridate.report.pictures import Array, to_bytes
from mithridate.report.study import ORDER, Study, Task

RIGHT, WRONG, INK = "#1d6b3a", "#a4262c", "#1b1f24"
DPI = 200
CELL, GAP, WORDS, MARGIN = 1.55, 0.16, 0.75, 0.42
"""Inches: side of a picture, space beside it, room for the words of a row, room at the left."""
MARKERS = {"circle": "o", "square": "s", "triangle": "^", "diamond": "D", "cross": "x"}

STYLE: Any = {
    "font.family": ["DejaVu Sans"],
    "font.size": 8,
    "axes.titlesize": 8.5,
    "text.color": INK,
    "axes.edgecolor": "#6a737d",
    "axes.labelcolor": INK,
    # Names come from users: a dollar sign is a dollar sign.
    "text.parse_math": False,
    # Text stays text and ids depend on content alone, so that the same run gives the same file.
    "svg.fonttype": "none",
    "svg.hashsalt": "mithridate",
}


def write_figures(study: Study, folder: Path) -> list[Path]:
    """Write figure1, figure2, dose-response and appendix as .png and .svg; give the paths written.

    A figure that this run has no pictures for is not written, and an older one of that name is removed.
    """
    draw: dict[str, Callable[[Study], Figure | None]] = {
        "figure1": _figure_1,
        "figure2": _figure_2,
        "dose-response": _dose_response,
        "appendix": _appendix,
    }
    paths = []
    with mpl.rc_context(STYLE):
        for name, function in draw.items():
            figure = function(study)
            for ending in ("png", "svg"):
                path = folder / f"{name}.{ending}"
                if figure is None:
                    path.unlink(missing_ok=True)
                    continue
                _save(figure, path, ending)
                paths.append(path)
    return paths


def _save(figure: Figure, path: Path, ending: str) -> None:
    # No date and no software line: equal runs, equal bytes.
    metadata: dict[str, Any] = {"Date": None} if ending == "svg" else {"Software": None}
    replace_file(path, lambda part: figure.savefig(part, format=ending, dpi=DPI, metadata=metadata, facecolor="white"))


def _grid(rows: int, columns: int, head: float) -> tuple[Figure, Any]:
    """Picture axes of CELL inches with room for words; `head` inches are left free above.

    The layout is computed here, not by matplotlib's solver, which takes seconds for a hundred axes.
    """
    width, height = columns * (CELL + GAP) + MARGIN, rows * (CELL + WORDS) + head
    figure = Figure(figsize=(width, height))
    grid = figure.subplots(rows, columns, squeeze=False)
    figure.subplots_adjust(
        left=MARGIN / width,
        right=1 - GAP / width,
        top=1 - (head + 0.25) / height,
        bottom=(WORDS - 0.25) / height,
        wspace=GAP / CELL,
        hspace=WORDS / CELL,
    )
    for axes in grid.flat:
        axes.set_axis_off()
    return figure, grid


def _picture(axes: Axes, image: Array, title: str, below: str, color: str = "#d5dae0") -> None:
    axes.imshow(to_bytes(image), cmap="gray", vmin=0, vmax=255, interpolation="none")
    frame = Rectangle((0, 0), 1, 1, transform=axes.transAxes, fill=False, edgecolor=color, linewidth=2.5, clip_on=False)
    axes.add_patch(frame)
    axes.text(0, 1.05, title, transform=axes.transAxes, fontsize=7.5, color="#4a535e")
    axes.text(0, -0.06, below, transform=axes.transAxes, fontsize=7, va="top")


def _shot(axes: Axes, shot: Shot) -> None:
    below = f"{fill(shot.answer, 26)}\n{shot.confidence}, {'right' if shot.right else 'wrong'}"
    _picture(axes, shot.image, shot.role, below, RIGHT if shot.right else WRONG)


def _figure_1(study: Study) -> Figure | None:
    shown = triptych(study.attacked)
    if shown is None:
        return None
    figure, grid = _grid(1, 3, head=0.4)
    left, middle, right = grid[0]
    _shot(left, shown.clean)
    _picture(middle, shown.change.image, f"Change, amplified {shown.change.factor} times", "")
    _shot(right, shown.attacked)
    title = f"{shown.clean.task.title} (truth: {shown.clean.truth})\n{describe(shown.condition)}"
    figure.text(0.02, 0.98, title, va="top", fontsize=7.5)
    return figure


def _figure_2(study: Study) -> Figure | None:
    found = [gallery(task, FIGURE_2, 1) for task in study.attacked]
    return _galleries([g for g in found if g])


def _appendix(study: Study) -> Figure | None:
    found = [gallery(task, ORDER, 2) for task in study.attacked]
    return _galleries([g for g in found if g])


def _galleries(galleries: list[Gallery]) -> Figure | None:
    rows = [(shown, strip) for shown in galleries for strip in shown.strips]
    if not rows:
        return None
    figure, grid = _grid(len(rows), max(len(shown.roles) for shown in galleries), head=0.0)
    for line, (shown, strip) in zip(grid, rows, strict=True):
        for axes, shot in zip(line, strip.shots, strict=False):
            if shot is not None:
                _shot(axes, shot)
        words = f"{fill(shown.task.name, 30)}\ntruth: {fill(strip.truth, 24)}"
        line[0].text(-0.12, 0.5, words, transform=line[0].transAxes, rotation=90, va="center", ha="center", fontsize=7)
    return figure


def _dose_response(study: Study) -> Figure | None:
    found = charts(study)
    if not found:
        return None
    columns = min(3, len(found))
    rows = -(-len(found) // columns)
    figure = Figure(figsize=(3.2 * columns, 2.9 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, chart in zip(grid.flat, found, strict=False):
        _chart(axes, chart)
    for axes in list(grid.flat)[len(found) :]:
        axes.set_axis_off()
    return figure


def _chart(axes: Axes, chart: Chart) -> None:
    for curve in chart.curves:
        _curve(axes, chart, curve)
    axes.axhline(chart.task.result.majority_accuracy, color="#6a737d", linewidth=0.8, linestyle=":")
    ticks = {p.size: p.tick for curve in chart.curves for p in curve.points}
    axes.set_xticks(
        [chart.position(size) for size in sorted(ticks)], [ticks[size] for size in sorted(ticks)], rotation=45
    )
    axes.set_ylim(-0.03, 1.03)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])
    axes.set_title(_wrapped(chart.task))
    axes.set_xlabel(chart.axis)
    axes.set_ylabel("Accuracy")
    axes.grid(axis="y", color="#e3e6ea", linewidth=0.7)
    axes.legend(fontsize=6.5, frameon=False)


def _curve(axes: Axes, chart: Chart, curve: Curve) -> None:
    x = [chart.position(p.size) for p in curve.points]
    style = (0, curve.style.dash) if curve.style.dash else "solid"
    axes.plot(
        x, [p.value for p in curve.points], color=curve.style.color, linestyle=style, linewidth=1.4,
        marker=MARKERS[curve.style.marker], markersize=4, label=shorten(curve.name, 40),
    )  # fmt: skip
    axes.fill_between(
        x,
        [p.low for p in curve.points],
        [p.high for p in curve.points],
        color=curve.style.color,
        alpha=0.13,
        linewidth=0,
    )


def _wrapped(task: Task) -> str:
    return "\n".join(shorten(part, 48) for part in task.title.split(": ", 1))
