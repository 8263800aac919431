"""The attacks of a plan that use no gradients: noise, questions to the model under audit, and image geometry."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from mithridate.attack import Attack
from mithridate.audit.attack_budgets import MotionBudget, NormBudget, RotationBudget
from mithridate.audit.attack_options import AttackOptions, Sees
from mithridate.budget import Budget
from mithridate.imaging.attacks import (
    Boundary,
    FiniteDifferences,
    HopSkipJump,
    MotionGrid,
    RandomNoise,
    Square,
    WorstMotion,
    WorstRotation,
)
from mithridate.imaging.attacks.finite_differences import Directions
from mithridate.imaging.attacks.losses import LossName


class NoisePlan(AttackOptions):
    title: ClassVar[str] = "Random noise"
    sees: ClassVar[Sees] = "decisions"
    attack: Literal["noise"]
    budget: NormBudget
    draws: int = Field(1, ge=1)

    def build(self, budget: Budget) -> Attack:
        return RandomNoise(self.draws)


class SquarePlan(AttackOptions):
    """Asks the model under audit for its scores; needs no gradient and no surrogate."""

    title: ClassVar[str] = "Square (scores only)"
    sees: ClassVar[Sees] = "scores"
    attack: Literal["square"]
    budget: NormBudget
    queries: int = Field(1000, ge=2, le=1_000_000, description="questions an image and start, at most")
    restarts: int = Field(1, ge=1)

    def build(self, budget: Budget) -> Attack:
        return Square(self.queries, restarts=self.restarts)


class FiniteDifferencesPlan(AttackOptions):
    """PGD on gradients that are estimated from scores (ZOO, NES)."""

    title: ClassVar[str] = "Finite differences (scores only)"
    sees: ClassVar[Sees] = "scores"
    attack: Literal["finite-differences"]
    budget: NormBudget
    steps: int = Field(50, ge=1, le=100_000)
    directions: int = Field(50, ge=1, le=100_000, description="of each estimate; two questions each")
    radius: float = Field(0.01, gt=0, le=1)
    kind: Directions = "gaussian"
    loss: LossName = "margin"
    query_limit: int | None = Field(None, ge=1, description="questions an image, at most")

    def build(self, budget: Budget) -> Attack:
        return FiniteDifferences(self.steps, self.directions, self.radius, self.kind, self.loss)


class HopSkipJumpPlan(AttackOptions):
    """Asks the model under audit for its decisions only."""

    title: ClassVar[str] = "HopSkipJump (labels only)"
    sees: ClassVar[Sees] = "decisions"
    attack: Literal["hop-skip-jump"]
    budget: NormBudget
    steps: int = Field(20, ge=1, le=10_000)
    first_draws: int = Field(100, ge=1, le=100_000, description="decisions of the first estimate; later ones take more")
    query_limit: int | None = Field(None, ge=1, description="questions an image, at most")

    def build(self, budget: Budget) -> Attack:
        return HopSkipJump(self.steps, self.first_draws, inside_is_enough=True)


class BoundaryPlan(AttackOptions):
    """A random walk along the boundary; asks the model under audit for its decisions only."""

    title: ClassVar[str] = "Boundary (labels only)"
    sees: ClassVar[Sees] = "decisions"
    attack: Literal["boundary"]
    budget: NormBudget
    steps: int = Field(1000, ge=1, le=1_000_000, description="of two decisions each")
    query_limit: int | None = Field(None, ge=1, description="questions an image, at most")

    def build(self, budget: Budget) -> Attack:
        return Boundary(self.steps, inside_is_enough=True)


class RotationPlan(AttackOptions):
    title: ClassVar[str] = "Rotation"
    sees: ClassVar[Sees] = "scores"
    attack: Literal["rotation"]
    budget: RotationBudget
    angles: int = Field(31, ge=2)

    def build(self, budget: Budget) -> Attack:
        return WorstRotation(self.angles)


class MotionPlan(AttackOptions):
    """Rotation and translation together: every motion of a grid, or the worst of k random ones."""

    title: ClassVar[str] = "Rotation and translation"
    sees: ClassVar[Sees] = "scores"
    attack: Literal["motion"]
    budget: MotionBudget
    search: Literal["grid", "worst-of-k"] = "grid"
    angles: int = Field(31, ge=2, le=10_000, description="of the grid")
    shifts: int = Field(5, ge=1, le=1_000, description="of the grid, along either axis")
    k: int = Field(10, ge=1, le=1_000_000, description="of worst-of-k")

    def build(self, budget: Budget) -> Attack:
        return MotionGrid(self.angles, self.shifts) if self.search == "grid" else WorstMotion(self.k)
