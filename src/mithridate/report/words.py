"""Numbers as people read them: percentages, intervals, doses, dates.

The text never claims more than the number: only an exact 1 reads 100%, and only an exact 0 reads 0%.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from mithridate.audit.results import Estimate

ABSENT = "–"
"""What stands where a figure is not defined."""

GRAY_LEVELS = 255


def percent(value: float | None, digits: int = 1) -> str:
    """0.93 as "93.0%".  Values that would round to 0 or 100 without being so read "<0.1%" and ">99.9%"."""
    if value is None or not math.isfinite(value):
        return ABSENT
    text = f"{value * 100:.{digits}f}"
    # The text decides, not a threshold: a value half-way between may be rounded either way.
    if float(text) <= 0:
        return "0%" if value == 0 else f"<{10.0**-digits:.{digits}f}%"
    if float(text) >= 100:
        return "100%" if value == 1 else f">{100 - 10.0**-digits:.{digits}f}%"
    return f"{text}%"


def decimal(value: float | None, digits: int) -> str:
    """A number with a fixed count of digits, or the sign for a figure that is not defined."""
    return ABSENT if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def points(difference: float) -> str:
    """A difference of two proportions in percentage points: "2.4 points"."""
    size = abs(difference) * 100
    text = f"{size:.1f}".removesuffix(".0")
    if text == "0" and size > 0:
        return "less than 0.1 points"
    return f"{text} point{'' if text == '1' else 's'}"


def interval(estimate: Estimate, digits: int = 1, scale: float = 100.0) -> str:
    """ "89.1–95.6", or nothing when the estimate has no interval."""
    if estimate.low is None or estimate.high is None or estimate.value is None:
        return ""
    return f"{estimate.low * scale:.{digits}f}–{estimate.high * scale:.{digits}f}"


def with_interval(estimate: Estimate) -> str:
    """ "93.0% (95% interval 89.1–95.6)"."""
    span = interval(estimate)
    return percent(estimate.value) + (f" (95% interval {span})" if span else "")


def gray_levels(epsilon: float) -> str:
    """A change of pixels in [0, 1] in gray levels of an 8-bit image: 0.01 as "2.55"."""
    return f"{epsilon * GRAY_LEVELS:.3g}"


def dose(budget: dict[str, Any], size: float) -> str:
    """What a budget of this kind and size allows, in words for people."""
    kind = budget.get("kind")
    if kind == "linf":
        return f"at most {gray_levels(size)} of 255 gray levels at any pixel"
    if kind == "l2":
        return f"a Euclidean length of at most {size:g} over all pixels in [0, 1]"
    if kind == "rotation":
        return f"at most {size:g} degrees either way"
    if kind == "rotation+translation":
        return f"at most {size:g} degrees and {budget.get('pixels', 0):g} pixels either way"
    if kind == "patch":
        return f"a patch on at most {100 * size:.3g}% of the image"
    if kind == "none":
        return "no change"
    return f"{kind or 'budget'} of size {size:g}"


def short_dose(budget: dict[str, Any], size: float) -> str:
    """A dose as a tick label: "2.55" gray levels, "30°", "2"."""
    kind = budget.get("kind")
    if size == 0:
        return "0"
    if kind == "linf":
        return gray_levels(size)
    return f"{size:g}°" if kind == "rotation" else f"{size:g}"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """ "1 image", "1,204 images"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(items: Sequence[str], word: str = "and") -> str:
    """ "a", "a and b", "a, b, and c"."""
    if len(items) < 3:
        return f" {word} ".join(items)
    return f"{', '.join(items[:-1])}, {word} {items[-1]}"


def sentence(text: str) -> str:
    """The text with a capital letter and a full stop."""
    text = text.strip()
    return (text[:1].upper() + text[1:]).rstrip(".") + "." if text else ""


def date(iso: str) -> str:
    """ "2025-11-22T00:47:05Z" as "22 November 2025, 00:47 UTC"; what is not ISO 8601 stays as it is."""
    try:
        moment = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def duration(seconds: float) -> str:
    """Seconds as "41 seconds", "3 min 20 s", or "2 h 5 min"."""
    whole = round(seconds)
    if whole < 90:
        return count(whole, "second")
    if whole < 5400:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
