"""One example from no dose to the largest: what the slider shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mithridate.audit.results import Condition, Kind
from mithridate.report.panels import Album, Change, Shot, change
from mithridate.report.pictures import factor_for
from mithridate.report.study import Task, usable
from mithridate.report.words import dose, short_dose

PREFERRED: tuple[Kind, ...] = ("white-box", "black-box", "other", "rotation", "noise")


@dataclass(frozen=True)
class Frame:
    """One example at one dose."""

    tick: str
    dose: str
    shot: Shot
    change: Change


@dataclass(frozen=True)
class Film:
    """One example at every dose."""

    example: str
    truth: str
    frames: tuple[Frame, ...]
    factor: int


@dataclass(frozen=True)
class Reel:
    """What one slider moves: examples of one task at the same doses, the untouched image first."""

    task: Task
    sweep: str
    label: str
    unit: str
    films: tuple[Film, ...]

    @property
    def ticks(self) -> tuple[str, ...]:
        return tuple(frame.tick for frame in self.films[0].frames)

    @property
    def doses(self) -> tuple[str, ...]:
        return tuple(frame.dose for frame in self.films[0].frames)


def axis_name(kind: object) -> str:
    """The name of a dose axis, with its unit."""
    names = {
        "linf": "Largest change at any pixel, gray levels of 255",
        "l2": "Euclidean length of the change, pixels in [0, 1]",
        "rotation": "Largest rotation, degrees",
    }
    return names.get(str(kind), "Dose")


def reel(task: Task, examples: int) -> Reel | None:
    """A task's slider: its best sweep and up to `examples` examples, the classes in turn; None without pictures."""
    for kind in PREFERRED:
        for name, conditions in task.sweeps.items():
            kept = tuple(c for c in conditions if usable(c) and task.pictures(c).ids)
            if kept and kept[0].kind == kind and len(kept) > 1:
                films = _films(task, kept, examples)
                if films:
                    return Reel(task, name, kept[0].label, axis_name(kept[0].budget.get("kind")), films)
    return None


def _films(task: Task, conditions: tuple[Condition, ...], examples: int) -> tuple[Film, ...]:
    album = Album(task)
    negative, positive = album.examples(0), album.examples(1)
    # Both classes in turn, so that a single example is a negative one, as in Figure 1.
    queue = [e for pair in zip(negative, positive, strict=False) for e in pair]
    queue += negative[len(positive) :] + positive[len(negative) :]
    films = (_film(album, conditions, example) for example in queue)
    return tuple(film for film in films if film is not None)[:examples]


def _film(album: Album, conditions: tuple[Condition, ...], example: str) -> Film | None:
    clean = album.clean_shot(example)
    shots = [album.shot(c, example) for c in conditions]
    if clean is None or any(shot is None for shot in shots):
        return None
    present = [shot for shot in shots if shot is not None]
    # One factor for all doses: the change must be seen to grow.
    factor = factor_for(max(float(np.abs(s.image - clean.image).max()) for s in present))
    budget = conditions[0].budget
    frames = [Frame("0", "untouched", clean, change(clean, clean, factor))]
    for condition, shot in zip(conditions, present, strict=True):
        frames.append(
            Frame(short_dose(budget, condition.size), dose(budget, condition.size), shot, change(clean, shot, factor))
        )
    return Film(example, clean.truth, tuple(frames), factor)
