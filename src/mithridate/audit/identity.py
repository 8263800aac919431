"""Who a model is, for results and reports, wherever it came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mithridate.errors import UserError
from mithridate.imaging.cards import ModelCard
from mithridate.imaging.networks import Classifier
from mithridate.imaging.tasks import Task
from mithridate.models.description import ModelPlan
from mithridate.models.image_input import ImageInput
from mithridate.models.opened import Opened
from mithridate.models.torch_module import TorchModel
from mithridate.models.views import Answer


@dataclass(frozen=True)
class Identity:
    """The facts of a model that results carry; `trained_on` is None when nobody said."""

    name: str
    architecture: str
    size: int
    channels: int
    sha256: str
    thresholds: dict[str, float]
    modality: str
    positive: str
    negative: str
    trained_on: dict[str, Any] | None
    intended_use: str
    limits: str
    access: str
    answers: str

    def describe(self) -> dict[str, Any]:
        """Plain data for `TaskResult.victim`."""
        return {
            "name": self.name,
            "architecture": self.architecture,
            "size": self.size,
            "channels": self.channels,
            "sha256": self.sha256,
            "thresholds": dict(self.thresholds),
            "trained_on": self.trained_on,
            "intended_use": self.intended_use,
            "limits": self.limits,
            "access": self.access,
            "answers": self.answers,
        }


def from_card(network: Classifier, card: ModelCard, reference: str, kernel_batch: int) -> tuple[Opened, Identity]:
    """A model that was trained here."""
    opened = Opened(
        model=TorchModel(network, kernel_batch=kernel_batch, name=reference),
        native=lambda spec, x: _run(network, spec.apply(x)),
        image=ImageInput(card.size, card.channels),
        answer=Answer("logits", (1,), (card.negative, card.positive)),
        module=network,
        reason="a torch module, differentiated",
        sha256=card.sha256,
        architecture=card.architecture,
    )
    return opened, Identity(
        name=card.name,
        architecture=card.architecture,
        size=card.size,
        channels=card.channels,
        sha256=card.sha256,
        thresholds=dict(card.thresholds),
        modality=card.modality,
        positive=card.positive,
        negative=card.negative,
        trained_on=card.data.model_dump(),
        intended_use=card.intended_use,
        limits=card.limits,
        access=opened.reason,
        answers=opened.answer.describe(),
    )


def from_plan(plan: ModelPlan, opened: Opened, name: str, task: Task) -> Identity:
    """A model that a plan describes, on a catalog's task."""
    if plan.input.channels == 3 and task.channels == 1 and plan.input.order == "BGR":
        raise UserError(f"{name}: the task's images are gray, so the input's order BGR means nothing: leave it out")
    return Identity(
        name=name,
        architecture=opened.architecture,
        size=plan.input.size,
        channels=plan.input.channels,
        sha256=opened.sha256,
        thresholds={"default": 0.5, **plan.thresholds},
        modality=task.modality,
        positive=task.positive,
        negative=task.negative,
        trained_on=None,
        intended_use=plan.intended_use,
        limits="Stated by nobody: the model came without a card.",
        access=opened.reason,
        answers=opened.answer.describe(),
    )


def _run(network: Classifier, x: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = network(x)
    return found
