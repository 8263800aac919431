"""What a run establishes beside its attacks: certificates, named scenarios, and drift under its strongest attacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mithridate.audit.claims.drift import drift
from mithridate.audit.claims.findings import families
from mithridate.audit.claims.results import ClaimsCondition, DriftResult, ScenarioResult, Stability, strongest
from mithridate.audit.claims.subject import ClaimsSubject
from mithridate.audit.metrics import estimate
from mithridate.claims.attacks.oracle import Decisions
from mithridate.claims.attacks.scenarios import scenarios
from mithridate.claims.attacks.searches import Exhaustive
from mithridate.claims.budget import measure
from mithridate.claims.defenses.certificate import certify
from mithridate.claims.defenses.records import RecordRetrieval
from mithridate.seeds import generator
from mithridate.statistics import proportion

Progress = Callable[[str, int, int], None]


def read_findings(out: Path, cell: str) -> pd.DataFrame:
    """The findings of one cell, in order of the claims."""
    files = sorted((out / "findings" / cell).glob("*.parquet"))
    whole = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    return whole.sort_values("claim", ignore_index=True)


def drift_of_run(subject: ClaimsSubject, conditions: Sequence[ClaimsCondition], out: Path) -> DriftResult | None:
    """Drift, with the strongest attack on the undefended model at each number of edits of the widest classes."""
    plain = [c for c in conditions if (c.defense, c.attacker) == ("none", "adaptive")]
    widest = max((c.classes for c in plain), key=len)
    doses = sorted({c.k for c in plain if c.classes == widest})
    best = [strongest(c for c in plain if (c.k, c.classes) == (k, widest)) for k in doses]
    return drift(subject, [(f"{c.attack}, {c.k}", read_findings(out, c.cell)) for c in best], out)


def stability_of_run(subject: ClaimsSubject, progress: Progress | None) -> Stability | None:
    """Certificates of the attacked claims; None for a model that cannot be read."""
    if not subject.readable:
        return None
    plan, base = subject.plan, subject.defense("none")
    claims, _ = subject.examples(0, len(subject.attacked))
    outcomes = []
    for number, claim in enumerate(claims, 1):
        found = certify(claim, base.detector, subject.material.terms, k=plan.certified_edits)
        outcomes.append(found.outcome)
        if progress:
            progress("certificates", number, len(claims))
    stable = np.array([outcome == "stable" for outcome in outcomes])
    return Stability(
        k=plan.certified_edits,
        n=len(claims),
        stable=estimate(proportion(stable, [claim.provider for claim in claims])),
        unstable=outcomes.count("unstable"),
        uncertified=outcomes.count("uncertified"),
    )


def scenarios_of_run(subject: ClaimsSubject) -> list[ScenarioResult]:
    """Each named scenario against the undefended model."""
    terms, detector = subject.material.terms, subject.defense("none").detector
    record = RecordRetrieval(detector, float("-inf"), type(terms.rules)(with_record=True))
    found = []
    for scenario in scenarios():
        model, before = scenario.policy or detector, scenario.space.claim
        (after,) = Exhaustive().run(Decisions(model, terms, 1), [scenario.space], generator(0, scenario.name))
        denied = [bool(model.denies([claim])[0]) for claim in (before, after)]
        asked = terms.payments([before, after]).tolist()
        measured = measure(before, after)
        found.append(
            ScenarioResult(
                name=scenario.name,
                story=scenario.story,
                before=0.0 if denied[0] else asked[0],
                after=0.0 if denied[1] else asked[1],
                asked_before=asked[0],
                asked_after=asked[1],
                edits=measured.edits,
                classes=measured.classes,
                change=families(before, after),
                denied_before=denied[0],
                denied_after=denied[1],
                caught_by_record=not record.borne_out(after),
            )
        )
    return found
