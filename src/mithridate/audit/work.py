"""One task of a run, from its cells to its result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from mithridate.audit.attack_plans import GradientAttack, TrainedAttack
from mithridate.audit.cells import CLEAN, Cell
from mithridate.audit.checks import run_checks
from mithridate.audit.checks.conclusion import conclude
from mithridate.audit.checks.evidence import Evidence
from mithridate.audit.folder import RunFolder
from mithridate.audit.jobs import Job, cell_name, jobs_of
from mithridate.audit.plan import Plan, TaskPlan
from mithridate.audit.probing import ProbeJob, evidence_of, probe_file, read_probes
from mithridate.audit.results import Check, TaskResult
from mithridate.audit.subject import Subject
from mithridate.audit.summary import refusal, task_result, threshold_of
from mithridate.audit.training import TrainingJob
from mithridate.errors import UserError
from mithridate.models.acceptance import Reproduced, read_predictions, reproduce
from mithridate.models.heads import MULTILABEL


def refuse_impossible(plan: Plan, task: TaskPlan, subject: Subject, mine: Sequence[Cell]) -> None:
    """Raises UserError when an attack asks for what the task does not have: the model's gradients, a surrogate, or
    other images to train on."""
    white = next((cell for cell in mine if cell.kind == "white-box" or cell.needs_gradients), None)
    if white is not None and not subject.opened.white_box:
        raise UserError(
            f"task {subject.name}: {white.label} needs the gradients of {subject.card.name}, a "
            f"{subject.opened.reason}; take white-box out of that attack's 'knowledge'; surrogates, square, noise and "
            "rotation work"
        )
    for number, attack in enumerate(plan.attacks, 1):
        if not isinstance(attack, GradientAttack | TrainedAttack) or subject.surrogates:
            continue
        if set(attack.knowledge) == {"black-box"} or attack.gradient.backward == "surrogate":
            raise UserError(
                f"task {subject.name}: attack {number} ({attack.attack}) is computed on a surrogate and the task names "
                "none: give the task 'surrogates'"
            )
    for cell in mine:
        if cell.training is not None and task.part in ("all", cell.training.train_on):
            raise UserError(
                f"task {subject.name}: {cell.label} is trained on part '{cell.training.train_on}', and part "
                f"'{task.part}' is attacked: it must not be trained on the images that it is tried on; give the task "
                "another 'part' or the attack another 'train_on'"
            )


@dataclass(frozen=True)
class Work:
    """What is to be done about one task; `refused` and `reproduced` are known after `accept`."""

    plan: Plan
    task: TaskPlan
    subject: Subject
    cells: list[Cell]
    out: Path
    cache: Path | None
    allow_code: bool
    refused: str | None = None
    reproduced: Reproduced | None = None

    @property
    def attacks(self) -> list[Cell]:
        """The cells after the clean one; none for a model that is not worth attacking."""
        return [] if self.refused else self.cells[1:]

    def jobs(self, cell: Cell) -> list[Job]:
        return jobs_of(self.plan, self.task, cell, len(self.subject.order), self.out, self.cache, self.allow_code)

    def training(self) -> list[TrainingJob]:
        """What attacks must learn before any image is attacked."""
        return [TrainingJob(self.jobs(cell)[0]) for cell in self.attacks if cell.training is not None]

    def probes(self) -> ProbeJob:
        return ProbeJob(self.jobs(CLEAN)[0], tuple(self.cells), self.plan.checks)

    def accept(self) -> Work:
        """Look at the clean findings: is this the caller's model, and is it worth attacking?

        Raises UserError when the caller's own answers are not reproduced.
        """
        clean = RunFolder(self.out).findings(cell_name(self.subject, CLEAN))
        reproduced = None
        if not isinstance(self.task.victim, str) and self.task.victim.predictions is not None:
            victim = self.task.victim
            source = Path(self.task.victim.predictions)
            names = victim.classes or ("negative", "positive")
            positive = victim.positive_names() or ("positive",)
            answers = read_predictions(source, names, positive, multilabel=victim.head in MULTILABEL)
            ours = dict(zip(clean["example"].astype(str), clean["clean_probability"].astype(float), strict=True))

            def load(ids: list[str]) -> Tensor:
                return self.subject.chosen(ids).inputs

            reproduced = reproduce(self.subject.opened, ours, answers, victim.tolerance, str(source), load)
        return replace(self, refused=refusal(clean), reproduced=reproduced)

    def result(self, canaries: int, stopped: str | None) -> TaskResult:
        """What was found, what the checks say of it, and what follows."""
        folder = RunFolder(self.out)
        found = task_result(
            folder,
            self.subject,
            [CLEAN, *self.attacks],
            self.refused,
            part=self.task.part,
            threshold=threshold_of(self.subject, self.task.threshold),
        )
        checks: tuple[Check, ...] = ()
        if not self.refused and probe_file(self.probes(), self.subject).is_file():
            model, survivors = read_probes(self.probes(), self.subject)
            checks = run_checks(
                Evidence(
                    cells=evidence_of(folder, self.subject, self.cells),
                    model=model,
                    survivors=survivors,
                    reproduced=self.reproduced,
                    confirmed="card" if isinstance(self.task.victim, str) else "nobody",
                    robust_accuracy=None if found.robust_accuracy is None else found.robust_accuracy.value,
                    canaries=canaries,
                )
            )
        conclusion = conclude(found.conditions, checks, self.refused, stopped)
        return found.model_copy(update={"checks": checks, "conclusion": conclusion})
