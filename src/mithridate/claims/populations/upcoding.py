"""Upcoding of diagnoses: a step up a ladder, or a severe condition that the patient does not have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from mithridate.claims.populations.catalog import ladder_of, ladders

WAYS_TRIED = 4
"""Inflated versions of a claim that an abusive provider compares: it looks for money, and not for the most."""


def upcode(
    rng: np.random.Generator, codes: Sequence[str], steps: int, worth: Callable[[Sequence[str]], float]
) -> list[str]:
    """The codes with `steps` of them inflated: of a few ways tried, the one that is worth most.

    Two times in three a code of the claim is replaced by a more severe one of its ladder, chosen as often as honest
    patients have it; else a severe code of a ladder that the patient is not on is added.
    """
    ways = [_inflated(rng, list(codes), steps) for _ in range(WAYS_TRIED)]
    return max(ways, key=worth)


def _inflated(rng: np.random.Generator, written: list[str], steps: int) -> list[str]:
    for _ in range(steps):
        climbable = [place for place, code in enumerate(written) if _above(code)]
        if climbable and rng.random() < 2 / 3:
            place = climbable[int(rng.integers(len(climbable)))]
            written[place] = _pick(rng, _above(written[place]))
        else:
            used = {ladder_of()[code][0] for code in written if code in ladder_of()}
            free = [place for place in _addable() if place not in used]
            written.append(_pick(rng, _severe(free[int(rng.integers(len(free)))])))
    return written


def _pick(rng: np.random.Generator, options: tuple[tuple[str, float], ...]) -> str:
    weights = np.array([weight for _, weight in options])
    return options[int(rng.choice(len(options), p=weights / weights.sum()))][0]


@cache
def _above(code: str) -> tuple[tuple[str, float], ...]:
    """The more severe codes of a code's ladder, with their shares."""
    place, severity = ladder_of().get(code, (-1, 0))
    if place < 0:
        return ()
    return tuple((rung.code, rung.share) for rung in ladders()[place].rungs if rung.severity > severity)


@cache
def _severe(place: int) -> tuple[tuple[str, float], ...]:
    """The codes of a ladder above its mildest."""
    return tuple((rung.code, rung.share) for rung in ladders()[place].rungs if rung.severity > 0)


@cache
def _addable() -> tuple[int, ...]:
    """Ladders that anyone may be on beside other conditions, and that have a severe rung."""
    return tuple(place for place, ladder in enumerate(ladders()) if ladder.top and (ladder.stay or ladder.member))
