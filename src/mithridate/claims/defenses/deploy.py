"""Each defense put in place of a plain detector, with what it costs and what an adaptive attacker then faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mithridate.claims.attacks.exact import ExactOptimum
from mithridate.claims.attacks.oracle import Scorer
from mithridate.claims.attacks.proposals import Proposals
from mithridate.claims.attacks.terms import Terms
from mithridate.claims.budget import CodeEdits
from mithridate.claims.claim import Claim
from mithridate.claims.defenses.records import RecordRetrieval
from mithridate.claims.detector import Detector, Performance, Recipe, part_of, train

DefenseName = Literal["none", "families", "monotone", "adversarial-training", "records"]

LIMITS: dict[DefenseName, str] = {
    "none": "The detector as it is.",
    "families": "Codes are seen by category and chapter only: siblings look alike, and so do honest and upcoded ones.",
    "monotone": "The score never falls when a code is added or more is paid, all else equal; this certifies nothing "
    "about replaced or dropped codes, nor about more money hidden behind fewer codes.",
    "adversarial-training": "Trained on the optimal edits of an earlier model; edits of another kind or number were "
    "not in its lessons.",
    "records": "Records are asked for a share of honest claims too; what stays below that share is not looked at.",
}
"""What each defense is, and what it does not promise."""


@dataclass(frozen=True, eq=False)
class Defended:
    """A defense in place.

    `model` decides; `detector` is the trained model inside it; `burden` the share of honest test claims whose record
    is asked for.
    """

    name: DefenseName
    model: Scorer
    detector: Detector
    performance: Performance
    burden: float = 0.0

    @property
    def as_seen_by_attacker(self) -> Scorer:
        """What an adaptive attacker works against: the deciding model itself, defense and all."""
        return self.model

    @property
    def limits(self) -> str:
        return LIMITS[self.name]


@dataclass(frozen=True, eq=False)
class Material:
    """What defenses are built from: N claims, whether each is abusive (bool N), payment and rules, a seed."""

    claims: Sequence[Claim]
    fraud: NDArray[np.bool_]
    terms: Terms
    seed: int = 0

    def part(self, name: str) -> NDArray[np.int64]:
        """Rows of one part of the providers."""
        return np.flatnonzero([part_of(claim.provider, self.seed) == name for claim in self.claims])


class Learner(Protocol):
    """Makes the detector that a recipe asks for, from a material and perhaps more training claims."""

    def __call__(
        self, material: Material, recipe: Recipe, extra: tuple[Sequence[Claim], ArrayLike] | None = None
    ) -> tuple[Detector, Performance]: ...


def trained(
    material: Material,
    recipe: Recipe,
    extra: tuple[Sequence[Claim], ArrayLike] | None = None,
    estimator: Any = None,
) -> tuple[Detector, Performance]:
    """The usual learner: trains what the recipe says, or a copy of the estimator."""
    return train(
        material.claims,
        material.fraud,
        recipe,
        pricer=material.terms.pricer,
        seed=material.seed,
        extra=extra,
        estimator=estimator,
    )


def deploy(
    name: DefenseName,
    material: Material,
    recipe: Recipe,
    *,
    learn: Learner = trained,
    lessons: int = 100,
    rate: float = 0.2,
    budget: CodeEdits | None = None,
) -> Defended:
    """Build one defense around the detector that `learn` makes.

    lessons: abusive training claims whose optimal edits adversarial training learns from (under `budget`, default 2
    edits of all classes); rate: share of honest claims whose record is asked for.
    """
    claims, fraud = material.claims, material.fraud
    if name == "families":
        recipe = replace(recipe, detail="category")
    if name == "monotone":
        recipe = replace(recipe, monotone=True)
    detector, performance = learn(material, recipe)
    if name == "adversarial-training":
        extra = _optimal_edits(detector, material, lessons, budget or CodeEdits(2))
        detector, performance = learn(material, recipe, (extra, np.ones(len(extra))))
    if name != "records":
        return Defended(name, detector, detector, performance)
    held, tested = material.part("calibration"), material.part("test")
    honest = [claims[i] for i in held.tolist() if not fraud[i]]
    retrieval = RecordRetrieval.build(detector, material.terms, honest, rate)
    untouched = [claims[i] for i in tested.tolist() if not fraud[i]]
    return Defended(name, retrieval, detector, performance, float(retrieval.asked(untouched).mean()))


def _optimal_edits(detector: Detector, material: Material, lessons: int, budget: CodeEdits) -> list[Claim]:
    """The most profitable undetected version of abusive training claims, by the exact attack."""
    rows = [i for i in material.part("train").tolist() if material.fraud[i]]
    rng = np.random.default_rng([material.seed, 77])
    chosen = sorted(rng.permutation(rows)[:lessons].tolist())
    proposals = Proposals.learn([material.claims[i] for i in material.part("train").tolist()])
    attack, found = ExactOptimum(seconds=5.0), []
    for i in chosen:
        space = proposals.space(material.claims[i], budget, material.terms)
        best = attack.solve(detector, material.terms, space).candidate
        if best is not None and best != material.claims[i]:
            found.append(best)
    return found
