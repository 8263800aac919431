"""Single values of a claim as files write them: checked, converted, or refused with a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date

from mithridate.claims.input.parsed import Refused

_SEXES = {"f": "F", "female": "F", "2": "F", "m": "M", "male": "M", "1": "M"}
OLDEST = 124


def text(value: object, field: str) -> str:
    """A non-empty word or number as text."""
    word = "" if value is None else str(value).strip()
    if not word or isinstance(value, (dict, list, bool)):
        raise Refused(field, "is missing: give it" if not word else f"{value!r} is not a single value: give one word")
    return word


def number(value: object, field: str, *, least: float = 0.0, above: bool = False) -> float:
    """A finite number of at least `least` (above it, if `above`)."""
    try:
        found = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else float(str(value))
    except ValueError:
        raise Refused(field, f"'{value}' is not a number: correct it") from None
    if not math.isfinite(found) or found < least or (above and found == least):
        raise Refused(field, f"{value} must be {'above' if above else 'at least'} {least:g}: correct it")
    return found


def whole(value: object, field: str, *, most: int | None = None) -> int:
    """A whole number of at least 0."""
    found = number(value, field)
    if found != int(found) or (most is not None and found > most):
        limit = "" if most is None else f" from 0 to {most}"
        raise Refused(field, f"{value} is not a whole number{limit}: correct it")
    return int(found)


def age(value: object) -> int:
    if value is None or str(value).strip() == "":
        raise Refused("age", "is missing, and rules and payment need it: give years on the date of service")
    return whole(value, "age", most=OLDEST)


def sex(value: object) -> str:
    """ "F" or "M", from the spellings of the usual files."""
    word = "" if value is None else str(value).strip()
    if not word:
        raise Refused("sex", "is missing, and rules and payment need it: give F or M")
    if word.lower() not in _SEXES:
        raise Refused("sex", f"'{word}' is neither F nor M, the only two that payment rules know: give the one billed")
    return _SEXES[word.lower()]


def one_of(value: object, field: str, allowed: Sequence[str]) -> str:
    word = text(value, field)
    if word not in allowed:
        raise Refused(field, f"'{word}' is not known: use {', '.join(item or 'nothing' for item in allowed)}")
    return word


def day(value: object, field: str) -> date:
    """A date: 2026-03-31 or 20260331."""
    word = text(value, field)[:10]
    try:
        return date.fromisoformat(word)
    except ValueError:
        raise Refused(field, f"'{word}' is not a date such as 2026-03-31: correct it") from None


def years_between(born: date, on: date) -> int:
    """Age in years on a day.  Refused when the day comes first."""
    if on < born:
        raise Refused("birth date", f"{born} is after the date of service {on}: correct one of the two")
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))
