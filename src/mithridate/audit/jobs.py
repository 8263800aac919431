"""What a worker needs to know, as plain data that travels to any process."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mithridate.audit.cells import Cell
from mithridate.audit.plan import Plan, TaskPlan
from mithridate.audit.subject import Subject, load_subject
from mithridate.imaging.engine.fast import Precision


@dataclass(frozen=True)
class Job:
    """One shard: examples [first, last) of one cell."""

    run: Path
    task: TaskPlan
    cell: Cell
    first: int
    last: int
    seed: int
    kernel_batch: int
    pictures: int
    cache: Path | None
    allow_code: bool = False
    precision: Precision = "float32"

    def subject(self) -> Subject:
        return load_subject(
            self.task, self.kernel_batch, self.seed, self.cache, self.allow_code, self.run / "answers.sqlite"
        )

    @property
    def cost(self) -> int:
        return self.cell.cost * (self.last - self.first)


def jobs_of(
    plan: Plan,
    task: TaskPlan,
    cell: Cell,
    examples: int,
    run: Path,
    cache: Path | None,
    allow_code: bool = False,
) -> list[Job]:
    """The shards of one cell."""
    size = plan.execution.shard
    return [
        Job(
            run=run,
            task=task,
            cell=cell,
            first=first,
            last=min(first + size, examples),
            seed=plan.seed,
            kernel_batch=plan.execution.kernel_batch,
            pictures=plan.pictures,
            cache=cache,
            allow_code=allow_code,
            precision=plan.execution.precision,
        )
        for first in range(0, examples, size)
    ]


def cell_name(subject: Subject, cell: Cell) -> str:
    """Task and cell: unique in a run, and the folder of its findings."""
    return f"{subject.name}/{cell.key}"


def fingerprint(value: Any) -> str:
    """First 32 hexadecimal digits of the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:32]
