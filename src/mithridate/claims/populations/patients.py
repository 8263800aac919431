"""Patients of one provider, drawn as arrays: age, sex, day, which conditions they have, how severe."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mithridate.claims.claim import Condition, Measurement
from mithridate.claims.populations.catalog import ladders

Setting = Literal["stay", "member", "office"]

SLIP_LEFT_OUT, SLIP_SIBLING = 0.04, 0.02
"""Honest mistakes: shares of secondary codes that a coder leaves out, or takes from the same rung by mistake."""


@dataclass(frozen=True)
class Patients:
    """N patients.

    Attributes: age (int64 N, years), woman (bool N), day (int64 N, from the first day of the period, ascending), rung
    (int64 N x L: the rung of each ladder that the patient stands on, -1 for none), measured (float64 N x L: the
    ladder's laboratory value, of the patient's true severity).
    """

    age: NDArray[np.int64]
    woman: NDArray[np.bool_]
    day: NDArray[np.int64]
    rung: NDArray[np.int64]
    measured: NDArray[np.float64]


def draw_patients(
    rng: np.random.Generator, count: int, days: int, setting: Setting, mix: NDArray[np.float64]
) -> Patients:
    """Patients with the conditions that are usual in the setting, at the provider's own mix."""
    table = ladders()
    young, old = (18, 96) if setting != "member" else (65, 96)
    center, width = {"stay": (66, 17), "member": (75, 7), "office": (52, 18)}[setting]
    age = np.clip(np.rint(rng.normal(center, width, count)), young, old).astype(np.int64)
    share = np.array([getattr(ladder, setting) for ladder in table]) * mix
    power = np.array([ladder.age_power for ladder in table])
    chance = np.minimum(0.9, share * np.clip(age[:, None] / 65.0, 0.3, 1.4) ** power)
    has = rng.random((count, len(table))) < chance
    place = rng.random((count, len(table)))
    rung = np.stack([np.searchsorted(steps, place[:, column]) for column, steps in enumerate(_steps())], axis=1)
    woman = rng.random(count) < 0.53
    day = np.sort(rng.integers(0, days, count))
    noise = rng.standard_normal((count, len(table)))
    base, step, spread = (np.array([getattr(ladder, name) for ladder in table]) for name in ("base", "step", "spread"))
    measured = base + step * np.take_along_axis(_severities(), rung.T, axis=1).T + spread * noise
    return Patients(age, woman, day, np.where(has, rung, -1).astype(np.int64), measured)


def true_codes(rungs: NDArray[np.int64]) -> list[str]:
    """Codes of what one patient has (int64 L rungs), severe ones first."""
    table = ladders()
    held = [table[column].rungs[rungs[column]] for column in np.flatnonzero(rungs >= 0)]
    return [rung.code for rung in sorted(held, key=lambda rung: -rung.severity)]


def measurements(rungs: NDArray[np.int64], values: NDArray[np.float64]) -> tuple[Measurement, ...]:
    """Laboratory values and vital signs that go with what one patient has."""
    table = ladders()
    return tuple(
        Measurement(table[column].measure, round(float(values[column]), 2), table[column].unit)
        for column in np.flatnonzero(rungs >= 0)
        if table[column].measure
    )


def with_slips(rng: np.random.Generator, codes: list[str]) -> list[str]:
    """The codes as an honest, fallible coder writes them; the first one is never touched."""
    written = codes[:1]
    for code in codes[1:]:
        draw = rng.random()
        if draw < SLIP_LEFT_OUT:
            continue
        same = _same_rung().get(code, ())
        written.append(same[int(rng.integers(len(same)))] if draw < SLIP_LEFT_OUT + SLIP_SIBLING and same else code)
    return written


def considered(rng: np.random.Generator, rungs: NDArray[np.int64]) -> tuple[Condition, ...]:
    """A condition that the record rules out, for one patient in four: billed as active it is contradicted."""
    if rng.random() >= 0.25:
        return ()
    ladder = ladders()[int(rng.integers(len(rungs)))]
    worst = [rung for rung in ladder.rungs if rung.severity == ladder.top]
    absent = rungs[ladders().index(ladder)] < 0
    return (Condition(worst[int(rng.integers(len(worst)))].code, "ruled-out"),) if absent and ladder.top else ()


@cache
def _steps() -> tuple[NDArray[np.float64], ...]:
    return tuple(ladder.cumulative for ladder in ladders())


@cache
def _severities() -> NDArray[np.float64]:
    """L x (most rungs): severity of each rung, padded with zeros."""
    most = max(len(ladder.rungs) for ladder in ladders())
    rows = [[rung.severity for rung in ladder.rungs] + [0] * (most - len(ladder.rungs)) for ladder in ladders()]
    return np.array(rows, dtype=np.float64)


@cache
def _same_rung() -> dict[str, tuple[str, ...]]:
    found = {}
    for ladder in ladders():
        for rung in ladder.rungs:
            same = tuple(r.code for r in ladder.rungs if r.severity == rung.severity and r.code != rung.code)
            found[rung.code] = same
    return found
