"""The diagnostic tasks: what is positive, in human words, and how the images are divided.

The three tasks are those of Finlayson et al. (arXiv:1804.05296): positives, controls and test fractions are theirs.
The paper names no validation part; ours is 10% of all groups, taken from the training groups, so that early stopping
never sees the test part.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from mithridate.errors import UserError
from mithridate.imaging.labels import LabelRule

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Fractions:
    """Shares of the groups (patients, lesions) in the three parts; training takes the rest."""

    validation: float = 0.10
    test: float = 0.15

    def __post_init__(self) -> None:
        for name, value in (("test", self.test), ("validation", self.validation)):
            if not math.isfinite(value) or not 0 <= value < 1:
                raise UserError(f"the {name} fraction is {value}: it must be at least 0 and below 1")
        if self.validation + self.test >= 1:
            raise UserError(
                f"the validation fraction {self.validation} and the test fraction {self.test} leave nothing to train "
                "on: their sum must be below 1"
            )

    @property
    def train(self) -> float:
        """What is left for training."""
        return 1 - self.validation - self.test


@dataclass(frozen=True)
class Task:
    """A two-class diagnostic task.

    `name` is a key such as "chest"; `modality`, `positive` and `negative` are words for people; `channels` is 1 (gray)
    or 3 (RGB); `rule` is the default label rule of the task's own source.
    """

    name: str
    modality: str
    positive: str
    negative: str
    channels: Literal[1, 3]
    rule: LabelRule
    fractions: Fractions = Fractions()

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise UserError(f"the task {self.name} asks for {self.channels} channels: give 1 (gray) or 3 (color)")

    @property
    def is_paper(self) -> bool:
        """Whether this is one of the paper's three tasks, with the paper's own positives."""
        own = TASKS.get(self.name)
        return own is not None and (own.positive, own.negative) == (self.positive, self.negative)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description; `Task.from_dict` reads it back."""
        return {**asdict(self), "rule": str(self.rule)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Task:
        """The task described by `to_dict`."""
        return cls(**{**data, "rule": LabelRule.parse(data["rule"]), "fractions": Fractions(**data["fractions"])})

    def with_positive(self, rule: LabelRule, positive: str | None = None) -> Task:
        """The same task for other positives: "pneumonia" instead of "pneumothorax".

        The task's words stay when only the column differs, as in "icdr_grade>=2" for "level>=2".
        """
        if positive is None:
            if (rule.operator, rule.values) == (self.rule.operator, self.rule.values):
                positive = self.positive
            else:
                positive = " or ".join(rule.values).lower() if rule.operator == "=" else str(rule)
        return replace(self, rule=rule, positive=positive)


TASKS: dict[str, Task] = {
    "fundus": Task(
        name="fundus",
        modality="fundus photograph",
        positive="referable diabetic retinopathy",
        negative="no referable diabetic retinopathy",
        channels=3,
        rule=LabelRule.parse("level>=2"),
        fractions=Fractions(test=0.12),
    ),
    "chest": Task(
        name="chest",
        modality="chest radiograph",
        positive="pneumothorax",
        negative="no finding",
        channels=1,
        rule=LabelRule.parse("Pneumothorax"),
    ),
    "skin": Task(
        name="skin",
        modality="dermoscopic image",
        positive="melanoma",
        negative="benign melanocytic lesion",
        channels=3,
        rule=LabelRule.parse("malignant"),
    ),
}
