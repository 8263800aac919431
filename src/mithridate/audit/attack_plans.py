"""The attacks that a plan can name, their budgets and parameters."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mithridate.budget import L2, Budget, Linf, epsilon_reading
from mithridate.imaging.attacks import FGSM, PGD, RandomNoise, WorstRotation
from mithridate.imaging.attacks.apgd import APGD
from mithridate.imaging.attacks.hopskipjump import HopSkipJump
from mithridate.imaging.attacks.losses import LossName
from mithridate.imaging.attacks.square import Square
from mithridate.imaging.rotation import Fill, Rotation

Knowledge = Literal["white-box", "black-box"]
EpsilonReading = Literal["paper-code", "paper-text"]
Size = Annotated[float, Field(ge=0, le=1e6)] | EpsilonReading


class Strict(BaseModel):
    """A part of a plan: frozen, and a field that does not exist is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NormBudget(Strict):
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


class RotationBudget(Strict):
    degrees: float = Field(gt=0, le=180)
    fill: Fill = "reflect"

    def at(self, size: float | None) -> Rotation:
        return Rotation(self.degrees if size is None else size, self.fill)


class _AttackPlan(Strict):
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


class APGDPlan(_AttackPlan):
    attack: Literal["apgd"]
    budget: NormBudget
    knowledge: tuple[Knowledge, ...] = ("white-box",)
    steps: int = Field(100, ge=1, le=100_000)
    loss: LossName = "margin"
    restarts: int = Field(1, ge=1)

    def build(self, budget: Budget) -> APGD:
        return APGD(self.steps, self.loss, self.restarts)


class SquarePlan(_AttackPlan):
    """Asks the model under audit for its scores; needs no gradient and no surrogate."""

    attack: Literal["square"]
    budget: NormBudget
    queries: int = Field(1000, ge=2, le=1_000_000, description="questions an image and start, at most")
    restarts: int = Field(1, ge=1)

    def build(self, budget: Budget) -> Square:
        return Square(self.queries, restarts=self.restarts)


class HopSkipJumpPlan(_AttackPlan):
    """Asks the model under audit for its decisions only."""

    attack: Literal["hop-skip-jump"]
    budget: NormBudget
    steps: int = Field(20, ge=1, le=10_000)
    first_draws: int = Field(100, ge=1, le=100_000, description="decisions of the first estimate; later ones take more")

    def build(self, budget: Budget) -> HopSkipJump:
        return HopSkipJump(self.steps, self.first_draws, inside_is_enough=True)


class RotationPlan(_AttackPlan):
    attack: Literal["rotation"]
    budget: RotationBudget
    angles: int = Field(31, ge=2)

    def build(self, budget: Budget) -> WorstRotation:
        return WorstRotation(self.angles)


AttackPlan = Annotated[
    NoisePlan | FGSMPlan | PGDPlan | APGDPlan | SquarePlan | HopSkipJumpPlan | RotationPlan,
    Field(discriminator="attack"),
]
