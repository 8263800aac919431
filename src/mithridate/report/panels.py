"""What the picture figures show: which example, under which condition, and what the model answered.

Examples are chosen by a rule that is printed under the figure, never by eye.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mithridate.audit.folder import Pictures
from mithridate.audit.results import Condition, Kind
from mithridate.report.pictures import Array, amplified, factor_for
from mithridate.report.study import Task, usable
from mithridate.report.words import dose, gray_levels, percent

RULE = (
    "Examples are not picked by eye: each is the first kept example of its class, by id, that the model had right and "
    "the white-box attack (or, without one, the strongest) made wrong; where there is none, the first that the model "
    "had right."
)


@dataclass(frozen=True)
class Shot:
    """One picture and what the model said of it.  `probability` is that of the positive class."""

    task: Task
    role: str
    example: str
    label: int
    image: Array
    probability: float
    condition: Condition | None

    @property
    def answer(self) -> str:
        return self.task.answer(self.probability)

    @property
    def confidence(self) -> str:
        """The probability of the answer given, as text."""
        return percent(max(self.probability, 1 - self.probability))

    @property
    def right(self) -> bool:
        return (self.probability > 0.5) == (self.label == 1)

    @property
    def truth(self) -> str:
        return self.task.truth(self.label)

    @property
    def alt(self) -> str:
        """What the picture shows, with the finding."""
        verdict = "right" if self.right else "wrong"
        return (
            f"{self.task.name}, example {self.example}, {self.role.lower()}: the model answers {self.answer} with "
            f"probability {self.confidence}; the truth is {self.truth}, so the answer is {verdict}."
        )


@dataclass(frozen=True)
class Change:
    """The amplified difference between two shots of one example."""

    image: Array
    factor: int
    alt: str


@dataclass(frozen=True)
class Triptych:
    """Figure 1: an image, the change made visible, and the changed image."""

    clean: Shot
    change: Change
    attacked: Shot
    condition: Condition


@dataclass(frozen=True)
class Strip:
    """One example under several conditions, the untouched image first; a condition that kept no picture is None."""

    example: str
    truth: str
    label: int
    shots: tuple[Shot | None, ...]


@dataclass(frozen=True)
class Gallery:
    """The strips of one task; `roles` names the columns."""

    task: Task
    roles: tuple[str, ...]
    strips: tuple[Strip, ...]


ROLES: dict[Kind, str] = {
    "clean": "Untouched",
    "noise": "Random noise",
    "rotation": "Rotation",
    "black-box": "Black box",
    "white-box": "White box",
    "other": "Other attack",
}


FIGURE_2: tuple[Kind, ...] = ("clean", "white-box", "black-box", "other")
"""The columns of Figure 2."""


@dataclass(frozen=True)
class Album:
    """The kept pictures of one task, found by example."""

    task: Task

    @cached_property
    def lead(self) -> Condition | None:
        """The condition that decides which examples are shown."""
        order: tuple[Kind, ...] = ("white-box", "black-box", "other", "rotation", "noise", "clean")
        for kind in order:
            kept = [c for c in self.task.main if c.kind == kind and usable(c) and self.task.pictures(c).ids]
            if kept:
                return min(kept, key=lambda c: c.accuracy.value or 0.0)
        return None

    def examples(self, label: int) -> list[str]:
        """Ids of one class, the most telling first: fooled, then right when untouched, then the rest; each by id."""
        if self.lead is None:
            return []
        kept = self.task.pictures(self.lead)
        before = (kept.clean_probability > 0.5) == (kept.labels == 1)
        after = (kept.probability > 0.5) == (kept.labels == 1)
        rank = np.where(before & ~after, 0, np.where(before, 1, 2))
        rows = [row for row in np.lexsort((np.arange(len(rank)), rank)) if kept.labels[row] == label]
        return [kept.ids[row] for row in rows]

    def fooled(self, example: str) -> bool:
        """Whether the leading attack turned a right answer into a wrong one."""
        shots = (self.clean_shot(example), self.shot(self.lead, example) if self.lead else None)
        return shots[0] is not None and shots[1] is not None and shots[0].right and not shots[1].right

    def shot(self, condition: Condition, example: str, role: str | None = None) -> Shot | None:
        """The example under a condition, or None when no picture was kept."""
        kept = self.task.pictures(condition)
        if example not in kept.ids:
            return None
        row = kept.ids.index(example)
        name = role or ROLES[condition.kind]
        return _shot(self.task, name, kept, row, kept.candidate, float(kept.probability[row]), condition)

    def clean_shot(self, example: str) -> Shot | None:
        """The example untouched, as any condition kept it."""
        for condition in ((self.lead,) if self.lead else ()) + self.task.main:
            kept = self.task.pictures(condition)
            if example in kept.ids:
                row = kept.ids.index(example)
                probability = float(kept.clean_probability[row])
                return _shot(self.task, ROLES["clean"], kept, row, kept.clean, probability, self.task.clean)
        return None


def _shot(
    task: Task, role: str, kept: Pictures, row: int, images: Array, probability: float, condition: Condition | None
) -> Shot:
    return Shot(task, role, kept.ids[row], int(kept.labels[row]), images[row], probability, condition)


def change(clean: Shot, attacked: Shot, factor: int | None = None) -> Change:
    """The amplified change between two shots; the factor by default is the greatest that cuts nothing off."""
    largest = float(np.abs(attacked.image - clean.image).max())
    chosen = factor_for(largest) if factor is None else factor
    if largest == 0:
        alt = "No change: plain gray."
    else:
        alt = (
            f"The change that {attacked.role.lower()} makes to example {clean.example}, amplified {chosen} times "
            f"around gray: at most {gray_levels(largest)} of 255 gray levels at any pixel."
        )
    return Change(amplified(clean.image, attacked.image, chosen), chosen, alt)


def triptych(tasks: tuple[Task, ...]) -> Triptych | None:
    """Figure 1: skin first, as in the paper, then the other tasks in order; a fooled example of the negative class."""
    ordered = sorted(tasks, key=lambda task: (task.published != "skin", task.index))
    albums = [album for album in map(Album, ordered) if album.lead and album.lead.kind not in ("clean", "rotation")]
    found = [(album, example) for album in albums for label in (0, 1) for example in album.examples(label)]
    if not found:
        return None
    album, example = next((pair for pair in found if pair[0].fooled(pair[1])), found[0])
    clean = album.clean_shot(example)
    attacked = album.shot(album.lead, example) if album.lead else None
    if clean is None or attacked is None or album.lead is None:
        return None
    return Triptych(clean, change(clean, attacked), attacked, album.lead)


def gallery(task: Task, kinds: tuple[Kind, ...], per_class: int, both: bool = True) -> Gallery | None:
    """Examples of a task under the strongest condition of each kind; None when the run kept no pictures.

    Without `both`, one class only: the positive one if it has examples.
    """
    album = Album(task)
    shown = {kind: task.strongest(kind) for kind in kinds}
    conditions = [c for kind, c in shown.items() if kind == "clean" or c is not None]
    roles = tuple(ROLES[kind] for kind, c in shown.items() if kind == "clean" or c is not None)
    labels = [label for label in (0, 1) if album.examples(label)]
    strips = []
    for label in labels if both else labels[-1:]:
        for example in album.examples(label)[:per_class]:
            shots = tuple(
                album.clean_shot(example) if c is None or c.kind == "clean" else album.shot(c, example)
                for c in conditions
            )
            strips.append(Strip(example, task.truth(label), label, shots))
    return Gallery(task, roles, tuple(strips)) if strips else None


def describe(condition: Condition) -> str:
    """ "White box, PGD: at most 2.55 of 255 gray levels at any pixel"."""
    return f"{condition.label}: {dose(condition.budget, condition.size)}"
