"""What an attack of a plan may change, and by how much."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mithridate.budget import L2, Linf, epsilon_reading
from mithridate.imaging.budgets import Patch, RotationTranslation
from mithridate.imaging.rotation import Fill, Rotation

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
    """`{degrees: 30}`: rotation by at most so much, either way."""

    degrees: float = Field(gt=0, le=180)
    fill: Fill = "reflect"

    def at(self, size: float | None) -> Rotation:
        return Rotation(self.degrees if size is None else size, self.fill)


class MotionBudget(Strict):
    """`{degrees: 30, pixels: 3}`: rotation, then a shift along either axis."""

    degrees: float = Field(gt=0, le=180)
    pixels: float = Field(ge=0, le=8192)
    fill: Fill = "reflect"

    def at(self, size: float | None) -> RotationTranslation:
        """The budget, or that of another largest angle, whose shift grows in proportion."""
        degrees = self.degrees if size is None else size
        return RotationTranslation(degrees, self.pixels * degrees / self.degrees, self.fill)


class PatchBudget(Strict):
    """`{area: 0.126}`: anything inside one disc that covers so much of the image."""

    area: float = Field(gt=0, le=0.7, description="part of the image; a disc covers no more than 0.785 of a square")

    def at(self, size: float | None) -> Patch:
        return Patch(self.area if size is None else size)
