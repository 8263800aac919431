"""What an attack on images asks for: the three kinds of oracle as protocols, and views of an oracle.

`mithridate.oracle` has the oracles that an audit hands out.  A view is an oracle seen through something (a few of its
examples, a random transformation, an undifferentiable preprocessor) that charges every query to the oracle behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from mithridate.attack import Examples
from mithridate.oracle import Loss
from mithridate.seeds import ExampleRandom

LANES = 16
"""Examples that are worked on at a time: the kernel batch of the torch adapter, so that no batch is padded."""


class DecisionOracle(Protocol):
    """Labels only."""

    @property
    def classes(self) -> int: ...

    @property
    def limit(self) -> int | None: ...

    @property
    def queries(self) -> Tensor: ...

    def decide(self, inputs: Tensor, rows: Tensor) -> Tensor: ...


class ScoreOracle(DecisionOracle, Protocol):
    """Labels and logits."""

    def scores(self, inputs: Tensor, rows: Tensor) -> Tensor: ...


class GradientOracle(ScoreOracle, Protocol):
    """Labels, logits and input gradients."""

    def loss_and_gradient(
        self, inputs: Tensor, labels: Tensor, rows: Tensor, loss: Loss
    ) -> tuple[Tensor, Tensor, Tensor]: ...


class View:
    """The oracle behind it, unchanged: what a view does not override it passes on, and what the oracle behind it does
    not offer, it does not offer either."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    @property
    def classes(self) -> int:
        return int(self.inner.classes)

    @property
    def limit(self) -> int | None:
        limit: int | None = self.inner.limit
        return limit

    @property
    def queries(self) -> Tensor:
        queries: Tensor = self.inner.queries
        return queries

    @property
    def gradient_cost(self) -> int:
        return gradient_cost(self.inner)

    @property
    def score_cost(self) -> int:
        return score_cost(self.inner)

    @property
    def scouting(self) -> bool:
        return is_scout(self.inner)

    @property
    def kernel_batch(self) -> int:
        return lanes_of(self.inner)

    def deny(self, rows: Tensor) -> None:
        self.inner.deny(rows)

    def decide(self, inputs: Tensor, rows: Tensor) -> Tensor:
        decisions: Tensor = self.inner.decide(inputs, rows)
        return decisions

    def scores(self, inputs: Tensor, rows: Tensor) -> Tensor:
        logits: Tensor = self.inner.scores(inputs, rows)
        return logits

    def loss_and_gradient(
        self, inputs: Tensor, labels: Tensor, rows: Tensor, loss: Loss
    ) -> tuple[Tensor, Tensor, Tensor]:
        answer: tuple[Tensor, Tensor, Tensor] = self.inner.loss_and_gradient(inputs, labels, rows, loss)
        return answer


class SomeRows(View):
    """Only the oracle's examples `rows` (int64, M), renumbered from 0."""

    def __init__(self, inner: Any, rows: Tensor) -> None:
        super().__init__(inner)
        self._rows = rows

    @property
    def queries(self) -> Tensor:
        return super().queries[self._rows]

    def deny(self, rows: Tensor) -> None:
        super().deny(self._rows[rows])

    def doubtful(self, candidates: Tensor, rows: Tensor, goal: Any) -> Tensor:
        doubtful: Tensor = self.inner.doubtful(candidates, self._rows[rows], goal)
        return doubtful

    def exact(self) -> SomeRows:
        return SomeRows(self.inner.exact(), self._rows)

    def decide(self, inputs: Tensor, rows: Tensor) -> Tensor:
        return super().decide(inputs, self._rows[rows])

    def scores(self, inputs: Tensor, rows: Tensor) -> Tensor:
        return super().scores(inputs, self._rows[rows])

    def loss_and_gradient(
        self, inputs: Tensor, labels: Tensor, rows: Tensor, loss: Loss
    ) -> tuple[Tensor, Tensor, Tensor]:
        return super().loss_and_gradient(inputs, labels, self._rows[rows], loss)


class SomeRandom(ExampleRandom):
    """The random streams of `rows` only, renumbered from 0; they advance where they belong."""

    def __init__(self, inner: ExampleRandom, rows: Tensor) -> None:
        self._inner, self._rows = inner, rows

    def __len__(self) -> int:
        return len(self._rows)

    def uniform(self, rows: Tensor, shape: Sequence[int], low: float = 0.0, high: float = 1.0) -> Tensor:
        return self._inner.uniform(self._rows[rows], shape, low, high)

    def normal(self, rows: Tensor, shape: Sequence[int]) -> Tensor:
        return self._inner.normal(self._rows[rows], shape)


def attack_some(attack: Any, oracle: Any, examples: Examples, budget: Any, rng: ExampleRandom, rows: Tensor) -> Tensor:
    """`attack` on the examples `rows` alone; candidates len(rows) x C x H x W."""
    some = Examples(
        examples.inputs[rows],
        examples.labels[rows],
        tuple(examples.ids[int(row)] for row in rows),
        None if examples.targets is None else examples.targets[rows],
    )
    candidates: Tensor = attack.run(SomeRows(oracle, rows), some, budget, SomeRandom(rng, rows))
    return candidates


def each_attack(attack: Any, wrap: Callable[[Any], Any]) -> Any:
    """`attack` in its wrapping; one that runs others (it has `each`) with each of those in its wrapping."""
    return attack.each(wrap) if hasattr(attack, "each") else wrap(attack)


def is_scout(oracle: Any) -> bool:
    """Whether the oracle's logits and gradients come from a fast copy, so that a success needs verification by
    `decide`, which always asks the caller's own model."""
    return bool(getattr(oracle, "scouting", False))


def lanes_of(oracle: Any) -> int:
    """How many examples fill one evaluation of the oracle's model."""
    return int(getattr(oracle, "kernel_batch", LANES))


def gradient_cost(oracle: Any) -> int:
    """Queries that one gradient of one example costs."""
    return int(getattr(oracle, "gradient_cost", 1))


def score_cost(oracle: Any) -> int:
    """Queries that the logits or the decision of one example cost."""
    return int(getattr(oracle, "score_cost", 1))


def affords(oracle: DecisionOracle, rows: Tensor, queries: int) -> Tensor:
    """Which rows may still ask so many queries, bool."""
    if oracle.limit is None:
        return torch.ones(len(rows), dtype=torch.bool)
    return oracle.queries[rows] + queries <= oracle.limit
