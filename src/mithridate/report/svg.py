"""A dose-response chart as an inline SVG that a screen reader can name; sized so that its text is legible at 340 px."""

from __future__ import annotations

from html import escape

from markupsafe import Markup

from mithridate.report.charts import Chart, Curve, Style

WIDTH, HEIGHT = 350, 260
LEFT, RIGHT, TOP, BOTTOM = 42, 14, 12, 46
TICK_SPACE = 30
"""Labels nearer to each other than this, in user units, would touch."""


def chart_svg(chart: Chart, identifier: str) -> Markup:
    """The chart; `identifier` makes the ids of its title and description unique in the page."""
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-labelledby="{identifier}-title {identifier}-text">',
        f'<title id="{identifier}-title">Accuracy against dose, {escape(chart.task.name)}</title>',
        f'<desc id="{identifier}-text">{escape(chart.finding)}</desc>',
        *_grid(chart),
        *_marked(chart),
        *(_band(chart, curve) for curve in chart.curves),
        *(part for curve in reversed(chart.curves) for part in _line(chart, curve)),
        "</svg>",
    ]
    return Markup("".join(parts))


def legend_svg(style: Style) -> Markup:
    """A sample of a curve for the legend."""
    line = f'<line x1="1" y1="7" x2="35" y2="7" stroke="{style.color}" stroke-width="2"{_dashes(style)}/>'
    return Markup(f'<svg class="sample" viewBox="0 0 36 14" aria-hidden="true">{line}{_mark(style, 18, 7)}</svg>')


def _x(chart: Chart, size: float) -> float:
    return LEFT + chart.position(size) * (WIDTH - LEFT - RIGHT)


def _y(value: float) -> float:
    return TOP + (1 - value) * (HEIGHT - TOP - BOTTOM)


def _grid(chart: Chart) -> list[str]:
    bottom = HEIGHT - BOTTOM
    parts = []
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _y(value)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value * 100:.0f}%</text>')
    majority = chart.task.result.majority_accuracy
    y = _y(majority)
    parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="majority"/>')
    parts.append(f'<text x="{LEFT + 4}" y="{y - 4:.1f}" class="faint">always the more frequent answer</text>')
    labels = {point.size: point.tick for curve in chart.curves for point in curve.points}
    last = WIDTH * 2.0
    # From the right, so that the largest dose always has its label.
    for size in sorted(labels, reverse=True):
        x = _x(chart, size)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}" class="tick"/>')
        if size == 0 or (last - x >= TICK_SPACE and x - LEFT >= TICK_SPACE * 0.7):
            parts.append(f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">{escape(labels[size])}</text>')
            last = x
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(chart.axis)}</text>'
    )
    return parts


def _marked(chart: Chart) -> list[str]:
    if chart.marked is None:
        return []
    x = _x(chart, chart.marked)
    return [f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" class="marked"/>']


def _band(chart: Chart, curve: Curve) -> str:
    upper = [f"{_x(chart, p.size):.1f},{_y(p.high):.1f}" for p in curve.points]
    lower = [f"{_x(chart, p.size):.1f},{_y(p.low):.1f}" for p in reversed(curve.points)]
    return f'<polygon points="{" ".join(upper + lower)}" fill="{curve.style.color}" opacity="0.13"/>'


def _line(chart: Chart, curve: Curve) -> list[str]:
    line = " ".join(f"{_x(chart, p.size):.1f},{_y(p.value):.1f}" for p in curve.points)
    style = curve.style
    parts = [f'<polyline points="{line}" fill="none" stroke="{style.color}" stroke-width="2"{_dashes(style)}/>']
    return parts + [_mark(style, _x(chart, p.size), _y(p.value)) for p in curve.points]


def _dashes(style: Style) -> str:
    return f' stroke-dasharray="{" ".join(map(str, style.dash))}"' if style.dash else ""


def _mark(style: Style, x: float, y: float) -> str:
    r = 3.4
    fill = f'fill="{style.color}"'
    match style.marker:
        case "circle":
            return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}" {fill}/>'
        case "square":
            return f'<rect x="{x - r:.1f}" y="{y - r:.1f}" width="{2 * r}" height="{2 * r}" {fill}/>'
        case "triangle":
            return f'<path d="M{x:.1f} {y - r - 0.6:.1f}l{r + 0.6} {2 * r}h-{2 * r + 1.2}z" {fill}/>'
        case "diamond":
            return f'<path d="M{x:.1f} {y - r - 1:.1f}l{r + 1} {r + 1}l-{r + 1} {r + 1}l-{r + 1} -{r + 1}z" {fill}/>'
        case "cross":
            d = f"M{x - r:.1f} {y - r:.1f}l{2 * r} {2 * r}m0 -{2 * r}l-{2 * r} {2 * r}"
            return f'<path d="{d}" stroke="{style.color}" stroke-width="2" fill="none"/>'
