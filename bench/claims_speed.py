"""Evaluations a second, against the libraries one claim at a time, and seconds to make a population."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import chain

import numpy as np
from claims_setting import COMMAND, CORES, Setting, on_all_cores
from record import Measurement

from mithridate.claims.budget import CodeEdits
from mithridate.claims.claim import Claim
from mithridate.claims.detector import Detector
from mithridate.claims.features import FeatureSpace
from mithridate.claims.payment import Pricer
from mithridate.claims.population import PopulationPlan, generate
from mithridate.claims.rules import Rules
from mithridate.claims.rules.reasons import HARD_REASONS


def _near(setting: Setting, claim: Claim, many: int) -> list[Claim]:
    """The claim with one edit, and with a second on top of some: what a search asks about, each once."""
    space = setting.proposals.space(claim, CodeEdits(2), setting.terms)
    first = space.neighbors(space.start)
    order = np.random.default_rng(0).permutation(len(first))[:8].tolist()
    points = dict.fromkeys(chain(first, *(space.neighbors(first[i]) for i in order)))
    return [space.apply(point) for point in points][:many]


def _evaluate(setting: Setting, pairs: Sequence[tuple[Claim, list[Claim]]]) -> int:
    """Rules, payment and score of every candidate, in batches of a claim as searches ask."""
    for original, candidates in pairs:
        setting.terms.lawful(original, candidates)
        setting.terms.payments(candidates)
        setting.detector.score(candidates)
    return sum(len(candidates) for _, candidates in pairs)


def evaluations(setting: Setting, claims: int) -> list[Measurement]:
    """New points near claims that were never asked about; then the same points again; then the libraries alone."""
    tested = setting.tested
    _evaluate(setting, [(claim, _near(setting, claim, 50)) for claim in tested[claims : claims + 20]])
    pairs = [(claim, _near(setting, claim, 2000)) for claim in tested[:claims]]
    halves = [pairs[number::CORES] for number in range(CORES)]
    started = time.perf_counter()
    many = sum(on_all_cores(lambda half: _evaluate(setting, half), halves))
    fresh = many / (time.perf_counter() - started)
    _evaluate(setting, halves[0])
    started = time.perf_counter()
    again = _evaluate(setting, halves[0]) / (time.perf_counter() - started)
    rng = np.random.default_rng(0)
    single = [pairs[i][1][int(rng.integers(len(pairs[i][1])))] for i in rng.permutation(len(pairs))[:40]]
    slow = len(single) / _alone(setting, single)
    name = f"claims, rules + payment + detector, {many:,} new points"
    return [
        Measurement(f"{name}, {CORES} processes", fresh, 20_000, "evaluations/s", True, COMMAND),
        Measurement("claims, the same points again, one process", again, None, "evaluations/s", True, COMMAND),
        Measurement(f"{name}, over one at a time, a process", fresh / CORES / slow, None, "times", True, COMMAND),
    ]


def _alone(setting: Setting, claims: Sequence[Claim]) -> float:
    """Seconds of asking the libraries about one claim after the other, with nothing kept between claims."""
    pricer, model = Pricer(), setting.detector
    features = FeatureSpace(model.features.names, model.features.detail, pricer)
    alone = Detector(features, model.model, model.ceiling, model.slope, model.offset)
    pricer.price(claims[0])  # tables are read once
    started = time.perf_counter()
    for claim in claims:
        pricer.groups.clear()
        pricer.risks.clear()
        broken = Rules(setting.terms.rules.pairs, setting.terms.rules.units).check(claim)
        HARD_REASONS.isdisjoint(item.reason for item in broken)
        pricer.price(claim)
        alone.score([claim])
    return time.perf_counter() - started


def population(claims: int) -> list[Measurement]:
    """Seconds to make a population."""
    started = time.perf_counter()
    generate(PopulationPlan(claims=claims, seed=1))
    seconds = time.perf_counter() - started
    return [Measurement(f"claims, a population of {claims:,}", seconds, 60, "s", False, COMMAND)]
