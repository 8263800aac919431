"""The attacks of a plan that use gradients."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from mithridate.audit.attack_budgets import NormBudget
from mithridate.audit.attack_options import GradientAttack, GradientOptions, Knowledge
from mithridate.budget import Budget
from mithridate.imaging.attacks import (
    APGD,
    FAB,
    FGSM,
    PGD,
    CarliniWagner,
    CheapToDear,
    DeepFool,
    MinimumNorm,
    StandardEnsemble,
    TargetedAPGD,
)
from mithridate.imaging.attacks.losses import LossName

MOST_STEPS = 100_000


class FGSMPlan(GradientAttack):
    title: ClassVar[str] = "FGSM"
    attack: Literal["fgsm"]
    loss: LossName = "cross-entropy"
    targeted: bool = False

    def build(self, budget: Budget) -> Any:
        return self.near(FGSM(self.loss, self.targeted))


class PGDPlan(GradientAttack):
    title: ClassVar[str] = "PGD"
    attack: Literal["pgd"]
    steps: int = Field(20, ge=1, le=MOST_STEPS)
    relative_step: float | None = Field(None, gt=0, description="step length as a part of epsilon; default 2.5 / steps")
    random_start: bool = True
    restarts: int = Field(1, ge=1, le=MOST_STEPS)
    loss: LossName = "margin"
    targeted: bool = False
    every_step: bool = Field(True, description="go on after an image is fooled, to the highest loss")
    momentum: float = Field(0.0, ge=0, le=1, description="part of the earlier directions that a step keeps")

    def build(self, budget: Budget) -> Any:
        step = None if self.relative_step is None else self.relative_step * budget.size
        attack = PGD(
            self.steps, step, self.random_start, self.restarts, self.loss, self.targeted, self.every_step, self.momentum
        )
        return self.near(attack)


class TransferPlan(GradientAttack):
    """Made to travel from each surrogate to the model: PGD with momentum (Dong et al. 2018) and input diversity (Xie et
    al. 2019)."""

    title: ClassVar[str] = "transfer"
    attack: Literal["transfer"]
    knowledge: tuple[Knowledge, ...] = Field(("black-box",), min_length=1)
    gradient: GradientOptions = GradientOptions(diversity=0.5)
    steps: int = Field(20, ge=1, le=MOST_STEPS)
    loss: LossName = "cross-entropy"
    momentum: float = Field(1.0, ge=0, le=1)

    def build(self, budget: Budget) -> Any:
        return self.near(PGD(self.steps, random_start=False, loss=self.loss, momentum=self.momentum))


class APGDPlan(GradientAttack):
    title: ClassVar[str] = "APGD"
    attack: Literal["apgd"]
    steps: int = Field(100, ge=1, le=MOST_STEPS)
    loss: LossName = "margin"
    restarts: int = Field(1, ge=1, le=MOST_STEPS)

    def build(self, budget: Budget) -> Any:
        return self.near(APGD(self.steps, self.loss, self.restarts))


class TargetedAPGDPlan(GradientAttack):
    title: ClassVar[str] = "targeted APGD"
    attack: Literal["apgd-targeted"]
    steps: int = Field(100, ge=1, le=MOST_STEPS)

    def build(self, budget: Budget) -> Any:
        return self.near(TargetedAPGD(self.steps))


class FABPlan(GradientAttack):
    title: ClassVar[str] = "FAB"
    attack: Literal["fab"]
    steps: int = Field(100, ge=1, le=MOST_STEPS)
    restarts: int = Field(1, ge=1, le=MOST_STEPS)

    def build(self, budget: Budget) -> Any:
        return self.near(FAB(self.steps, restarts=self.restarts))


class DeepFoolPlan(GradientAttack):
    title: ClassVar[str] = "DeepFool"
    attack: Literal["deepfool"]
    steps: int = Field(50, ge=1, le=MOST_STEPS)
    overshoot: float = Field(0.02, ge=0, le=1)

    def build(self, budget: Budget) -> Any:
        return self.near(DeepFool(self.steps, self.overshoot))


class MinimumNormPlan(GradientAttack):
    title: ClassVar[str] = "minimum-norm search"
    attack: Literal["minimum-norm"]
    steps: int = Field(100, ge=1, le=MOST_STEPS)

    def build(self, budget: Budget) -> Any:
        return self.near(MinimumNorm(self.steps))


class CarliniWagnerPlan(GradientAttack):
    title: ClassVar[str] = "Carlini-Wagner"
    attack: Literal["carlini-wagner"]
    steps: int = Field(100, ge=1, le=MOST_STEPS, description="gradients of each search")
    searches: int = Field(9, ge=1, le=100)
    confidence: float = Field(0.0, ge=0, description="margin, in logits, that counts as fooled")

    @field_validator("budget")
    @classmethod
    def _euclidean(cls, budget: NormBudget) -> NormBudget:
        if budget.l2 is None:
            raise ValueError("carlini-wagner shortens the Euclidean length: give it a budget l2")
        return budget

    def build(self, budget: Budget) -> Any:
        return self.near(CarliniWagner(self.steps, self.searches, confidence=self.confidence))


class EnsemblePlan(GradientAttack):
    """AutoAttack's four, each on what the ones before it left."""

    title: ClassVar[str] = "standard ensemble"
    attack: Literal["standard-ensemble"]
    order: Literal["published", "cheap-to-dear"] = "cheap-to-dear"
    steps: int = Field(100, ge=2, le=MOST_STEPS, description="of each of the three with gradients")
    queries: int = Field(5000, ge=2, le=1_000_000, description="of the square attack")

    def build(self, budget: Budget) -> Any:
        kind = StandardEnsemble if self.order == "published" else CheapToDear
        return self.near(kind(steps=self.steps, queries=self.queries))
