"""Ladders: conditions whose codes run from mild to severe, with how often patients have them and what is measured.

Frequencies and measurements are of this program's own making: plausible, and no one's data.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Rung:
    """One code of a ladder: its severity from 0 and its share among patients who have the condition."""

    code: str
    severity: int
    share: float


@dataclass(frozen=True)
class Ladder:
    """A condition.

    Attributes: name, rungs (mild to severe), stay / member / office (share of 65-year-olds who have it there),
    principal (weight as the reason of a stay), age_power (share grows with (age / 65) to this power), measure (a lab or
    vital sign, "" for none: base + step x severity + spread x standard normal, in unit), procedure (ICD-10-PCS, or "").
    """

    name: str
    rungs: tuple[Rung, ...]
    stay: float
    member: float
    office: float
    principal: float
    age_power: float
    measure: str
    base: float
    step: float
    spread: float
    unit: str
    procedure: str

    @property
    def top(self) -> int:
        """The highest severity."""
        return max(rung.severity for rung in self.rungs)

    @property
    def cumulative(self) -> NDArray[np.float64]:
        """Cumulative shares of the rungs, ending in 1."""
        shares = np.cumsum([rung.share for rung in self.rungs])
        return np.asarray(shares / shares[-1])


@cache
def ladders() -> tuple[Ladder, ...]:
    """All ladders in the order of the table, which is the order of the draws."""
    rungs: dict[str, list[Rung]] = {}
    for name, severity, code, weight in _rows("rungs.csv"):
        rungs.setdefault(name, []).append(Rung(code, int(severity), float(weight)))
    found = []
    for name, *numbers, measure, base, step, spread, unit, procedure in _rows("ladders.csv"):
        stay, member, office, principal, age_power = map(float, numbers)
        shape = (float(base), float(step), float(spread))
        found.append(
            Ladder(
                name, tuple(rungs[name]), stay, member, office, principal, age_power, measure, *shape, unit, procedure
            )
        )
    return tuple(found)


@cache
def ladder_codes() -> frozenset[str]:
    """Every code that stands on a ladder."""
    return frozenset(rung.code for ladder in ladders() for rung in ladder.rungs)


@cache
def ladder_of() -> dict[str, tuple[int, int]]:
    """Code -> (index of its ladder, severity)."""
    return {rung.code: (place, rung.severity) for place, ladder in enumerate(ladders()) for rung in ladder.rungs}


def _rows(name: str) -> list[list[str]]:
    text = (files("mithridate.claims.tables") / name).read_text(encoding="utf-8")
    return [line.split(",") for line in text.splitlines()[1:]]
