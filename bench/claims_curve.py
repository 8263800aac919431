"""Money and detection by the number of edits, for an attacker who knows the detector and one who does not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from claims_setting import COMMAND, Setting, on_all_cores
from record import Measurement

from mithridate.audit.claims.summary import bootstrap_mean
from mithridate.claims.attacks.oracle import Decisions, Scores
from mithridate.claims.attacks.searches import Beam, Greedy
from mithridate.claims.budget import CodeEdits
from mithridate.claims.claim import Claim
from mithridate.claims.endpoint import CallableDecider
from mithridate.seeds import generator

PAYS_ALL = CallableDecider(lambda claims: [False] * len(claims))
"""What a naive attacker believes: that nobody looks."""
DOSES = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Edited:
    """One claim under one attacker with k edits."""

    seed: int
    provider: str
    attacker: str
    k: int
    gain: float
    flagged: tuple[bool, ...]
    edited: bool


def _edited(setting: Setting, claim: Claim) -> list[Edited]:
    detector, terms, found = setting.detector, setting.terms, []
    before = float(setting.received([claim])[0])
    for k in DOSES:
        space = setting.proposals.space(claim, CodeEdits(k), terms)
        rng = generator(setting.seed, "curve", claim.id)
        after = {
            "adaptive": Beam(4).run(Scores(detector, terms, 1), [space], rng)[0],
            "naive": Greedy().run(Decisions(PAYS_ALL, terms, 1), [space], rng)[0],
        }
        for attacker, candidate in after.items():
            margin = float(detector.margins([candidate])[0])
            flagged = tuple(margin >= ceiling for ceiling in detector.ceilings)
            gain = float(setting.received([candidate])[0]) - before
            found.append(Edited(setting.seed, claim.provider, attacker, k, gain, flagged, candidate != claim))
    return found


def curve(claims: int, seeds: int, cases: int) -> list[Measurement]:
    """`cases` test claims of each of `seeds` populations, resampled by provider within each seed."""
    rows: list[Edited] = []
    for seed in range(seeds):
        setting = Setting(claims, seed)
        _ = setting.proposals
        for part in on_all_cores(lambda claim, setting=setting: _edited(setting, claim), setting.tested[:cases]):
            rows += part
    found = []
    for attacker in ("adaptive", "naive"):
        for k in DOSES:
            mine = [row for row in rows if (row.attacker, row.k) == (attacker, k)]
            name = f"claims, {seeds} seeds x {cases} claims, {attacker}, k = {k}"
            gains = np.array([row.gain for row in mine])
            providers = pd.Series([f"{row.seed} {row.provider}" for row in mine])
            spread = bootstrap_mean(pd.Series(gains), providers, 0)
            by_seed = [gains[[row.seed == seed for row in mine]].mean() for seed in range(seeds)]
            edited = [row for row in mine if row.edited]
            found += [
                _figure(f"{name}: gain a claim, mean", float(gains.mean()), "$"),
                _figure(f"{name}: gain a claim, 95% interval from", spread.low, "$"),
                _figure(f"{name}: gain a claim, 95% interval to", spread.high, "$"),
                _figure(f"{name}: gain a claim, standard deviation over seeds", float(np.std(by_seed, ddof=1)), "$"),
                _figure(f"{name}: detected at 1%", float(np.mean([row.flagged[0] for row in edited])), ""),
                _figure(f"{name}: detected at 5%", float(np.mean([row.flagged[1] for row in edited])), ""),
            ]
    return found


def _figure(name: str, value: float, unit: str) -> Measurement:
    return Measurement(name, value, None, unit, True, COMMAND)
