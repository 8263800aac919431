"""Probes as jobs: run where the shards run, kept as files, taken up again where a run was stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from mithridate import __version__
from mithridate.audit.attacking import surrogate_of
from mithridate.audit.cells import Cell
from mithridate.audit.checks.evidence import CellEvidence, ModelProbe, SurvivorProbe
from mithridate.audit.folder import RunFolder, read_json, write_json
from mithridate.audit.jobs import Job, cell_name, fingerprint
from mithridate.audit.plan import ChecksPlan
from mithridate.audit.probes import probe_model
from mithridate.audit.seeing import Through
from mithridate.audit.subject import Subject
from mithridate.audit.survivors import probe_survivors, survivors_of
from mithridate.budget import L2, Linf
from mithridate.models.torch_module import TorchModel


@dataclass(frozen=True)
class ProbeJob:
    """All probes of one task.  `base` is any shard job of the task: it says how the task is loaded."""

    base: Job
    cells: tuple[Cell, ...]
    checks: ChecksPlan

    @property
    def cost(self) -> int:
        """Model evaluations at most, roughly: without survivors most of them are not needed."""
        white = any(cell.kind == "white-box" for cell in self.cells)
        return 40 * self.checks.examples + white * (self.checks.draws + self.checks.queries)


def make_probes(job: ProbeJob) -> tuple[int, bool]:
    """Probe one task unless its file exists.  Returns (its cost, whether it was made now)."""
    target = probe_file(job, job.base.subject())
    if target.exists():
        return job.cost, False
    subject = job.base.subject()
    folder, seed = RunFolder(job.base.run), job.base.seed
    cells = evidence_of(folder, subject, job.cells)
    per_class = max(1, job.checks.examples // 2)
    shown = subject.chosen(sorted(subject.pictured(per_class, seed)))
    white = [cell for cell in cells if cell.kind == "white-box" and cell.main]
    strongest = max(white, key=lambda cell: cell.rate, default=None)
    pictures = folder.pictures(strongest.key) if strongest is not None else None
    probe = probe_model(subject.opened, shown, pictures, seed)
    survivors = [_survivors(job, subject, cells, cell) for cell in _strongest_of_each_budget(white)]
    write_json(target, {"model": asdict(probe), "survivors": [asdict(s) for s in survivors]})
    return job.cost, True


def read_probes(job: ProbeJob, subject: Subject) -> tuple[ModelProbe, tuple[SurvivorProbe, ...]]:
    """What `make_probes` wrote."""
    found: dict[str, Any] = read_json(probe_file(job, subject))
    model: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in found["model"].items()}
    model["stored"] = {bits: (kept, of) for bits, (kept, of) in model["stored"].items()}
    return ModelProbe(**model), tuple(SurvivorProbe(**survivor) for survivor in found["survivors"])


def probe_file(job: ProbeJob, subject: Subject) -> Path:
    """Named by everything that determines the probes."""
    folder = RunFolder(job.base.run)
    name = fingerprint(
        {
            "mithridate": __version__,
            "torch": torch.__version__,
            "victim": subject.card.sha256,
            "data": subject.catalog.fingerprint,
            "examples": subject.ids,
            "cells": [[c.key, c.parameters, c.budget.describe()] for c in job.cells],
            "checks": job.checks.model_dump(),
            "seed": job.base.seed,
            "kernel_batch": job.base.kernel_batch,
            "precision": job.base.precision,
            "pictures": job.base.pictures,
            # A run that stopped and goes on has more findings, and other survivors.
            "shards": [sorted(f.name for f in folder.shards(cell_name(subject, c))) for c in job.cells],
        }
    )
    return job.base.run / "probes" / subject.name / f"{name}.json"


def evidence_of(folder: RunFolder, subject: Subject, cells: Sequence[Cell]) -> tuple[CellEvidence, ...]:
    """The findings of those cells that have any."""
    return tuple(
        CellEvidence(
            key=cell_name(subject, cell),
            kind=cell.kind,
            attack=str(cell.parameters.get("attack", "none")),
            parameters=cell.parameters,
            budget=cell.budget.describe(),
            size=cell.budget.size,
            main=cell.main,
            sweep=cell.sweep,
            findings=folder.findings(cell_name(subject, cell)),
        )
        for cell in cells
        if folder.measured(cell_name(subject, cell))
    )


def _strongest_of_each_budget(white: Sequence[CellEvidence]) -> list[CellEvidence]:
    best: dict[str, CellEvidence] = {}
    for cell in white:
        key = str(sorted(cell.budget.items()))
        if key not in best or cell.rate > best[key].rate:
            best[key] = cell
    return list(best.values())


def _survivors(
    job: ProbeJob, subject: Subject, cells: Sequence[CellEvidence], strongest: CellEvidence
) -> SurvivorProbe:
    cell = next(c for c in job.cells if cell_name(subject, c) == strongest.key)
    group = [c for c in cells if c.kind == "white-box" and c.main and c.budget == strongest.budget]
    right = strongest.right
    fooled = frozenset().union(*(c.fooled() for c in group))
    chosen = survivors_of(right, fooled, job.checks.examples, job.base.seed)
    examples = subject.chosen(chosen)
    model = subject.opened.small(max(1, len(chosen)))
    assert cell.attack is not None
    assert isinstance(cell.budget, Linf | L2)
    assert isinstance(model, TorchModel)  # a white box
    return probe_survivors(
        cell=strongest.key,
        attack=cell.attack,
        see=lambda attack: Through(attack, cell.gradient, surrogate_of(subject)),
        budget=cell.budget,
        model=model,
        judge=subject.model,
        examples=examples,
        right=len(right),
        survivors=len(right - fooled),
        draws=job.checks.draws,
        queries=job.checks.queries,
        seed=job.base.seed,
    )
