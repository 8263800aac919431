"""Gain against the number of edits, a curve a defense, as an inline SVG with a text for those who do not see it."""

from __future__ import annotations

import math
from html import escape

from markupsafe import Markup

from mithridate.audit.claims.results import ClaimsCondition, ClaimsResults
from mithridate.report.claims_verdict import DEFENSE_WORDS
from mithridate.report.words import count

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 620, 320, 70, 16, 14, 46
STYLES = (("#a4262c", ""), ("#1f4e8c", "7 3"), ("#1d6b3a", "2 3"), ("#6b3fa0", "8 3 2 3"), ("#7a5200", "4 2"))


def gain_chart(results: ClaimsResults) -> Markup | None:
    """The most that an adaptive attacker gains a claim, by number of edits; None with fewer than two doses."""
    widest = max((c.classes for c in results.conditions), key=len)
    curves: dict[str, dict[int, ClaimsCondition]] = {}
    for c in results.conditions:
        if c.attacker != "adaptive" or c.classes != widest or c.gain.value is None:
            continue
        known = curves.setdefault(c.defense, {}).get(c.k)
        if known is None or c.gain.value > (known.gain.value or 0.0):
            curves[c.defense][c.k] = c
    doses = sorted({k for curve in curves.values() for k in curve})
    if len(doses) < 2:
        return None
    every = [
        c.gain.high if c.gain.high is not None else c.gain.value or 0.0 for v in curves.values() for c in v.values()
    ]
    step = _round_step(max(1.0, *every) / 4)
    ticks = [number * step for number in range(1 + math.ceil(max(1.0, *every) / step))]
    top = ticks[-1]

    def x(k: int) -> float:
        return LEFT + k / doses[-1] * (WIDTH - LEFT - RIGHT)

    def y(money: float) -> float:
        return TOP + (1 - max(0.0, money) / top) * (HEIGHT - TOP - BOTTOM)

    said = "; ".join(
        f"{DEFENSE_WORDS.get(name, name)}: "
        + ", ".join(f"{count(k, 'edit')} ${curve[k].gain.value or 0:,.0f}" for k in sorted(curve))
        for name, curve in curves.items()
    )
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="gain-title gain-text">',
        f'<title id="gain-title">Gain against edits</title><desc id="gain-text">{escape(said)}</desc>',
    ]
    for tick in ticks:
        at = y(tick)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">${tick:,.0f}</text>')
    for k in (0, *doses):
        parts.append(f'<text x="{x(k):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{k}</text>')
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">edits allowed a claim</text>'
    )
    for number, curve in enumerate(curves.values()):
        color, dash = STYLES[number % len(STYLES)]
        points = [(0, 0.0)] + [(k, curve[k].gain.value or 0.0) for k in sorted(curve)]
        line = " ".join(f"{x(k):.1f},{y(money):.1f}" for k, money in points)
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        parts.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"{dashes}/>')
        for k in sorted(curve):
            gain = curve[k].gain
            if gain.low is not None and gain.high is not None:
                beside = x(k) + 4 * (number - (len(curves) - 1) / 2)  # side by side, or they hide each other
                parts.append(
                    f'<line x1="{beside:.1f}" x2="{beside:.1f}" y1="{y(gain.low):.1f}" y2="{y(gain.high):.1f}" '
                    f'stroke="{color}" stroke-width="1" opacity=".6"/>'
                )
            parts.append(f'<circle cx="{x(k):.1f}" cy="{y(gain.value or 0.0):.1f}" r="3.5" fill="{color}"/>')
    legend = "".join(
        f'<li><svg class="sample" viewBox="0 0 36 14" aria-hidden="true">{_sample(i)}</svg> '
        f"{escape(DEFENSE_WORDS.get(name, name).capitalize())}</li>"
        for i, name in enumerate(curves)
    )
    return Markup("".join(parts) + f'</svg><ul class="legend">{legend}</ul>')


def _round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is at least this."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


def _sample(number: int) -> str:
    color, dash = STYLES[number % len(STYLES)]
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<line x1="1" y1="7" x2="35" y2="7" stroke="{color}" stroke-width="2"{dashes}/>'
