"""What every section of the claims benchmark starts from: a population, a detector, test claims in a fixed order."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from mithridate.claims.attacks.proposals import Proposals
from mithridate.claims.attacks.terms import Terms
from mithridate.claims.claim import Claim
from mithridate.claims.detector import Recipe, part_of, train
from mithridate.claims.population import PopulationPlan, generate
from mithridate.seeds import derive

COMMAND = "make bench-claims"
CORES = min(2, os.cpu_count() or 1)
"""The targets speak of two cores."""


class Setting:
    """A population, a detector of 100 trees x 16 leaves at 5% false positives, and test claims in a seeded order."""

    def __init__(self, claims: int, seed: int) -> None:
        self.seed = seed
        self.population = generate(PopulationPlan(claims=claims, seed=seed))
        self.terms = Terms()
        self.detector, self.performance = train(
            self.population.claims, self.population.abusive, Recipe(), pricer=self.terms.pricer, seed=seed
        )
        _ = self.detector.exact  # read once, before the clock runs

    def part(self, name: str) -> list[tuple[Claim, bool]]:
        """Claims of one part of the providers, and whether each is abusive."""
        pairs = zip(self.population.claims, self.population.abusive.tolist(), strict=True)
        return [(claim, abusive) for claim, abusive in pairs if part_of(claim.provider, self.seed) == name]

    @cached_property
    def proposals(self) -> Proposals:
        return Proposals.learn([claim for claim, _ in self.part("train")])

    @cached_property
    def tested(self) -> list[Claim]:
        found = [claim for claim, _ in self.part("test")]
        return sorted(found, key=lambda claim: derive(self.seed, "bench", claim.id))

    def received(self, claims: Sequence[Claim]) -> np.ndarray:
        """Dollars that each claim (N) brings: nothing when it is denied."""
        return self.terms.payments(claims) * ~self.detector.denies(claims)


_WORK: list[Any] = []


def _call(number: int) -> Any:
    function, items = _WORK
    return function(items[number])


def on_all_cores(function: Callable[[Any], Any], items: Sequence[Any], cores: int = CORES) -> list[Any]:
    """function(item) for each item, in order, by forked processes: nothing but numbers and results travels."""
    _WORK[:] = [function, items]
    with multiprocessing.get_context("fork").Pool(cores) as pool:
        return pool.map(_call, range(len(items)), chunksize=1)
