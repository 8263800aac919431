"""From findings to figures with intervals; those of money are bootstrapped over providers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd

from mithridate.audit.claims.results import ClaimsCondition, DefenseResult
from mithridate.audit.metrics import UNDEFINED, estimate
from mithridate.audit.results import Estimate
from mithridate.claims.defenses.deploy import Defended
from mithridate.seeds import generator
from mithridate.statistics import Interval, proportion

DRAWS = 2000
GAIN = 0.005
"""Dollars from which a claim counts as having gained."""


def bootstrap_mean(values: pd.Series, providers: pd.Series, seed: int) -> Interval:
    """The mean with its 95% percentile interval over resampled providers (Davison and Hinkley 1997, 3.8)."""
    x = values.to_numpy(dtype=float)
    _, group = np.unique(providers.to_numpy(dtype=str), return_inverse=True)
    sums, sizes = np.bincount(group, weights=x), np.bincount(group)
    if len(sizes) < 2:
        return Interval(float(x.mean()) if len(x) else float("nan"), float("-inf"), float("inf"), "bootstrap 95%")
    picks = generator(seed, "bootstrap").integers(0, len(sizes), (DRAWS, len(sizes)))
    means = sums[picks].sum(1) / sizes[picks].sum(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(x.mean()), float(low), float(high), "bootstrap over providers, 95%")


def condition(
    findings: pd.DataFrame, *, cell: str, defense: str, attacker: str, attack: str, k: int, classes: str, seed: int
) -> ClaimsCondition:
    """The metrics of one cell's findings.  A candidate outside its budget or against a rule has gained nothing."""
    sound = (findings["violation"] == 0) & findings["lawful"]
    gain = (findings["paid_after"] - findings["paid_before"]).where(sound, 0.0)
    won, provider = sound & (gain > GAIN), findings["provider"]
    edited, denied = findings[findings["edits"] > 0], findings["denied_before"]
    winners = findings[won]
    letters = Counter("".join(winners["classes"]))
    total = sum(letters.values())
    by_family = gain[won].groupby(winners["families"].replace("", "the same codes")).sum()
    return ClaimsCondition(
        cell=cell,
        defense=defense,
        attacker=attacker,
        attack=attack,
        k=k,
        classes=classes,
        n=len(findings),
        gain=estimate(bootstrap_mean(gain, provider, seed)),
        received_before=float(findings["paid_before"].sum()),
        received_after=float(findings["paid_before"].sum() + gain.sum()),
        success=_share(won, provider),
        flips=_share((sound & ~findings["denied_after"])[denied], provider[denied]),
        edits_per_success=float(winners["edits"].mean()) if len(winners) else None,
        gain_per_edit=float(gain[won].sum() / max(1, winners["edits"].sum())) if len(winners) else None,
        queries_per_claim=float(findings["queries"].mean()),
        detection_1=_share(edited["flagged_1"], edited["provider"]),
        detection_5=_share(edited["flagged_5"], edited["provider"]),
        supported=float(findings["supported"].mean()),
        violation=float(np.nan_to_num(findings["violation"].max(), posinf=1e9)),
        unlawful=int((~findings["lawful"]).sum()),
        class_shares={letter: count / total for letter, count in sorted(letters.items())},
        families=tuple((str(name), float(money)) for name, money in by_family.nlargest(5).items()),
        seconds_per_claim=float(findings["seconds"].mean()),
    )


def defense_result(defended: Defended) -> DefenseResult:
    """A defense's performance on untouched claims as plain data."""
    found = defended.performance
    return DefenseResult(
        name=defended.name,
        limits=defended.limits,
        auc=estimate(found.auc),
        detection=tuple(estimate(item) for item in found.detection),
        precision=tuple(estimate(item) for item in found.precision),
        false_positives=tuple(estimate(item) for item in found.false_positives),
        burden=defended.burden,
    )


def _share(outcomes: pd.Series, providers: pd.Series) -> Estimate:
    known = outcomes.notna()
    outcomes, providers = outcomes[known].astype(bool), providers[known]
    return estimate(proportion(outcomes, providers)) if len(outcomes) else UNDEFINED
