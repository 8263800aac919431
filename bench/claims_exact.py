"""Beam against the proven optimum, seconds of the programs, and certificates that attacks try to contradict."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from claims_setting import COMMAND, Setting, on_all_cores
from record import Measurement

from mithridate.claims.attacks.encode import encode
from mithridate.claims.attacks.exact import CENT, ExactOptimum
from mithridate.claims.attacks.milp import highest_worth, lowest_margin
from mithridate.claims.attacks.oracle import Scores
from mithridate.claims.attacks.searches import Beam, Genetic, Greedy, RandomEdits
from mithridate.claims.budget import HONEST, CodeEdits
from mithridate.claims.claim import Claim
from mithridate.claims.defenses.certificate import certify
from mithridate.claims.trees import Linear
from mithridate.seeds import derive


@dataclass(frozen=True)
class Case:
    """One claim: what the optimum, beam and greedy receive, and what that took.  `bound`: the detector stood between
    the claim and the most that any edits would be paid."""

    proof: str
    optimum: float
    beam: float
    greedy: float
    queries: int
    size: int
    seconds: float
    outside: bool
    bound: bool


def _case(setting: Setting, claim: Claim) -> Case:
    terms, detector, budget = setting.terms, setting.detector, CodeEdits(3)
    space = setting.proposals.space(claim, budget, terms)
    rng, oracle = np.random.default_rng(derive(0, claim.id)), Scores(detector, terms, 1)
    (beam,) = Beam().run(oracle, [space], rng)
    (greedy,) = Greedy().run(Scores(detector, terms, 1), [space], rng)
    started = time.perf_counter()
    proven = ExactOptimum(seconds=5.0).solve(detector, terms, space)
    seconds = time.perf_counter() - started
    got = setting.received([beam, greedy])
    bound = proven.proof != "unfinished" and _unwatched(setting, claim) > proven.worth + CENT
    return Case(
        proven.proof,
        proven.worth,
        float(got[0]),
        float(got[1]),
        int(oracle.queries[0]),
        space.size(),
        seconds,
        budget.violation(claim, beam) > 0 or not bool(terms.lawful(claim, [beam])[0]),
        bound,
    )


def _unwatched(setting: Setting, claim: Claim) -> float:
    """What the best edits would be paid if there were no detector, by the same program without it."""
    made = encode(setting.proposals.space(claim, CodeEdits(3), setting.terms), setting.terms, setting.detector.features)
    if made is None:
        return float("inf")
    blind = Linear(np.zeros(len(setting.detector.features.names)), 0.0)
    return highest_worth(made[1], blind, ceiling=1.0).objective


def optima(setting: Setting, cases: int) -> list[Measurement]:
    """Until `cases` claims are proven in which the detector stands in the way; k = 3, all classes."""
    found: list[Case] = []
    for at in range(0, len(setting.tested), 20):
        found += on_all_cores(lambda claim: _case(setting, claim), setting.tested[at : at + 20])
        if sum(case.bound for case in found) >= cases:
            break
    tried, bound = len(found), [case for case in found if case.bound][:cases]
    near = [case.beam >= 0.98 * case.optimum for case in bound]
    greedy = [case.greedy >= 0.98 * case.optimum for case in bound]
    share = sum(case.queries for case in bound) / sum(case.size for case in bound)
    name = f"claims, {len(bound)} cases with the detector in the way, k = 3"
    return [
        Measurement(f"{name}: beam within 2% of the optimum", float(np.mean(near)), 0.95, "", True, COMMAND),
        Measurement(f"{name}: greedy within 2%", float(np.mean(greedy)), None, "", True, COMMAND),
        Measurement(f"{name}: beam's share of all evaluations", share, 0.05, "", False, COMMAND),
        Measurement(f"{name}: beam above the optimum", _above(bound), 0, "cases", False, COMMAND),
        Measurement(f"{name}: beam outside", float(sum(c.outside for c in found)), 0, "cases", False, COMMAND),
        Measurement(f"{name}: whole proof, median", _median(c.seconds for c in bound), None, "s", False, COMMAND),
        Measurement(
            f"claims, {tried} claims, k = 3: proven", np.mean([c.proof != "unfinished" for c in found]).item(),
            None, "", True, COMMAND,
        ),
    ]  # fmt: skip


def _above(cases: list[Case]) -> float:
    return float(sum(max(case.beam, case.greedy) > case.optimum + CENT for case in cases))


def _median(values: object) -> float:
    return float(np.median(list(values)))  # type: ignore[call-overload]


def programs(setting: Setting, cases: int) -> list[Measurement]:
    """Seconds of single programs over 100 trees x 16 leaves at K = 3, in one process."""
    lowest, worth, whole = [], [], []
    for claim in setting.tested[:cases]:
        started = time.perf_counter()
        space = setting.proposals.space(claim, CodeEdits(3), setting.terms)
        made = encode(space, setting.terms, setting.detector.features)
        if made is None:
            continue
        encoded = time.perf_counter()
        lowest_margin(made[1], setting.detector.exact)
        solved = time.perf_counter()
        highest_worth(made[1], setting.detector.exact, ceiling=setting.detector.ceiling)
        worth.append(time.perf_counter() - solved)
        lowest.append(solved - encoded)
        whole.append(encoded - started)
    name = f"claims, MILP of 100 trees x 16 leaves, K = 3, {len(lowest)} claims"
    return [
        Measurement(f"{name}: lowest margin, median", _median(lowest), 0.1, "s", False, COMMAND),
        Measurement(f"{name}: most money, median", _median(worth), 0.1, "s", False, COMMAND),
        Measurement(f"{name}: lowest margin, nine in ten", float(np.quantile(lowest, 0.9)), None, "s", False, COMMAND),
        Measurement(f"{name}: most money, nine in ten", float(np.quantile(worth, 0.9)), None, "s", False, COMMAND),
        Measurement(f"{name}: proposing and encoding, median", _median(whole), None, "s", False, COMMAND),
    ]


def _certified(setting: Setting, claim: Claim) -> tuple[str, float, bool]:
    """Outcome, seconds, and whether anything tried turned a decision that was called stable."""
    started = time.perf_counter()
    found = certify(claim, setting.detector, setting.terms, k=2)
    seconds = time.perf_counter() - started
    if found.outcome != "stable":
        return found.outcome, seconds, False
    space = setting.proposals.space(claim, CodeEdits(2, HONEST), setting.terms)
    tried = [space.apply(point) for point in space.every()]
    lawful = setting.terms.lawful(claim, tried)  # what breaks a rule is denied by the rule
    tried = [candidate for candidate, fine in zip(tried, lawful, strict=True) if fine]
    for attack in (RandomEdits(100), Greedy(), Beam(16), Genetic(32, 10)):
        tried += attack.run(Scores(setting.detector, setting.terms, 1), [space], np.random.default_rng(0))
    return found.outcome, seconds, bool((setting.detector.denies(tried) != found.denied).any())


def certificates(setting: Setting, cases: int) -> list[Measurement]:
    """Certificates of two edits of classes A and B, each tried against every lawful edit and four attacks."""
    found = on_all_cores(lambda claim: _certified(setting, claim), setting.tested[:cases])
    outcomes = [item[0] for item in found]
    name = f"claims, {len(found)} certificates, two edits of classes A and B"
    return [
        Measurement(f"{name}: contradicted", float(sum(item[2] for item in found)), 0, "", False, COMMAND),
        Measurement(f"{name}: stable", outcomes.count("stable") / len(found), None, "", True, COMMAND),
        Measurement(f"{name}: uncertified", outcomes.count("uncertified") / len(found), None, "", False, COMMAND),
        Measurement(f"{name}: median", _median(item[1] for item in found), None, "s", False, COMMAND),
    ]
