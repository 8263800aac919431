"""A user's network or prediction function, seen as the audit sees every model: pixels in [0, 1] in, logits out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mithridate.errors import MithridateError, UserError
from mithridate.models.heads import MULTILABEL, OUTPUTS, SINGLE, Output, checked, softmax_logits, two_class
from mithridate.models.image_input import ImageInput

Predict = Callable[[NDArray[np.float32]], NDArray[Any]]
"""Inputs as the model takes them, float32, in; its own answer, N or N x K, out."""


@dataclass(frozen=True)
class Answer:
    """What a model's answer means.

    output    see `heads.Output`
    positive  the classes that count as positive: the audit then sees two classes.  None keeps all K
    classes   their names, if known; their number is checked against the answer's width
    """

    output: Output = "logits"
    positive: tuple[int, ...] | None = None
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.output not in OUTPUTS:
            raise UserError(f"there is no output '{self.output}': state one of {', '.join(OUTPUTS)}")

    def logits(self, raw: Tensor, count: int, name: str) -> Tensor:
        """Logits N x 2 (or N x K without `positive`).  Raises UserError for an answer of another width."""
        raw = checked(raw, self.output, count, name)
        width = 2 if self.output in SINGLE else raw.shape[1]
        if self.classes and len(self.classes) != width:
            raise UserError(f"{name} answers for {width} classes and {len(self.classes)} are named: name them all")
        logits = softmax_logits(raw, self.output)
        if self.positive is None:
            return logits
        if max(self.positive) >= logits.shape[1]:
            raise UserError(
                f"{name} answers with {logits.shape[1]} values, so it has no class number {max(self.positive)} "
                "(counted from 0) to call positive: mend head, classes or positive"
            )
        if (width, self.positive) == (2, (1,)) and logits.shape[1] == 2 and "multilabel" not in self.output:
            return logits
        return two_class(logits, self.output, self.positive)

    def describe(self) -> str:
        """What the model answers, and how the audit's two-class question is read from it."""
        if self.output in SINGLE:
            return f"{self.output}: one number, for the positive class"
        names = ", ".join(self.classes) or "classes without names"
        positive = [self.classes[k] if self.classes else f"number {k}" for k in self.positive or ()]
        if self.output in MULTILABEL:
            which = (
                f"the finding {positive[0]} alone" if len(positive) == 1 else f"the largest of {', '.join(positive)}"
            )
            return f"{self.output} of {names}, each for itself; asked about: {which}"
        summed = ", their probabilities added up" if len(positive) > 1 else ""
        return f"{self.output} of {names}; positive: {', '.join(positive)}{summed}"


class NetworkView(nn.Module):
    """A torch module behind its input and its head; differentiable wherever the module is."""

    def __init__(self, module: nn.Module, image: ImageInput, answer: Answer, name: str) -> None:
        super().__init__()
        self.module, self.image, self.answer, self.name = module, image, answer, name
        self.training = False

    def native(self, x: Tensor) -> Tensor:
        """The module's own answer to pixels N x C x H x W in [0, 1].  Raises UserError when it fails on them."""
        shown = self.image.apply(x)
        try:
            answer: Tensor = self.module(shown)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError, IndexError) as error:
            spec = self.image
            # The last line is the kernel's own complaint; TorchScript puts a traceback before it.
            why = str(error).strip().splitlines()[-1:] or [type(error).__name__]
            raise UserError(
                f"{self.name} fails on images {spec.channels} x {spec.size} x {spec.size} ({why[0].strip()}): state "
                "the input's size and channels as the model takes them"
            ) from error
        return answer

    def forward(self, x: Tensor) -> Tensor:
        return self.answer.logits(self.native(x), len(x), self.name)


class FunctionModel:
    """A model that answers and cannot be differentiated: the black box.

    `batch` inputs are handed over at once, at most; with `fixed` always exactly so many, the last ones repeated.
    """

    def __init__(
        self,
        predict: Predict,
        image: ImageInput,
        answer: Answer,
        *,
        batch: int = 16,
        fixed: bool = False,
        name: str = "model",
    ) -> None:
        self._predict, self._image, self._answer = predict, image, answer
        self._batch, self._fixed, self._name = batch, fixed, name
        self._classes: int | None = 2 if answer.positive is not None or answer.output in SINGLE else None

    @property
    def classes(self) -> int:
        if self._classes is None:
            raise MithridateError(f"{self._name} has not answered yet, so its number of classes is not known")
        return self._classes

    @property
    def kernel_batch(self) -> int:
        """How many inputs are handed over at once, at most."""
        return self._batch

    def logits(self, inputs: Tensor) -> Tensor:
        """Logits N x K, float32."""
        if len(inputs) == 0:
            return torch.empty(0, 2)
        logits = self._answer.logits(self.raw(inputs), len(inputs), self._name)
        self._classes = logits.shape[1]
        return logits

    def raw(self, inputs: Tensor) -> Tensor:
        """The model's own answer to pixels N x C x H x W in [0, 1]."""
        parts = []
        for chunk in torch.split(self._image.apply(inputs), self._batch):
            used = len(chunk)
            if self._fixed and used < self._batch:
                chunk = torch.cat([chunk, chunk[-1:].expand(self._batch - used, *chunk.shape[1:])])
            found = np.asarray(self._predict(np.ascontiguousarray(chunk.numpy(), dtype=np.float32)))
            if found.ndim == 0 or len(found) != len(chunk):
                raise UserError(
                    f"{self._name} returned shape {found.shape} for {len(chunk)} images: one row each is due"
                )
            parts.append(torch.from_numpy(np.array(found[:used], dtype=np.float32)))
        return torch.cat(parts)
