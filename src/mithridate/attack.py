"""What every attack is: a frozen dataclass of parameters that turns examples into candidates, and claims nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from mithridate.seeds import ExampleRandom


@dataclass(frozen=True)
class Examples:
    """What is attacked: inputs float32 N x C x H x W in [0, 1], true labels int64 N, ids in the same order.

    `targets` (int64 N) are the classes that a targeted attack steers to; None means any wrong class will do.
    """

    inputs: Tensor
    labels: Tensor
    ids: tuple[str, ...]
    targets: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)


class Attack(Protocol):
    """`run` returns candidates shaped like `examples.inputs`, inside the budget; the audit alone judges them."""

    def run(self, oracle: Any, examples: Examples, budget: Any, rng: ExampleRandom) -> Tensor: ...
