"""Keras 3 models on Keras's torch backend: a white box, its inputs that are no image held fixed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mithridate.errors import MissingExtra, UserError
from mithridate.models.description import KerasPlan
from mithridate.models.image_input import ImageInput
from mithridate.models.opened import Opened, digest, existing, network


class KerasNetwork(nn.Module):
    """A Keras model as a function of its image alone: N x H x W x C or N x C x H x W in, its output out."""

    def __init__(self, model: Any, image: str, extra: dict[str, tuple[float, ...]]) -> None:
        super().__init__()
        self.model, self._image = model, image
        self._order = [tensor.name for tensor in model.inputs]
        self._extra = {name: torch.tensor(values, dtype=torch.float32) for name, values in extra.items()}
        self.training = False

    def forward(self, x: Tensor) -> Tensor:
        given = {name: value.expand(len(x), -1) for name, value in self._extra.items()} | {self._image: x}
        inputs = [given[name] for name in self._order]
        # The training flag of a call, not of the module, decides what dropout and batch normalization do in Keras.
        answer: Tensor = self.model(inputs if len(inputs) > 1 else inputs[0], training=False)
        return answer


def open_keras(plan: KerasPlan, *, kernel_batch: int, name: str) -> Opened:
    """Raises UserError when the file is no safe Keras model, or its inputs are not those stated."""
    file = existing(plan.path, "a .keras or .h5 file")
    model = _load(file)
    image = _inputs(model, plan, file)
    module = KerasNetwork(model, image, plan.extra)

    def native(spec: ImageInput, x: Tensor) -> Tensor:
        shown = {image: spec.apply(x).numpy()} | {
            key: np.tile(np.asarray(values, dtype=np.float32), (len(x), 1)) for key, values in plan.extra.items()
        }
        inputs = [shown[tensor.name] for tensor in model.inputs]
        return torch.from_numpy(np.array(model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)))

    return network(
        module, plan, kernel_batch=kernel_batch, name=name, sha256=digest(plan, file), native=native,
        reason="Keras on its torch backend, differentiated",
    )  # fmt: skip


def _load(file: Path) -> Any:
    # Keras reads this once, when it is first imported.
    os.environ.setdefault("KERAS_BACKEND", "torch")
    try:
        import keras  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtra("a Keras model", "keras") from error
    if keras.backend.backend() != "torch":
        raise UserError(
            f"{file} needs Keras on its torch backend and Keras runs on {keras.backend.backend()}: "
            "unset KERAS_BACKEND or set it to torch"
        )
    try:
        # Safe mode refuses layers that carry code (lambdas).
        return keras.saving.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever its deserializers raise
        said = " ".join(str(error).split())[:200]
        raise UserError(
            f"{file} is no Keras model that loads without running code: {said}; "
            "for layers of your own, give a factory with format 'torch'"
        ) from error


def _inputs(model: Any, plan: KerasPlan, file: Path) -> str:
    """The name of the image input.  Raises UserError when the stated inputs are not those of the model."""
    shapes = {tensor.name: tuple(tensor.shape) for tensor in model.inputs}
    image = plan.image or next((key for key, shape in shapes.items() if len(shape) == 4), None)
    if image not in shapes:
        raise UserError(f"{file} has no input '{image}': its inputs are {', '.join(shapes)}; name one as 'image'")
    others = {key: shape for key, shape in shapes.items() if key != image}
    if others.keys() != plan.extra.keys():
        wrong = sorted(others.keys() ^ plan.extra.keys())[0]
        words = "has no such input" if wrong in plan.extra else "has it, and it is not given"
        raise UserError(f"{file}: 'extra' holds the inputs that are no image; '{wrong}': the model {words}")
    for key, shape in others.items():
        if len(shape) != 2 or shape[1] not in (None, len(plan.extra[key])):
            raise UserError(f"{file}: input '{key}' takes {shape[1:]} numbers and 'extra' gives {len(plan.extra[key])}")
    spec = plan.input
    stated = (spec.size, spec.size, spec.channels) if spec.layout == "NHWC" else (spec.channels, spec.size, spec.size)
    if any(n not in (None, mine) for n, mine in zip(shapes[image][1:], stated, strict=True)):
        raise UserError(
            f"{file} takes images of shape {shapes[image][1:]} and the plan states {spec.layout} {stated}: "
            "mend the input's size, channels or layout"
        )
    return str(image)
