"""The audit plan: YAML in, a typed and frozen Plan out; every mistake is reported with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mithridate.budget import L2, PAPER_EPSILON, Budget, Linf, epsilon_reading
from mithridate.errors import UserError
from mithridate.imaging.attacks import FGSM, PGD, RandomNoise, WorstRotation
from mithridate.imaging.attacks.losses import LossName
from mithridate.imaging.rotation import Fill, Rotation

Knowledge = Literal["white-box", "black-box"]
EpsilonReading = Literal["paper-code", "paper-text"]
Size = Annotated[float, Field(ge=0, le=1e6)] | EpsilonReading


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Authority(_Strict):
    """Who owns the models and who allowed the test.  Without it nothing runs."""

    owner: str = Field(min_length=2)
    authorized_by: str = Field(min_length=2)
    statement: str = Field(min_length=10, description="what may be tested, in one sentence")


class PhantomData(_Strict):
    """A cohort of procedural images instead of a catalog."""

    phantom: str
    patients: int = Field(200, ge=10, le=1_000_000)
    seed: int = 0


class TaskPlan(_Strict):
    """One task: data, the model under audit, and the surrogates of a black-box attacker."""

    name: str | None = None
    data: str | PhantomData
    part: Literal["train", "validation", "test", "all"] = "test"
    limit: int | None = Field(None, ge=2, description="a stratified subset of so many images")
    victim: str
    surrogates: tuple[str, ...] = ()
    threshold: str = "youden"


class NormBudget(_Strict):
    """`{linf: 0.01}` or `{l2: 2.0}`; linf also takes paper-code (0.01) and paper-text (0.02)."""

    linf: Size | None = None
    l2: Annotated[float, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _one_norm(self) -> NormBudget:
        if (self.linf is None) == (self.l2 is None):
            raise ValueError("give exactly one of linf and l2")
        return self

    def at(self, size: float | None) -> Linf | L2:
        """The budget, or the same norm at another size."""
        if self.l2 is not None:
            return L2(self.l2 if size is None else size)
        return Linf(epsilon_reading(self.linf if size is None else size))  # type: ignore[arg-type]


class RotationBudget(_Strict):
    degrees: float = Field(gt=0, le=180)
    fill: Fill = "reflect"

    def at(self, size: float | None) -> Rotation:
        return Rotation(self.degrees if size is None else size, self.fill)


class _AttackPlan(_Strict):
    label: str | None = None
    doses: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (), description="further budget sizes: a dose-response curve"
    )


class NoisePlan(_AttackPlan):
    attack: Literal["noise"]
    budget: NormBudget
    draws: int = Field(1, ge=1)

    def build(self, budget: Budget) -> RandomNoise:
        return RandomNoise(self.draws)


class FGSMPlan(_AttackPlan):
    attack: Literal["fgsm"]
    budget: NormBudget
    knowledge: tuple[Knowledge, ...] = ("white-box",)
    loss: LossName = "cross-entropy"
    targeted: bool = False

    def build(self, budget: Budget) -> FGSM:
        return FGSM(self.loss, self.targeted)


class PGDPlan(_AttackPlan):
    attack: Literal["pgd"]
    budget: NormBudget
    knowledge: tuple[Knowledge, ...] = ("white-box",)
    steps: int = Field(20, ge=1, le=100_000)
    relative_step: float | None = Field(None, gt=0, description="step length as a part of epsilon; default 2.5 / steps")
    random_start: bool = True
    restarts: int = Field(1, ge=1)
    loss: LossName = "margin"
    targeted: bool = False
    every_step: bool = True

    def build(self, budget: Budget) -> PGD:
        step = None if self.relative_step is None else self.relative_step * budget.size
        return PGD(self.steps, step, self.random_start, self.restarts, self.loss, self.targeted, self.every_step)


class RotationPlan(_AttackPlan):
    attack: Literal["rotation"]
    budget: RotationBudget
    angles: int = Field(31, ge=2)

    def build(self, budget: Budget) -> WorstRotation:
        return WorstRotation(self.angles)


AttackPlan = Annotated[NoisePlan | FGSMPlan | PGDPlan | RotationPlan, Field(discriminator="attack")]


class Execution(_Strict):
    """How the work is done; only `kernel_batch` is part of the numbers (their last digits)."""

    executor: Literal["inline", "processes"] = "processes"
    workers: int | None = Field(None, ge=1, le=1024, description="default: the number of cores")
    shard: int = Field(32, ge=1, le=100_000, description="examples a shard: the unit of resume")
    kernel_batch: int = Field(16, ge=1, le=4096)


class Plan(_Strict):
    """A whole audit."""

    name: str = Field("audit", min_length=1)
    authority: Authority
    seed: int = 0
    tasks: tuple[TaskPlan, ...] = Field(min_length=1)
    attacks: tuple[AttackPlan, ...] = Field(min_length=1)
    pictures: int = Field(6, ge=0, le=200, description="examples a class and task kept for figures")
    execution: Execution = Execution()

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
    try:
        text = path.read_text()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    try:
        tree, data = yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{where}: this is not YAML ({getattr(error, 'problem', error)})") from None
    if not isinstance(data, dict):
        raise UserError(f"{path} is empty or not a mapping: see the example in `mithridate audit --help`")
    try:
        plan = Plan.model_validate(data)
    except ValidationError as error:
        lines = [_explain(path, tree, item) for item in error.errors()]
        raise UserError("\n".join(dict.fromkeys(lines))) from None
    return _resolved(plan, path.parent)


def dump_plan(plan: Plan) -> str:
    """The plan as YAML that `load_plan` reads back."""
    return str(yaml.safe_dump(plan.model_dump(mode="json", exclude_none=True), sort_keys=False, allow_unicode=True))


def _resolved(plan: Plan, folder: Path) -> Plan:
    """Paths in a plan are relative to the plan."""

    def absolute(reference: str) -> str:
        return reference if reference.startswith("builtin:") else str((folder / reference).resolve())

    tasks = tuple(
        task.model_copy(
            update={
                "data": absolute(task.data) if isinstance(task.data, str) else task.data,
                "victim": absolute(task.victim),
                "surrogates": tuple(absolute(s) for s in task.surrogates),
            }
        )
        for task in plan.tasks
    )
    return plan.model_copy(update={"tasks": tasks})


def _explain(path: Path, tree: yaml.Node | None, error: Any) -> str:
    # A discriminated union puts the tag of the chosen attack into the location; it is not a key of the file.
    location = [part for part in error["loc"] if part not in ("noise", "fgsm", "pgd", "rotation", "str", "PhantomData")]
    line = _line(tree, location)
    field = ".".join(str(part + 1) if isinstance(part, int) else str(part) for part in location) or "the plan"
    message = {
        "extra_forbidden": "there is no such field; check its spelling",
        "missing": "this field is missing",
        "union_tag_not_found": "this attack has no 'attack' field (noise, fgsm, pgd or rotation)",
    }.get(error["type"], error["msg"].removeprefix("Value error, "))
    return f"{path}, line {line}: {field}: {message}"


def _line(node: yaml.Node | None, location: list[Any]) -> int:
    """The line of the deepest part of the location that the file has, from 1."""
    line = node.start_mark.line + 1 if node else 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            match = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if match is None:
                break
            line, node = match[0].start_mark.line + 1, match[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line
