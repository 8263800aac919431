"""The plan of a claims audit: YAML in, a typed and frozen ClaimsPlan out."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from mithridate.audit.attack_plans import Strict
from mithridate.audit.claims.models import (
    OUTSIDE,
    CallableModel,
    DetectorPlan,
    EstimatorModel,
    HttpModelPlan,
    TrainedModel,
)
from mithridate.audit.plan import Authority, Execution
from mithridate.audit.plan_files import read_plan
from mithridate.claims.attacks.searches import Beam, Exhaustive, Genetic, Greedy, RandomEdits
from mithridate.claims.budget import CLASSES, CodeEdits
from mithridate.claims.defenses.deploy import DefenseName

AttackName = Literal["random", "greedy", "beam", "genetic", "surrogate", "exact", "exhaustive"]
Attacker = Literal["adaptive", "naive"]
SEARCHES = {
    "random": RandomEdits(),
    "greedy": Greedy(),
    "beam": Beam(),
    "genetic": Genetic(),
    "exhaustive": Exhaustive(),
}


class PopulationData(Strict):
    """A made-up population instead of a file."""

    claims: int = Field(4000, ge=200, le=1_000_000)
    seed: int = 0
    abusive_share: float = Field(0.25, gt=0, lt=1)
    claims_a_provider: int = Field(40, ge=1)


class FileData(Strict):
    """Claims of the owner: any file that `claims read` takes, and a CSV of their labels (columns id, fraud)."""

    claims: str
    labels: str
    attested: bool = Field(False, description="the owner attests that edits of single claims may be written down")


class BudgetPlan(Strict):
    """Doses of edits: each number in k is one condition."""

    k: tuple[int, ...] = (1, 2, 3)
    classes: str = "ABCDE"

    @field_validator("k")
    @classmethod
    def _counts(cls, k: tuple[int, ...]) -> tuple[int, ...]:
        if not k or min(k) < 1 or max(k) > 10:
            raise ValueError("give one or more numbers of edits from 1 to 10")
        return tuple(sorted(set(k)))

    @field_validator("classes")
    @classmethod
    def _known(cls, classes: str) -> str:
        if not classes or set(classes) - set(CLASSES):
            raise ValueError(f"give letters of {''.join(CLASSES)}, for instance AB")
        return "".join(sorted(set(classes)))

    def at(self, k: int) -> CodeEdits:
        return CodeEdits(k, tuple(self.classes))  # type: ignore[arg-type]


class ClaimsPlan(Strict):
    """A whole audit of one model of claims."""

    name: str = Field("Claims audit", min_length=1)
    authority: Authority
    seed: int = 0
    data: PopulationData | FileData = PopulationData()
    detector: DetectorPlan = TrainedModel()
    attacks: tuple[AttackName, ...] = ("random", "greedy", "beam", "exact")
    attackers: tuple[Attacker, ...] = ("adaptive",)
    defenses: tuple[DefenseName, ...] = ("none", "families", "records")
    budgets: tuple[BudgetPlan, ...] = (BudgetPlan(), BudgetPlan(k=(1, 2), classes="AB"))
    query_limit: int | None = Field(None, ge=1, description="questions to the model for one claim")
    claims: int = Field(40, ge=2, le=100_000, description="claims of the test part that are attacked")
    certified_edits: int = Field(2, ge=1, le=5, description="k of the edit-stability certificate, classes A and B")
    execution: Execution = Execution(shard=8)

    @model_validator(mode="after")
    def _baseline(self) -> ClaimsPlan:
        if "none" not in self.defenses:
            raise ValueError("defenses must name 'none' too: what is defended is compared with what is not")
        if not self.attacks or not self.attackers or not self.budgets:
            raise ValueError("give at least one attack, one attacker and one budget")
        if "adaptive" not in self.attackers:
            raise ValueError("attackers must name 'adaptive' too: who does not know the model says little about it")
        return self

    @model_validator(mode="after")
    def _within_the_model(self) -> ClaimsPlan:
        kind = self.detector.kind
        if kind in OUTSIDE:
            if "exact" in self.attacks:
                raise ValueError(f"the exact attack reads the model, and a model behind '{kind}' is only asked")
            beyond = [name for name in self.defenses if name not in ("none", "records")]
            if beyond:
                raise ValueError(f"the defense '{beyond[0]}' trains the model anew, which one behind '{kind}' is not")
        if self.labels_only and "records" in self.defenses:
            raise ValueError("the defense 'records' goes by scores, and this model answers with labels")
        if "monotone" in self.defenses and kind not in ("lightgbm", "xgboost"):
            raise ValueError(f"a {kind} model takes no monotone constraints: use lightgbm or xgboost")
        return self

    @property
    def labels_only(self) -> bool:
        """Whether the model says yes or no and nothing more."""
        return isinstance(self.detector, CallableModel | HttpModelPlan) and self.detector.answers == "labels"

    @property
    def synthetic(self) -> bool:
        return isinstance(self.data, PopulationData)

    @property
    def keeps_edits(self) -> bool:
        """Whether edits of single claims may be written to the run folder."""
        return isinstance(self.data, PopulationData) or self.data.attested


def load_claims_plan(path: Path) -> ClaimsPlan:
    """Read a plan, whose paths are relative to it.

    Raises UserError that names the file, the line, the field and what is wrong with it.
    """
    plan = read_plan(path, ClaimsPlan, "mithridate claims audit")
    here = path.parent
    found: dict[str, FileData | EstimatorModel] = {}
    if isinstance(plan.data, FileData):
        files = {name: str((here / getattr(plan.data, name)).resolve()) for name in ("claims", "labels")}
        found["data"] = plan.data.model_copy(update=files)
    if isinstance(plan.detector, EstimatorModel):
        file = str((here / plan.detector.path).resolve())
        found["detector"] = plan.detector.model_copy(update={"path": file})
    plan = plan.model_copy(update=found)
    return plan


def demo_plan() -> ClaimsPlan:
    """A plan on a made-up population that ends within minutes."""
    return ClaimsPlan(
        name="How far can this claim model be gamed?",
        authority=Authority(
            owner="the mithridate project",
            authorized_by="the mithridate project",
            statement="The population and the model were made to be attacked by anyone.",
        ),
        seed=20190322,
        data=PopulationData(claims=6000, seed=1),
        attacks=("random", "beam", "exact"),
        attackers=("adaptive", "naive"),
        claims=24,
    )
