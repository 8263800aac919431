"""What a claims plan names, loaded or made: claims, labels, the model with each defense, and who is attacked."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mithridate.audit.claims.models import CallableModel, EstimatorModel, HttpModelPlan
from mithridate.audit.claims.plan import ClaimsPlan, FileData
from mithridate.audit.jobs import fingerprint
from mithridate.claims.attacks.oracle import Decider
from mithridate.claims.attacks.proposals import Proposals
from mithridate.claims.attacks.surrogate import Surrogate
from mithridate.claims.attacks.terms import Terms
from mithridate.claims.claim import Claim
from mithridate.claims.defenses.deploy import Defended, DefenseName, Learner, Material, deploy, trained
from mithridate.claims.detector import Detector, Performance, Recipe
from mithridate.claims.endpoint import CallableDecider, CallableScorer, HttpModel
from mithridate.claims.input import read_claims
from mithridate.claims.input.write import claim_record
from mithridate.claims.outside import adopt, load_estimator, load_function
from mithridate.claims.population import PopulationPlan, generate
from mithridate.errors import UserError
from mithridate.seeds import derive

LABEL_COLUMNS = (("id", "fraud"), ("claim", "abusive"))
"""Names of the columns of claim and label; the second pair is what `claims generate` writes."""


@dataclass(frozen=True, eq=False)
class ClaimsSubject:
    """Everything that a shard needs; defenses are trained when they are first asked for."""

    plan: ClaimsPlan
    material: Material
    data: str
    """Fingerprint of claims and labels."""
    learn: Learner = trained
    """Makes the model under audit, or takes the one that exists."""
    left_out: tuple[str, ...] = ()
    """Claims of the file that are not audited, and why, one sentence each."""

    @cached_property
    def defended(self) -> dict[DefenseName, Defended]:
        return {}

    def defense(self, name: DefenseName) -> Defended:
        """One defense in place, trained once."""
        if name not in self.defended:
            self.defended[name] = deploy(name, self.material, self.plan.detector.recipe(), learn=self.learn)
        return self.defended[name]

    @cached_property
    def proposals(self) -> Proposals:
        """Codes that an attacker thinks of: those billed in the training part."""
        return Proposals.learn([self.material.claims[i] for i in self.material.part("train").tolist()])

    @cached_property
    def surrogate(self) -> Surrogate:
        """The attacker's own model, fitted to the decisions that it has seen on the calibration part."""
        seen = [self.material.claims[i] for i in self.material.part("calibration").tolist()]
        base = self.defense("none")
        return Surrogate.fit(seen, base.model.denies(seen), base.detector.features, seed=self.plan.seed)

    @cached_property
    def readable(self) -> bool:
        """Whether the model has an exact form: what certificates and the exact attack need."""
        try:
            _ = self.defense("none").detector.exact
        except UserError:
            return False
        return True

    @cached_property
    def attacked(self) -> tuple[int, ...]:
        """Rows of the claims that are attacked: a seeded choice of the test part, in order of id."""
        claims = self.material.claims
        tested = self.material.part("test").tolist()
        chosen = sorted(tested, key=lambda i: derive(self.plan.seed, "attacked", claims[i].id))[: self.plan.claims]
        return tuple(sorted(chosen, key=lambda i: claims[i].id))

    def examples(self, first: int, last: int) -> tuple[list[Claim], NDArray[np.bool_]]:
        """Claims [first, last) of those attacked, and whether each is abusive."""
        rows = list(self.attacked[first:last])
        return [self.material.claims[i] for i in rows], self.material.fraud[rows]


@lru_cache(maxsize=4)
def load_claims_subject(plan: ClaimsPlan, allow_code: bool = False) -> ClaimsSubject:
    """Load or make what a plan names.

    `allow_code` permits a model whose loading runs code.  Raises UserError when claims and labels do not fit each
    other, or the model cannot be loaded.
    """
    learn = _learner(plan, allow_code)
    left_out: tuple[str, ...] = ()
    if isinstance(plan.data, FileData):
        claims, fraud, left_out = _read(plan.data)
        known = fingerprint([[claim_record(claim) for claim in claims], fraud.tolist()])
    else:
        made = generate(PopulationPlan(**plan.data.model_dump()))
        claims, fraud = made.claims, made.abusive
        known = fingerprint(plan.data.model_dump())
    return ClaimsSubject(plan, Material(claims, fraud, Terms(), plan.seed), known, learn, left_out)


def _learner(plan: ClaimsPlan, allow_code: bool) -> Learner:
    model = plan.detector
    if isinstance(model, EstimatorModel):
        return partial(trained, estimator=load_estimator(Path(model.path), allow_code=allow_code))
    if isinstance(model, CallableModel):
        function = load_function(model.function, allow_code=allow_code)
        return _asked(CallableDecider(function) if plan.labels_only else CallableScorer(function, 0.0), model)
    if isinstance(model, HttpModelPlan):
        endpoint = HttpModel(model.url, model.seconds)
        return _asked(endpoint if plan.labels_only else endpoint.scorer(0.0), model)
    return trained


def _asked(answering: Decider, plan: CallableModel | HttpModelPlan) -> Learner:
    """The learner that takes a model as it is: no defense of it is trained."""

    def learn(
        material: Material, recipe: Recipe, extra: tuple[Sequence[Claim], ArrayLike] | None = None
    ) -> tuple[Detector, Performance]:
        return adopt(
            answering,
            material.claims,
            material.fraud,
            labels_only=plan.answers == "labels",
            threshold=plan.threshold,
            false_positive_rate=recipe.false_positive_rate,
            pricer=material.terms.pricer,
            seed=material.seed,
            name=plan.kind,
        )

    return learn


def _read(data: FileData) -> tuple[Sequence[Claim], NDArray[np.bool_], tuple[str, ...]]:
    """Claims with labels, the labels, and what was left out."""
    parsed = read_claims(Path(data.claims))
    labels: dict[str, bool] = {}
    try:
        with Path(data.labels).open(newline="", encoding="utf-8-sig") as stream:
            rows = csv.DictReader(stream)
            columns = rows.fieldnames or ()
            named = next((pair for pair in LABEL_COLUMNS if set(pair) <= set(columns)), None)
            if named is None:
                raise UserError(f"{data.labels} needs the columns id and fraud, or claim and abusive")
            for number, row in enumerate(rows, 2):
                text = (row[named[1]] or "").strip().lower()
                if text not in ("0", "1", "true", "false"):
                    raise UserError(f"{data.labels}, line {number}: {named[1]} is '{text}': write 0 or 1")
                labels[row[named[0]]] = text in ("1", "true")
    except OSError as error:
        raise UserError(f"{data.labels} cannot be read: {error.strerror}") from None
    kept = [claim for claim in parsed.claims if claim.id in labels]
    if not parsed.claims and parsed.refused:
        raise UserError(f"no claim of {data.claims} can be used; the first: {parsed.refused[0]}")
    if not kept:
        raise UserError(f"no claim of {data.claims} has a label in {data.labels}: do the ids match?")
    left_out = [str(problem) for problem in parsed.refused]
    unlabeled = [claim.id for claim in parsed.claims if claim.id not in labels]
    left_out += [f"{data.claims} (claim {name}): has no label in {data.labels}" for name in unlabeled]
    return kept, np.array([labels[claim.id] for claim in kept], dtype=np.bool_), tuple(left_out)
