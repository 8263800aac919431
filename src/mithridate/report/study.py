"""A run as the report looks at it: each task with its conditions by role, and the pictures that were kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from zipfile import BadZipFile

from mithridate.audit.folder import Pictures, RunFolder
from mithridate.audit.results import Condition, Kind, Results, TaskResult
from mithridate.errors import UserError

MODALITIES = {
    "fundus": ("fundus", "retin", "ophthal"),
    "chest": ("chest", "thora", "lung"),
    "skin": ("skin", "dermo", "melan"),
}
"""Words by which a task is recognized as one of the three of Finlayson et al."""

ORDER: tuple[Kind, ...] = ("clean", "noise", "rotation", "black-box", "other", "white-box")
"""The order of conditions in every table and figure: from the harmless to the strongest attacker."""


def usable(condition: Condition) -> bool:
    """False for a condition that its own measurements void: the attack left its budget, or nothing was measured."""
    return condition.violation == 0 and condition.accuracy.value is not None


@dataclass(frozen=True)
class Task:
    """One task of the run; `index` from 0 makes ids in the page independent of what a task is called."""

    index: int
    result: TaskResult
    load: Callable[[str], Pictures]

    @property
    def name(self) -> str:
        return self.result.task

    @property
    def title(self) -> str:
        """ "Fundus photograph: referable diabetic retinopathy"."""
        modality = self.result.modality or self.result.task
        modality = modality[:1].upper() + modality[1:]
        return f"{modality}: {self.result.positive}" if self.result.positive else modality

    @cached_property
    def clean(self) -> Condition | None:
        return next((c for c in self.result.conditions if c.kind == "clean"), None)

    @cached_property
    def main(self) -> tuple[Condition, ...]:
        """The study's own conditions, the clean one first."""
        kept = [c for c in self.result.conditions if c.main or c.kind == "clean"]
        return tuple(sorted(kept, key=lambda c: ORDER.index(c.kind)))

    def strongest(self, *kinds: Kind) -> Condition | None:
        """Of the usable main conditions of these kinds, the one that leaves the least accuracy; the first of equals."""
        found = [c for c in self.main if c.kind in kinds and usable(c)]
        return min(found, key=lambda c: c.accuracy.value if c.accuracy.value is not None else 1.0, default=None)

    @cached_property
    def sweeps(self) -> dict[str, tuple[Condition, ...]]:
        """Sweep name to its conditions by dose, without the clean one; sweeps of a single dose are none."""
        found: dict[str, list[Condition]] = {}
        for condition in self.result.conditions:
            if condition.sweep is not None and condition.kind != "clean":
                found.setdefault(condition.sweep, []).append(condition)
        return {name: tuple(sorted(c, key=lambda c: c.size)) for name, c in found.items() if len(c) > 1}

    @cached_property
    def published(self) -> str | None:
        """The task of Finlayson et al. that this one resembles: "fundus", "chest", "skin", or None."""
        text = f"{self.result.task} {self.result.modality}".casefold()
        return next((key for key, words in MODALITIES.items() if any(word in text for word in words)), None)

    def pictures(self, condition: Condition) -> Pictures:
        return self.load(condition.cell)

    def answer(self, probability: float) -> str:
        """The class that a probability of the positive class decides for, at 0.5 as the audit does."""
        return self.result.positive if probability > 0.5 else self.result.negative

    def truth(self, label: int) -> str:
        return self.result.positive if label == 1 else self.result.negative


@dataclass(frozen=True)
class Study:
    """A whole run, read once."""

    path: Path
    results: Results
    tasks: tuple[Task, ...]

    @property
    def attacked(self) -> tuple[Task, ...]:
        return tuple(task for task in self.tasks if task.result.refused is None)


def read_study(run: Path) -> Study:
    """Read a run folder.  Raises UserError when it is none."""
    folder = RunFolder(run)
    results = folder.results()
    known: dict[str, Pictures] = {}

    def load(cell: str) -> Pictures:
        if cell not in known:
            try:
                known[cell] = folder.pictures(cell)
            except (ValueError, KeyError, OSError, BadZipFile):
                where = run / "pictures" / cell
                raise UserError(
                    f"{where} cannot be read: restore it, or run the audit again into a new folder"
                ) from None
        return known[cell]

    return Study(run, results, tuple(Task(i, task, load) for i, task in enumerate(results.tasks)))
