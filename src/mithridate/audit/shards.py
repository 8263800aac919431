"""One shard: a few examples of one cell, attacked and judged, written as one file or not at all."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from mithridate import __version__
from mithridate.attack import Examples
from mithridate.audit.attacking import attack_examples
from mithridate.audit.findings import judge
from mithridate.audit.jobs import Job, cell_name, fingerprint
from mithridate.audit.subject import Subject
from mithridate.audit.training import training_subject
from mithridate.errors import MithridateError
from mithridate.files import replace_file
from mithridate.models.state import stamp


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
            "precision": job.precision,
            "training": None if job.cell.training is None else training_subject(job).ids,
        }
    )


def make_shard(job: Job) -> tuple[int, bool]:
    """Make the shard unless its file exists.  Returns (its cost, whether it was made now)."""
    subject = job.subject()
    cell, name = cell_name(subject, job.cell), shard_name(job, subject)
    target = job.run / "findings" / cell / f"{name}.parquet"
    if target.exists():
        return job.cost, False
    examples, groups = subject.examples(job.first, job.last)
    started = time.perf_counter()
    module = subject.opened.module
    before = None if module is None else stamp(module)
    candidates, oracle = attack_examples(job, subject, examples)
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
