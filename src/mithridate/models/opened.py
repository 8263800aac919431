"""What opening a user's model gives: the model as the audit sees it, and what its native runtime says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from mithridate.errors import UserError
from mithridate.models.description import ModelPlan
from mithridate.models.image_input import ImageInput
from mithridate.models.torch_module import TorchModel
from mithridate.models.views import Answer, FunctionModel, NetworkView

Native = Callable[[ImageInput, Tensor], Tensor]
"""(input, pixels N x C x H x W in [0, 1]) -> the model's own answer, in its own runtime, nothing kept from before."""


@dataclass(frozen=True)
class Opened:
    """A user's model, ready.

    model     what the audit asks
    native    what the caller's own runtime answers, for the proof that `model` is the same function
    module    the torch module inside, where there is one: the white box
    reason    why it is a white box or a black box, as a clause
    sha256    of the file and of everything that was stated about it
    fixed     the model takes batches of one size only
    """

    model: TorchModel | FunctionModel
    native: Native
    image: ImageInput
    answer: Answer
    module: nn.Module | None
    reason: str
    sha256: str
    architecture: str
    fixed: bool = False

    @property
    def white_box(self) -> bool:
        return self.module is not None

    def small(self, images: int) -> TorchModel | FunctionModel:
        """The same model for work on a few images, whose batches are not padded to the audit's size."""
        if self.fixed or not isinstance(self.model, TorchModel):
            return self.model
        return self.model.with_batch(images)


def network(
    module: nn.Module,
    plan: ModelPlan,
    *,
    kernel_batch: int,
    name: str,
    sha256: str,
    reason: str,
    native: Native | None = None,
    fixed: bool = False,
) -> Opened:
    """A torch module as a white box.  It is put into evaluation mode and its parameters are frozen: it is our copy."""
    for part in module.modules():
        part.training = False  # .eval() is refused by exported programs, whose flag has no effect
    for parameter in module.parameters():
        parameter.requires_grad = False
    image, answer = plan.input.build(), plan.answer()

    def run(spec: ImageInput, x: Tensor) -> Tensor:
        with torch.no_grad():
            if fixed:
                return FunctionModel(
                    lambda a: module(torch.from_numpy(a)).numpy(),
                    spec,
                    answer,
                    batch=kernel_batch,
                    fixed=True,
                    name=name,
                ).raw(x)
            found: Tensor = module(spec.apply(x))
        return found

    view = NetworkView(module, image, answer, name)
    return Opened(
        model=TorchModel(view, "logits", kernel_batch, name),
        native=native or run,
        image=image,
        answer=answer,
        module=module,
        reason=reason,
        sha256=sha256,
        architecture=type(module).__name__,
        fixed=fixed,
    )


def existing(path: str, what: str) -> Path:
    """Raises UserError when there is no such file."""
    file = Path(path)
    if not file.is_file():
        raise UserError(f"there is no file {file}: 'path' must name {what}")
    return file


NOT_THE_MODEL = {
    "path", "weights", "predictions", "cache", "name", "tolerance", "thresholds", "intended_use",
}  # fmt: skip
"""What a description says that changes no answer of the model."""


def digest(plan: ModelPlan, *files: Path) -> str:
    """SHA-256 of the files and of all that the plan states about the model, but for where it lies."""
    found = hashlib.sha256(plan.model_dump_json(exclude=NOT_THE_MODEL).encode())
    for file in files:
        with file.open("rb") as stream:
            found.update(hashlib.file_digest(stream, "sha256").digest())
    return found.hexdigest()
