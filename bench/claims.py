"""`make bench-claims`: beam against the exact optimum, speed of the program and of evaluations, the budget curve."""

from __future__ import annotations

import argparse
import time

import numpy as np
from record import Measurement, record

from mithridate.claims.attacks.encode import encode
from mithridate.claims.attacks.exact import ExactOptimum
from mithridate.claims.attacks.milp import lowest_margin
from mithridate.claims.attacks.oracle import Scores
from mithridate.claims.attacks.proposals import Proposals
from mithridate.claims.attacks.searches import Beam, Greedy
from mithridate.claims.attacks.terms import Terms
from mithridate.claims.budget import CodeEdits
from mithridate.claims.claim import Claim
from mithridate.claims.detector import Detector, Recipe, part_of, train
from mithridate.claims.payment import Pricer
from mithridate.claims.population import PopulationPlan, generate
from mithridate.claims.rules import Rules
from mithridate.seeds import derive

COMMAND = "make bench-claims"


class Setting:
    """A population, a detector of 100 trees x 16 leaves, and test claims in a seeded order."""

    def __init__(self, claims: int, seed: int) -> None:
        made = generate(PopulationPlan(claims=claims, seed=seed))
        self.terms = Terms()
        self.detector, self.performance = train(
            made.claims, made.abusive, Recipe(), pricer=self.terms.pricer, seed=seed
        )
        parts = [part_of(claim.provider, seed) for claim in made.claims]
        learned = [claim for claim, part in zip(made.claims, parts, strict=True) if part == "train"]
        self.proposals = Proposals.learn(learned)
        tested = [claim for claim, part in zip(made.claims, parts, strict=True) if part == "test"]
        self.tested = sorted(tested, key=lambda claim: derive(seed, "bench", claim.id))


def received(claim: Claim, detector: Detector, terms: Terms) -> float:
    return float(terms.payments([claim])[0]) * (not bool(detector.denies([claim])[0]))


def optima(setting: Setting, cases: int) -> list[Measurement]:
    """Beam and greedy against the proven optimum at k = 3, and the share of an exhaustive search's evaluations."""
    terms, detector, budget = setting.terms, setting.detector, CodeEdits(3)
    near, near_greedy, seconds, asked, size, proven_cases, outside, shares = 0, 0, [], 0, 0, 0, 0, []
    for claim in setting.tested:
        if proven_cases == cases:
            break
        space = setting.proposals.space(claim, budget, terms)
        rng = np.random.default_rng(derive(0, claim.id))
        oracle = Scores(detector, terms, 1)
        (beam,) = Beam().run(oracle, [space], rng)
        (greedy,) = Greedy().run(Scores(detector, terms, 1), [space], rng)
        started = time.perf_counter()
        proven = ExactOptimum().solve(detector, terms, space)
        seconds.append(time.perf_counter() - started)
        if proven.proof == "unfinished":
            continue
        proven_cases += 1
        near += received(beam, detector, terms) >= 0.98 * proven.worth
        near_greedy += received(greedy, detector, terms) >= 0.98 * proven.worth
        asked, size = asked + int(oracle.queries[0]), size + space.size()
        shares.append(int(oracle.queries[0]) / space.size())
        outside += budget.violation(claim, beam) > 0 or not terms.lawful(claim, [beam])[0]
    name = f"claims, {proven_cases} proven cases, k = 3"
    return [
        Measurement(f"{name}: beam within 2% of the optimum", near / proven_cases, 0.95, "", True, COMMAND),
        Measurement(f"{name}: greedy within 2%", near_greedy / proven_cases, None, "", True, COMMAND),
        Measurement(f"{name}: beam's share of all evaluations", asked / size, 0.05, "", False, COMMAND),
        Measurement(f"{name}: median of the shares", float(np.median(shares)), None, "", False, COMMAND),
        Measurement(f"{name}: beam candidates outside", float(outside), 0, "", False, COMMAND),
        Measurement(f"{name}: whole proof a claim, median", float(np.median(seconds)), None, "s", False, COMMAND),
        Measurement(f"{name}: cases proven", proven_cases / len(seconds), None, "", True, COMMAND),
    ]


def program(setting: Setting, cases: int) -> list[Measurement]:
    """Seconds of one program over 100 trees x 16 leaves at K = 3."""
    seconds = []
    for claim in setting.tested[:cases]:
        space = setting.proposals.space(claim, CodeEdits(3), setting.terms)
        made = encode(space, setting.terms, setting.detector.features)
        if made is None:
            continue
        started = time.perf_counter()
        lowest_margin(made[1], setting.detector.exact)
        seconds.append(time.perf_counter() - started)
    return [
        Measurement(
            "claims, one program, 100 trees x 16 leaves, K = 3, median",
            float(np.median(seconds)),
            0.1,
            "s",
            False,
            COMMAND,
        )
    ]


def evaluations(setting: Setting, claims: int) -> list[Measurement]:
    """Rules, payment and score of the points near some claims: batched with caches, and one claim at a time without."""
    spaces = [setting.proposals.space(claim, CodeEdits(2), setting.terms) for claim in setting.tested[:claims]]
    points = [(space.claim, [space.apply(p) for p in space.neighbors(space.start)]) for space in spaces]
    many = sum(len(candidates) for _, candidates in points)
    everything = [candidate for _, candidates in points for candidate in candidates]

    def batched() -> None:
        for original, candidates in points:
            setting.terms.lawful(original, candidates)
        setting.terms.payments(everything)
        setting.detector.score(everything)

    batched()  # a search meets the same codes again and again: caches are warm
    started = time.perf_counter()
    batched()
    rate = many / (time.perf_counter() - started)
    single, alone = everything[:40], Pricer()
    alone.price(single[0])
    started = time.perf_counter()
    for candidate in single:
        alone.groups.clear()
        alone.risks.clear()
        Rules(setting.terms.rules.pairs, setting.terms.rules.units).check(candidate)
        alone.price(candidate)
        setting.detector.score([candidate])
    slow = len(single) / (time.perf_counter() - started)
    return [
        Measurement("claims, rules + payment + detector, one process", rate, 10_000, "evaluations/s", True, COMMAND),
        Measurement("claims, batched over one at a time", rate / slow, None, "times", True, COMMAND),
    ]


def curve(setting: Setting, seed: int, cases: int) -> list[Measurement]:
    """Money received and detection of edited claims at k = 1..5."""
    found, terms, detector = [], setting.terms, setting.detector
    chosen = setting.tested[:cases]
    before = sum(received(claim, detector, terms) for claim in chosen)
    for k in range(1, 6):
        spaces = [setting.proposals.space(claim, CodeEdits(k), terms) for claim in chosen]
        after = Beam(4).run(Scores(detector, terms, cases), spaces, np.random.default_rng(seed))
        money = sum(received(claim, detector, terms) for claim in after)
        name = f"claims, seed {seed}, k = {k}: money received, edited over untouched"
        found.append(Measurement(name, money / before, None, "times", True, COMMAND))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--claims", type=int, default=12_000)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    setting = Setting(arguments.claims, 0)
    found = optima(setting, arguments.cases) + program(setting, arguments.cases) + evaluations(setting, 60)
    for seed in range(arguments.seeds):
        found += curve(setting if seed == 0 else Setting(arguments.claims, seed), seed, min(40, arguments.cases))
    record(found)
    for item in found:
        print(f"{item.name}: {item.value:.4g} {item.unit}")


if __name__ == "__main__":
    main()
