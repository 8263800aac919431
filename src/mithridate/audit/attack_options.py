"""What the attacks of a plan have in common, and how one that uses gradients comes by them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from mithridate.audit.attack_budgets import NormBudget, Strict
from mithridate.imaging.attacks import Borderline

Knowledge = Literal["white-box", "black-box"]
Sees = Literal["gradients", "scores", "decisions"]
"""What the attack asks of the model that it works on: the oracle that it is handed offers that, and nothing more."""


class AttackOptions(Strict):
    """`title` names the attack for people; `sees` is what it asks."""

    title: ClassVar[str]
    sees: ClassVar[Sees] = "gradients"

    label: str | None = Field(None, min_length=1, description="its name in the report")
    doses: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (), description="further budget sizes: a dose-response curve"
    )


class GradientOptions(Strict):
    """How gradients are obtained: the views of the oracle through which the attack sees the model."""

    samples: int = Field(
        1, ge=1, le=10_000, description="EOT: each gradient is the mean over so many answers of a model that is random"
    )
    noise: float = Field(0.0, ge=0, le=1, description="EOT: deviation of Gaussian noise added to each of them")
    backward: Literal["own", "straight-through", "surrogate"] = Field(
        "own", description="BPDA: what stands in for the model's own backward pass"
    )
    diversity: float = Field(0.0, ge=0, le=1, description="how often the image is shrunk and shifted first (DI-FGSM)")

    @model_validator(mode="after")
    def _noise_is_averaged(self) -> GradientOptions:
        if self.noise and not self.averages:
            raise ValueError("a gradient under noise must be averaged: give 'samples' of 2 or more")
        return self

    @property
    def averages(self) -> bool:
        return self.samples > 1


class GradientAttack(AttackOptions):
    """An attack with gradients: the model's own (white box), or those of each surrogate (black box)."""

    budget: NormBudget
    knowledge: tuple[Knowledge, ...] = Field(("white-box",), min_length=1)
    gradient: GradientOptions = GradientOptions()
    borderline: float | None = Field(
        None, gt=0, le=1, description="only cases whose two likeliest classes lie so near in probability, nearest first"
    )

    @model_validator(mode="after")
    def _one_surrogate(self) -> GradientAttack:
        if self.gradient.backward == "surrogate" and "black-box" in self.knowledge:
            raise ValueError("backward: surrogate replaces the model's own backward pass: take black-box out")
        return self

    def near(self, attack: Any) -> Any:
        """The attack, or the attack on borderline cases only."""
        return attack if self.borderline is None else Borderline(attack, self.borderline)
