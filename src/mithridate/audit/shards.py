"""One shard: a few examples of one cell, attacked and judged, written as one file or not at all."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from mithridate import __version__
from mithridate.attack import Examples
from mithridate.audit.cells import Cell
from mithridate.audit.findings import judge
from mithridate.audit.plan import Plan, TaskPlan
from mithridate.audit.subject import Subject, load_subject
from mithridate.errors import MithridateError
from mithridate.files import replace_file
from mithridate.models.state import stamp
from mithridate.models.torch_module import TorchModel
from mithridate.models.views import FunctionModel
from mithridate.oracle import Gradients, Scores
from mithridate.seeds import ExampleRandom


@dataclass(frozen=True)
class Job:
    """What a worker needs to make one shard; plain data, so that it travels to any process."""

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
        )
        for first in range(0, examples, size)
    ]


def cell_name(subject: Subject, cell: Cell) -> str:
    """Task and cell: unique in a run, and the folder of its findings."""
    return f"{subject.name}/{cell.key}"


def shard_name(job: Job, subject: Subject) -> str:
    """Hash of everything that determines the shard's numbers."""
    surrogate = None if job.cell.surrogate is None else subject.surrogates[job.cell.surrogate][1].sha256
    return fingerprint(
        {
            "mithridate": __version__,
            "torch": torch.__version__,
            "victim": subject.card.sha256,
            "surrogate": surrogate,
            "data": subject.catalog.fingerprint,
            "examples": subject.ids[job.first : job.last],
            "cell": job.cell.key,
            "parameters": job.cell.parameters,
            "budget": job.cell.budget.describe(),
            "seed": job.seed,
            "kernel_batch": job.kernel_batch,
            "pictures": job.pictures,
        }
    )


def fingerprint(value: Any) -> str:
    """First 32 hexadecimal digits of the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:32]


def make_shard(job: Job) -> tuple[int, bool]:
    """Make the shard unless its file exists.  Returns (its cost, whether it was made now)."""
    subject = job.subject()
    cell, name = cell_name(subject, job.cell), shard_name(job, subject)
    target = job.run / "findings" / cell / f"{name}.parquet"
    if target.exists():
        return job.cost, False
    examples, groups = subject.examples(job.first, job.last)
    started = time.perf_counter()
    model = subject.model if job.cell.surrogate is None else subject.surrogates[job.cell.surrogate][0]
    oracle = oracle_of(model, len(examples))
    candidates, module = examples.inputs, subject.opened.module
    before = None if module is None else stamp(module)
    if job.cell.attack is not None:
        # The same attack with the same randomness for every attacker: a black box differs by its model alone.
        rng = ExampleRandom(job.seed, f"{subject.name}/{job.cell.parameters.get('attack')}", examples.ids)
        candidates = job.cell.attack.run(oracle, examples, job.cell.budget, rng)
    findings = judge(
        cell=cell,
        model=subject.model,
        examples=examples,
        groups=groups,
        candidates=candidates,
        budget=job.cell.budget,
        oracle=oracle,
        seconds=time.perf_counter() - started,
    )
    if module is not None and stamp(module) != before:
        raise MithridateError(f"{cell}: the model under audit was changed while it was attacked; nothing of it is kept")
    keep = subject.pictured(job.pictures, job.seed)
    # Pictures first: a shard counts as done once its findings stand.
    _write_pictures(job.run / "pictures" / cell / f"{name}.npz", examples, candidates, findings, keep)
    replace_file(target, lambda path: pq.write_table(findings, path))
    return job.cost, True


def oracle_of(model: TorchModel | FunctionModel, examples: int) -> Scores:
    """The most that the model lets an attacker ask: gradients, or scores where it has none."""
    return Gradients(model, examples) if isinstance(model, TorchModel) else Scores(model, examples)


def _write_pictures(
    path: Path, examples: Examples, candidates: torch.Tensor, findings: pa.Table, keep: frozenset[str]
) -> None:
    rows = [row for row, example in enumerate(examples.ids) if example in keep]
    if not rows:
        return
    table = findings.to_pandas().iloc[rows]
    arrays = {
        "ids": np.array([examples.ids[row] for row in rows]),
        "labels": examples.labels[rows].numpy(),
        "clean": examples.inputs[rows].numpy(),
        "candidate": candidates[rows].numpy(),
        "clean_probability": table["clean_probability"].to_numpy(),
        "probability": table["probability"].to_numpy(),
    }

    def write(partial: Path) -> None:
        with partial.open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, **arrays)

    replace_file(path, write)
