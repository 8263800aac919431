"""Attacks that are trained before they attack: a job a cell, its result kept in the run folder.

trained/<task>/<hash>.npz   what was learned, named by everything that determines it
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mithridate import __version__
from mithridate.attack import Attack, Examples
from mithridate.audit.cells import Cell
from mithridate.audit.jobs import Job, fingerprint
from mithridate.audit.seeing import through
from mithridate.audit.subject import Subject, load_subject
from mithridate.audit.trained_attacks import PatchPlan, UniversalPlan
from mithridate.budget import L2, Linf
from mithridate.files import replace_file
from mithridate.imaging.attacks import AdversarialPatch, PerTarget, UniversalPerturbation
from mithridate.imaging.attacks.patch import natural_patch
from mithridate.imaging.budgets import Patch
from mithridate.imaging.engine.oracles import SomeRows
from mithridate.models.torch_module import TorchModel
from mithridate.oracle import Gradients
from mithridate.seeds import ExampleRandom

CLASSES = 2
"""An audit asks a two-class question."""


@dataclass(frozen=True)
class TrainingJob:
    """The training of one cell's attack.  `base` is any shard job of the cell."""

    base: Job

    @property
    def cost(self) -> int:
        return self.base.cell.training_cost


def make_training(job: TrainingJob) -> tuple[int, bool]:
    """Train unless the file exists.  Returns (its cost, whether it was made now)."""
    target = _file(job.base, job.base.subject())
    if target.exists():
        return job.cost, False
    learned = _train(job.base)

    def write(partial: Path) -> None:
        with partial.open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, **learned)

    replace_file(target, write)
    return job.cost, True


def trained(job: Job, subject: Subject) -> Attack:
    """The attack of the job's cell, as it was trained; it is trained now if it has not been."""
    make_training(TrainingJob(job))
    with np.load(_file(job, subject), allow_pickle=False) as held:
        learned = {name: torch.from_numpy(held[name]) for name in held.files}
    plan, classes = job.cell.training, [learned[f"class{k}"] for k in range(CLASSES)]
    if isinstance(plan, PatchPlan):
        return PerTarget(tuple(AdversarialPatch(patch, plan.turn) for patch in classes))
    return PerTarget(tuple(UniversalPerturbation(perturbation) for perturbation in classes))


def training_subject(job: Job) -> Subject:
    """The task with the images that the attack is trained on in place of those that are attacked."""
    assert job.cell.training is not None
    plan = job.cell.training
    task = job.task.model_copy(update={"part": plan.train_on, "limit": plan.train_images})
    return load_subject(task, job.kernel_batch, job.seed, job.cache, job.allow_code, job.run / "answers.sqlite")


def _train(job: Job) -> dict[str, NDArray[np.float32]]:
    teacher, cell = training_subject(job), job.cell
    examples, _ = teacher.examples(0, len(teacher.order))
    model = teacher.model if cell.surrogate is None else teacher.surrogates[cell.surrogate][0]
    assert isinstance(model, TorchModel)  # a plan that asks a black box for gradients is refused
    rng = ExampleRandom(job.seed, f"{teacher.name}/training", examples.ids)
    oracle = through(cell.gradient, Gradients(model, len(examples)), rng, None)
    return {f"class{k}": _learn(cell, k, oracle, examples, job.seed).numpy() for k in range(CLASSES)}


def _learn(cell: Cell, target: int, oracle: Any, examples: Examples, seed: int) -> Tensor:
    """The perturbation or the patch, C x H x W, that makes images of other classes look like the target class."""
    plan, budget = cell.training, cell.budget
    if isinstance(plan, PatchPlan):
        assert isinstance(budget, Patch)
        if plan.natural:
            return natural_patch(examples, target, budget, plan.turn).patch
        return replace(plan.build(budget), target=target, seed=seed).train(oracle, examples, budget).patch
    assert isinstance(plan, UniversalPlan)
    assert isinstance(budget, Linf | L2)
    rows = (examples.labels != target).nonzero()[:, 0]
    aimed = Examples(
        examples.inputs[rows],
        examples.labels[rows],
        tuple(examples.ids[int(row)] for row in rows),
        torch.full((len(rows),), target),
    )
    return (
        replace(plan.build(budget), targeted=True, seed=seed).train(SomeRows(oracle, rows), aimed, budget).perturbation
    )


def _file(job: Job, subject: Subject) -> Path:
    teacher = training_subject(job)
    card = teacher.card if job.cell.surrogate is None else teacher.surrogates[job.cell.surrogate][1]
    name = fingerprint(
        {
            "mithridate": __version__,
            "torch": torch.__version__,
            "model": card.sha256,
            "data": teacher.catalog.fingerprint,
            "examples": teacher.ids,
            "parameters": job.cell.parameters,
            "budget": job.cell.budget.describe(),
            "seed": job.seed,
            "kernel_batch": job.kernel_batch,
        }
    )
    return job.run / "trained" / subject.name / f"{name}.npz"
