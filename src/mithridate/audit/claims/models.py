"""The model under audit as a plan names it: trained on the data's own training part, or one that exists already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from mithridate.audit.attack_plans import Strict
from mithridate.claims.detector import Kind, Recipe

Answers = Literal["scores", "labels"]
OUTSIDE = ("callable", "http")
"""Models that are asked and not trained: nothing inside them can be read."""


class TrainedModel(Strict):
    """Trained here: gradient-boosted trees, a logistic regression, a random forest."""

    kind: Kind = "lightgbm"
    trees: int = Field(100, ge=1, le=5000)
    leaves: int = Field(16, ge=2, le=1024)
    false_positive_rate: float = Field(0.05, gt=0, lt=1)

    def recipe(self) -> Recipe:
        return Recipe(self.kind, self.trees, self.leaves, false_positive_rate=self.false_positive_rate)


class EstimatorModel(Strict):
    """Any scikit-learn classifier or pipeline saved with joblib; it is fitted anew on the training part."""

    kind: Literal["scikit-learn"]
    path: str
    false_positive_rate: float = Field(0.05, gt=0, lt=1)

    def recipe(self) -> Recipe:
        return Recipe(false_positive_rate=self.false_positive_rate)


class _Outside(Strict):
    """A model that exists: asked as it is.  Without a threshold, scores get one on the calibration part."""

    answers: Answers = "scores"
    threshold: float | None = Field(None, allow_inf_nan=False, description="claims that score this or more are denied")
    false_positive_rate: float = Field(0.05, gt=0, lt=1)

    def recipe(self) -> Recipe:
        return Recipe(false_positive_rate=self.false_positive_rate)


class CallableModel(_Outside):
    """A function of the user's from claims (a list of `Claim`) to scores or labels: runs that code."""

    kind: Literal["callable"]
    function: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$", description="package.module:function")


class HttpModelPlan(_Outside):
    """An endpoint; see `mithridate.claims.endpoint.HttpModel` for what it gets."""

    kind: Literal["http"]
    url: str = Field(pattern=r"^https?://")
    seconds: float = Field(30.0, gt=0, le=3600)


def _tag(value: Any) -> str:
    kind = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
    return kind if kind in ("scikit-learn", *OUTSIDE) else "model"


DetectorPlan = Annotated[
    Annotated[TrainedModel, Tag("model")]
    | Annotated[EstimatorModel, Tag("scikit-learn")]
    | Annotated[CallableModel, Tag("callable")]
    | Annotated[HttpModelPlan, Tag("http")],
    Discriminator(_tag),
]
