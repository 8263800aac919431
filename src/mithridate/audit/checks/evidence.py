"""What the checks look at: findings by cell, and what the probes measured.  Plain data; no check runs a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mithridate.audit.findings import success
from mithridate.audit.results import Kind
from mithridate.models.acceptance import Reproduced

GRADIENT_FREE = ("square", "finite-differences", "hop-skip-jump", "boundary")
"""Attacks of a plan that ask the model itself, for scores or labels only."""


@dataclass(frozen=True)
class CellEvidence:
    """One condition: what was attacked how, and its findings."""

    key: str
    kind: Kind
    attack: str
    parameters: dict[str, Any]
    budget: dict[str, Any]
    size: float
    main: bool
    sweep: str | None
    findings: pd.DataFrame

    def fooled(self, column: str = "prediction") -> frozenset[str]:
        """Ids of the examples that were right before and wrong after."""
        return frozenset(self.findings.loc[success(self.findings, column), "example"])

    @property
    def right(self) -> frozenset[str]:
        """Ids of the examples that were right before."""
        rows = self.findings["clean_prediction"] == self.findings["label"]
        return frozenset(self.findings.loc[rows, "example"])

    @property
    def rate(self) -> float:
        """Success rate in [0, 1]; 0 when nothing was right before."""
        return len(self.fooled()) / len(self.right) if self.right else 0.0

    def option(self, name: str, otherwise: Any) -> Any:
        """One of the options by which the attack came by its gradients."""
        return self.parameters.get("gradient", {}).get(name, otherwise)

    def inside(self, other: CellEvidence) -> bool:
        """Whether every change of this cell's budget is one of the other's: the same norm, no larger."""
        return self.budget.get("kind") == other.budget.get("kind") and self.size <= other.size


@dataclass(frozen=True)
class ModelProbe:
    """A few examples shown to the model under audit, unattacked.

    native_difference  largest difference in probability between the adapter and the model's own runtime
    state_kept         whether the module is bit for bit what it was; training_parts: its parts in training mode
    batch_difference   largest difference in probability between an image alone and among others; batch_decisions: how
                       many of `batch_tested` decisions differ
    passes, spread     how often the same images were asked about, and the largest range of a probability over the
                       passes; flips: examples whose decision changed
    output, mislabeled what the head was stated to be, and why it cannot be that
    zero, broken       ids of examples whose margin has a zero, or a NaN or infinite, input gradient; starved: those
                       whose cross-entropy alone has none; None where the model has no gradients
    slope_error        difference between the measured and the computed slope along random directions, as a part of the
                       measured one; None where nothing moves or there are no gradients
    stored             bits -> (still wrong after storage, wrong before storage), over kept pictures
    """

    examples: int
    white_box: bool
    access: str
    classes: int
    native_difference: float
    state_kept: bool
    training_parts: int
    batch_tested: int
    batch_difference: float
    batch_decisions: int
    passes: int
    spread: float
    flips: int
    output: str
    mislabeled: str | None
    zero: tuple[str, ...] | None
    broken: tuple[str, ...] | None
    starved: tuple[str, ...] | None
    slope_error: float | None
    stored: dict[str, tuple[int, int]]

    @property
    def randomized(self) -> bool:
        return self.spread > SPREAD


SPREAD = 1e-4
"""Ranges of a probability over repeated questions up to this are rounding."""


@dataclass(frozen=True)
class SurvivorProbe:
    """The examples that every white-box attack of one budget left right, attacked again in other ways.

    right, survivors, probed  examples that were right when clean, of those the ones still right, and of those the ones
                              probed here; all other counts are of probed examples
    doubled        fooled by the strongest attack with twice the steps and one restart more
    single_step    fooled by one full step
    gradient_free  fooled by the square attack, with `queries` questions each
    noise          fooled by one of `draws` random draws each
    half_range     fooled with half of the pixels' range as the budget
    unfinished     those whose best loss still rose by more than 0.05 of its range in the last 10 steps; change: the
                   largest such rise
    lost           those where an iterate was adversarial and what the attack returned is not
    """

    cell: str
    budget: dict[str, Any]
    size: float
    right: int
    survivors: int
    probed: int
    doubled: int = 0
    single_step: int = 0
    gradient_free: int = 0
    queries: int = 0
    noise: int = 0
    draws: int = 0
    half_range: int = 0
    unfinished: int = 0
    change: float = 0.0
    lost: int = 0

    def points(self, count: int) -> float:
        """So many of the probed examples, as percentage points of success over all that were right when clean."""
        return 100 * count / self.probed * self.survivors / self.right if self.probed else 0.0


@dataclass(frozen=True)
class Evidence:
    """Everything about one task.  `confirmed` says who vouches for the model's preprocessing."""

    cells: tuple[CellEvidence, ...]
    model: ModelProbe
    survivors: tuple[SurvivorProbe, ...]
    reproduced: Reproduced | None
    confirmed: str
    robust_accuracy: float | None
    canaries: int
    undefended: str | None = None

    @property
    def clean(self) -> CellEvidence:
        return next(cell for cell in self.cells if cell.kind == "clean")

    @property
    def attacked(self) -> tuple[CellEvidence, ...]:
        return tuple(cell for cell in self.cells if cell.kind != "clean")

    def white(self, *, main: bool = True) -> tuple[CellEvidence, ...]:
        return tuple(c for c in self.cells if c.kind == "white-box" and (c.main or not main))

    def everywhere(self, is_so: Callable[[CellEvidence], bool]) -> bool:
        """Whether there are main white-box cells, and of each budget at least one is so."""
        groups = self.white_groups()
        return bool(groups) and all(any(is_so(cell) for cell in group) for group in groups)

    def white_groups(self) -> tuple[tuple[CellEvidence, ...], ...]:
        """The main white-box cells, those of one budget together: what one attack misses another may find."""
        groups: dict[str, list[CellEvidence]] = {}
        for cell in self.white():
            groups.setdefault(str(sorted(cell.budget.items())), []).append(cell)
        return tuple(tuple(cells) for cells in groups.values())
