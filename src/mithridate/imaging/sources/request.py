"""What a user asks of a source, whichever it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mithridate.errors import UserError
from mithridate.imaging.labels import LabelRule
from mithridate.imaging.tasks import TASKS, Fractions, Task

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Request:
    """A catalog to be built.

    root              folder of the images (or the .npz file); None for a source that works from metadata alone
    metadata          label tables; empty for the file that the source expects inside `root`
    task              the task in words; None for the source's own
    positive          label rule; None for the task's own
    positive_words    what positive means, for reports; None for the task's words or the rule itself
    fractions         shares of the parts; None for the task's own, or the parts that the source itself states
    seed              seed of the split (and of a cohort of phantoms)
    image_column, label_column, group_column    names of columns, where a source cannot know them
    missing           "refuse" a table that names missing images, or "drop" those rows and say how many
    frame             which frame of a multi-frame DICOM file to use
    images            number of phantoms
    prevalence        share of positives among phantoms
    progress          called with (what, done, total) during long work
    """

    root: Path | None = None
    metadata: tuple[Path, ...] = ()
    task: Task | None = None
    positive: LabelRule | None = None
    positive_words: str | None = None
    fractions: Fractions | None = None
    seed: int = 0
    image_column: str | None = None
    label_column: str | None = None
    group_column: str | None = None
    missing: Literal["refuse", "drop"] = "refuse"
    frame: int = 0
    images: int = 1000
    prevalence: float = 0.5
    progress: Progress | None = None

    def task_for(self, default: str) -> Task:
        """The task with the positives that were asked for; `default` names the source's own task."""
        task = self.task or TASKS[default]
        if self.positive is None and self.positive_words is None:
            return task
        return task.with_positive(self.positive or task.rule, self.positive_words)

    def folder(self, source: str) -> Path:
        """The image folder.  Raises UserError when none was given or it does not exist."""
        if self.root is None:
            raise UserError(f"the source {source} needs the folder of its images: give its path after the source")
        if not self.root.is_dir():
            raise UserError(f"there is no folder {self.root}: check the path of the images")
        return self.root

    def table_paths(self, source: str, *names: str) -> tuple[Path, ...]:
        """The label tables given, or those of `names` found directly in the folder, or its only CSV file."""
        if self.metadata:
            return self.metadata
        folder = self.folder(source)
        if found := tuple(folder / name for name in names if (folder / name).is_file()):
            return found
        tables = sorted(path for pattern in ("*.csv", "*.csv.gz") for path in folder.glob(pattern))
        if len(tables) == 1:
            return tuple(tables)
        state = f"{len(tables)} CSV files" if tables else "no CSV file"
        raise UserError(f"{folder} holds {state}: name the label table of {source} with --metadata FILE")
