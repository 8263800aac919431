"""What an attacker may ask of a model.

`Gradients` (white box) offers all that `Scores` offers, which offers all that `Decisions` offers.  An attacker's
knowledge *is* the oracle it is handed: a black-box attack cannot cheat, because it holds no gradients.

Inputs are float32 N x C x H x W in [0, 1]; whatever a model needs instead happens behind its `logits` function.
`rows` says which of the oracle's examples the inputs belong to, so that queries are counted, and limited, per example.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from mithridate.errors import QueryLimitReached

Loss = Callable[[Tensor, Tensor], Tensor]
"""(logits N x K, labels N) -> one loss per example, N.  Never reduced: an example must not feel its batch."""


class Model(Protocol):
    """What an oracle asks of an adapter in `mithridate.models`."""

    @property
    def classes(self) -> int: ...

    def logits(self, inputs: Tensor) -> Tensor:
        """Logits N x K, float32, without gradients."""
        ...


class DifferentiableModel(Model, Protocol):
    """An adapter that can also differentiate a loss with respect to its input."""

    def logits_and_gradient(self, inputs: Tensor, labels: Tensor, loss: Loss) -> tuple[Tensor, Tensor, Tensor]:
        """Logits N x K, losses N and the gradient of each example's own loss, shaped like the inputs."""
        ...


class Decisions:
    """Labels only.  `examples` is how many examples it will be asked about; `limit` caps the queries of each."""

    def __init__(self, model: Model, examples: int, limit: int | None = None) -> None:
        self._model = model
        self.limit = limit
        self.queries = torch.zeros(examples, dtype=torch.int64)
        self.gradients = torch.zeros(examples, dtype=torch.int64)

    @property
    def classes(self) -> int:
        return self._model.classes

    @property
    def kernel_batch(self) -> int:
        """How many inputs fill one evaluation of the model; 16 for a model that does not say."""
        return int(getattr(self._model, "kernel_batch", 16))

    def decide(self, inputs: Tensor, rows: Tensor) -> Tensor:
        """Predicted class of each input, int64 N.  Raises QueryLimitReached before asking, if any row has none left."""
        self._charge(rows)
        return self._model.logits(inputs).argmax(1)

    def _charge(self, rows: Tensor) -> None:
        after = self.queries + torch.bincount(rows, minlength=len(self.queries))
        if self.limit is not None and int(after.max()) > self.limit:
            raise QueryLimitReached(f"the query limit of {self.limit} per example is reached")
        self.queries.copy_(after)  # in place: an oracle that goes on with these counts holds the same tensor


class Scores(Decisions):
    """Labels and logits."""

    def scores(self, inputs: Tensor, rows: Tensor) -> Tensor:
        """Logits N x K of each input."""
        self._charge(rows)
        return self._model.logits(inputs)


class Gradients(Scores):
    """Labels, logits and input gradients: the white box."""

    def __init__(self, model: DifferentiableModel, examples: int, limit: int | None = None) -> None:
        super().__init__(model, examples, limit)
        self._differentiable = model

    def loss_and_gradient(
        self, inputs: Tensor, labels: Tensor, rows: Tensor, loss: Loss
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(logits N x K, losses N, gradients like inputs); one query and one gradient are charged to each row."""
        self._charge(rows)
        self.gradients += torch.bincount(rows, minlength=len(self.gradients))
        return self._differentiable.logits_and_gradient(inputs, labels, loss)
