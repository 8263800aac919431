"""What a claims audit found, in plain numbers: the content of `results.json`, and all that its report reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from mithridate.audit.results import Estimate, _Frozen


class ClaimsCondition(_Frozen):
    """One attack with one budget against one defense, by one attacker, over n claims.

    Money is in dollars.  gain: received after less received before, a claim; flips: of the denied claims, the part
    that was then paid; success: the part of all claims that gained; detection_1 and _5: the part of the edited claims
    that the detector inside flags at 1% and 5% false positives.
    """

    cell: str
    defense: str
    attacker: str
    attack: str
    k: int
    classes: str
    n: int
    gain: Estimate
    received_before: float
    received_after: float
    success: Estimate
    flips: Estimate
    edits_per_success: float | None
    gain_per_edit: float | None
    queries_per_claim: float
    detection_1: Estimate
    detection_5: Estimate
    supported: float
    violation: float
    unlawful: int
    class_shares: dict[str, float]
    families: tuple[tuple[str, float], ...]
    seconds_per_claim: float


STRENGTH = ("random", "greedy", "genetic", "surrogate", "beam", "exhaustive", "exact")
"""Attacks by what their results are worth: of equal ones the later is named."""


def strongest(conditions: Iterable[ClaimsCondition]) -> ClaimsCondition:
    """The condition that gained most; of naive attackers, who see no gain before it is too late, the best search."""

    def rank(c: ClaimsCondition) -> tuple[float, int]:
        gain = round(c.gain.value or 0.0, 2) if c.attacker == "adaptive" else 0.0
        return gain, STRENGTH.index(c.attack)

    return max(conditions, key=rank)


class DefenseResult(_Frozen):
    """A defense on untouched claims: what it costs.  Detection and precision at 1% and 5% false positives, undefined
    for a model of labels only."""

    name: str
    limits: str
    auc: Estimate
    detection: tuple[Estimate, ...]
    precision: tuple[Estimate, ...]
    false_positives: tuple[Estimate, ...]
    burden: float


class Stability(_Frozen):
    """Edit-stability certificates over the attacked claims, classes A and B."""

    k: int
    n: int
    stable: Estimate
    unstable: int
    uncertified: int


class DriftRow(_Frozen):
    """Providers under the CUSUM: honest ones, abusive ones as they are, or honest ones that begin to attack.

    share: of the claims that carry the attack's gain; found: of the providers, those with an alarm; days and claims:
    medians among them; gained: dollars a provider until its alarm, or over all days where there is none.
    """

    who: Literal["honest", "abusive", "attack"]
    attack: str | None
    share: float
    providers: int
    found: Estimate
    days: float | None
    claims: float | None
    gained: float


class DriftResult(_Frozen):
    """The CUSUM over the providers of the test part, watched for `days` days; allowance and limit in deviations."""

    allowance: float
    limit: float
    false_alarms: float
    days: int
    rows: tuple[DriftRow, ...]


class ScenarioResult(_Frozen):
    """A named scenario against the undefended model: dollars and what the best edits are."""

    name: str
    story: str
    before: float
    after: float
    asked_before: float
    asked_after: float
    edits: int
    classes: str
    change: str
    denied_before: bool
    denied_after: bool
    caught_by_record: bool


class ClaimsResults(_Frozen):
    """One run.  stability is None for a model that cannot be read; drift where too few honest claims are known."""

    mithridate: str
    name: str
    run: str
    created: str
    authority: dict[str, str]
    seed: int
    synthetic: bool
    edits_kept: bool
    seconds: float
    data: dict[str, Any]
    detector: dict[str, Any]
    vintages: dict[str, str]
    defenses: tuple[DefenseResult, ...]
    conditions: tuple[ClaimsCondition, ...]
    stability: Stability | None
    drift: DriftResult | None
    scenarios: tuple[ScenarioResult, ...]
