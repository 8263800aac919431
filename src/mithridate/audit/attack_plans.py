"""The attacks that a plan can name; docs/auditing.md shows an example of each."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mithridate.audit.attack_budgets import MotionBudget, NormBudget, PatchBudget, RotationBudget, Strict
from mithridate.audit.attack_options import AttackOptions, GradientAttack, GradientOptions, Knowledge, Sees
from mithridate.audit.gradient_attacks import (
    APGDPlan,
    CarliniWagnerPlan,
    DeepFoolPlan,
    EnsemblePlan,
    FABPlan,
    FGSMPlan,
    MinimumNormPlan,
    PGDPlan,
    TargetedAPGDPlan,
    TransferPlan,
)
from mithridate.audit.query_attacks import (
    BoundaryPlan,
    FiniteDifferencesPlan,
    HopSkipJumpPlan,
    MotionPlan,
    NoisePlan,
    RotationPlan,
    SquarePlan,
)
from mithridate.audit.trained_attacks import PatchPlan, TrainedAttack, UniversalPlan

__all__ = [
    "APGDPlan", "AttackOptions", "AttackPlan", "BoundaryPlan", "CarliniWagnerPlan", "DeepFoolPlan", "EnsemblePlan",
    "FABPlan", "FGSMPlan", "FiniteDifferencesPlan", "GradientAttack", "GradientOptions", "HopSkipJumpPlan",
    "Knowledge", "MinimumNormPlan", "MotionBudget", "MotionPlan", "NoisePlan", "NormBudget", "PGDPlan", "PatchBudget",
    "PatchPlan", "RotationBudget", "RotationPlan", "Sees", "SquarePlan", "Strict", "TargetedAPGDPlan", "TrainedAttack",
    "TransferPlan", "UniversalPlan",
]  # fmt: skip

AttackPlan = Annotated[
    NoisePlan
    | FGSMPlan
    | PGDPlan
    | TransferPlan
    | APGDPlan
    | TargetedAPGDPlan
    | FABPlan
    | DeepFoolPlan
    | MinimumNormPlan
    | CarliniWagnerPlan
    | EnsemblePlan
    | SquarePlan
    | FiniteDifferencesPlan
    | HopSkipJumpPlan
    | BoundaryPlan
    | RotationPlan
    | MotionPlan
    | UniversalPlan
    | PatchPlan,
    Field(discriminator="attack"),
]
