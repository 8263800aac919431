"""The attacks of a plan that are trained first, on images that are not attacked: one perturbation or patch for all."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from mithridate.audit.attack_budgets import NormBudget, PatchBudget
from mithridate.audit.attack_options import AttackOptions, GradientOptions, Knowledge
from mithridate.budget import Budget
from mithridate.imaging.attacks import PatchTraining, UniversalTraining


class TrainedAttack(AttackOptions):
    """Trained on the model (white box) or on each surrogate (black box), once, before images are attacked."""

    knowledge: tuple[Knowledge, ...] = Field(("white-box",), min_length=1)
    gradient: GradientOptions = GradientOptions()
    train_on: Literal["train", "validation", "test"] = Field("train", description="part of the task's data")
    train_images: int = Field(200, ge=2, le=100_000, description="a stratified subset of it")


class UniversalPlan(TrainedAttack):
    """One perturbation for each class, added to every image of the other one."""

    title: ClassVar[str] = "universal perturbation"
    attack: Literal["universal"]
    budget: NormBudget
    epochs: int = Field(10, ge=1, le=10_000)
    batch: int = Field(32, ge=1, le=4096)
    relative_step: float = Field(0.1, gt=0, description="length of a step, as a part of epsilon")

    def build(self, budget: Budget) -> UniversalTraining:
        return UniversalTraining(self.epochs, self.batch, self.relative_step)


class PatchPlan(TrainedAttack):
    """A disc for each class, put on the images of the other one at a random place and angle.

    Defaults as in the public code of Finlayson et al.
    """

    title: ClassVar[str] = "adversarial patch"
    attack: Literal["patch"]
    budget: PatchBudget
    epochs: int = Field(7, ge=1, le=10_000)
    batch: int = Field(16, ge=1, le=4096)
    learning_rate: float = Field(5.0, gt=0)
    turn: float = Field(22.5, ge=0, le=180, description="degrees either way")
    natural: bool = Field(False, description="the control: a piece of an image of the other class, nothing trained")

    def build(self, budget: Budget) -> PatchTraining:
        return PatchTraining(0, self.epochs, self.batch, self.learning_rate, self.turn)
