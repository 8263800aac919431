"""The audit plan: YAML in, a typed and frozen Plan out; every mistake is reported with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Discriminator, Field, Tag, field_validator

from mithridate.audit.attack_plans import (
    AttackPlan,
    FGSMPlan,
    NoisePlan,
    NormBudget,
    PGDPlan,
    RotationBudget,
    RotationPlan,
    Strict,
)
from mithridate.audit.plan_files import read_plan
from mithridate.budget import PAPER_EPSILON
from mithridate.imaging.engine.fast import Precision
from mithridate.models.description import PATHS, ModelPlan

__all__ = [
    "AttackPlan", "Authority", "ChecksPlan", "Execution", "FGSMPlan", "ModelReference", "NoisePlan", "NormBudget",
    "PGDPlan", "PhantomData", "Plan", "RotationBudget", "RotationPlan", "TaskPlan", "dump_plan", "load_plan",
]  # fmt: skip

ModelReference = Annotated[
    Annotated[str, Tag("folder")] | Annotated[ModelPlan, Tag("model")],
    Discriminator(lambda value: "folder" if isinstance(value, str) else "model"),
]
"""The folder of a model that was trained here, builtin:TASK/ROLE, or the description of any other model."""


class Authority(Strict):
    """Who owns the models and who allowed the test.  Without it nothing runs."""

    owner: str = Field(min_length=2)
    authorized_by: str = Field(min_length=2)
    statement: str = Field(min_length=10, description="what may be tested, in one sentence")


class PhantomData(Strict):
    """A cohort of procedural images instead of a catalog."""

    phantom: str
    patients: int = Field(200, ge=10, le=1_000_000)
    seed: int = 0


class TaskPlan(Strict):
    """One task: data, the model under audit, and the surrogates of a black-box attacker."""

    name: str | None = None
    data: str | PhantomData
    part: Literal["train", "validation", "test", "all"] = "test"
    limit: int | None = Field(None, ge=2, description="a stratified subset of so many images")
    victim: ModelReference
    surrogates: tuple[ModelReference, ...] = ()
    threshold: str | None = Field(None, description="name on the model's card, or a number; default: youden, else 0.5")


class Execution(Strict):
    """How the work is done; only `kernel_batch` and `precision` are part of the numbers."""

    executor: Literal["inline", "processes"] = "processes"
    workers: int | None = Field(None, ge=1, le=1024, description="default: the number of cores")
    shard: int = Field(32, ge=1, le=100_000, description="examples a shard: the unit of resume")
    kernel_batch: int = Field(16, ge=1, le=4096)
    precision: Precision = Field(
        "float32", description="bfloat16: attacks walk on a fast copy; the model itself confirms every success"
    )


class ChecksPlan(Strict):
    """How thoroughly the audit looks at itself; see docs/checks.md."""

    examples: int = Field(8, ge=2, le=1000, description="examples that the probes look at, in each model")
    draws: int = Field(10_000, ge=1, le=10_000_000, description="random draws, shared by the examples that held out")
    queries: int = Field(2000, ge=2, le=10_000_000, description="gradient-free queries, shared likewise")


class Plan(Strict):
    """A whole audit."""

    name: str = Field("audit", min_length=1)
    authority: Authority
    seed: int = 0
    tasks: tuple[TaskPlan, ...] = Field(min_length=1)
    attacks: tuple[AttackPlan, ...] = Field(min_length=1)
    pictures: int = Field(6, ge=0, le=200, description="examples a class and task kept for figures")
    execution: Execution = Execution()
    checks: ChecksPlan = ChecksPlan()

    @field_validator("attacks")
    @classmethod
    def _distinct(cls, attacks: tuple[AttackPlan, ...]) -> tuple[AttackPlan, ...]:
        seen: dict[str, int] = {}
        for number, attack in enumerate(attacks, 1):
            text = attack.model_dump_json(exclude={"doses", "label"})
            if text in seen:
                raise ValueError(f"attack {number} repeats attack {seen[text]}: use doses for more budget sizes")
            seen[text] = number
        return attacks

    def epsilon_reading(self) -> str:
        """How the paper's eps is read in this plan, in words."""
        used = {a.budget.linf for a in self.attacks if isinstance(a.budget, NormBudget) and a.budget.linf is not None}
        words = [
            f"{name}: {PAPER_EPSILON[name]:g} on pixels in [0, 1]" for name in sorted(PAPER_EPSILON) if name in used
        ]
        return "; ".join(words) or "epsilon is given as a number on pixels in [0, 1]"


def load_plan(path: Path) -> Plan:
    """Read a plan.  Raises UserError that names the file, the line, the field and what is wrong with it."""
    return _resolved(read_plan(path, Plan, "mithridate audit"), path.parent)


def dump_plan(plan: Plan) -> str:
    """The plan as YAML that `load_plan` reads back."""
    return str(yaml.safe_dump(plan.model_dump(mode="json", exclude_none=True), sort_keys=False, allow_unicode=True))


def _resolved(plan: Plan, folder: Path) -> Plan:
    """Paths in a plan are relative to the plan."""

    def absolute(path: str) -> str:
        return path if path.startswith("builtin:") else str((folder / path).resolve())

    def model(reference: ModelReference) -> ModelReference:
        if isinstance(reference, str):
            return absolute(reference)
        named = {field: getattr(reference, field, None) for field in PATHS}
        return reference.model_copy(update={field: absolute(path) for field, path in named.items() if path is not None})

    tasks = tuple(
        task.model_copy(
            update={
                "data": absolute(task.data) if isinstance(task.data, str) else task.data,
                "victim": model(task.victim),
                "surrogates": tuple(model(s) for s in task.surrogates),
            }
        )
        for task in plan.tasks
    )
    return plan.model_copy(update={"tasks": tasks})
