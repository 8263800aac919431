"""The exact attack: the most money that any edits within a budget can get past a model, or the proof of how much.

Each optimum of the program is tried on the real payment, rules and model before it counts.  One that the real world
treats otherwise is cut off, and the program solved again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mithridate.claims.attacks.encode import encode
from mithridate.claims.attacks.milp import highest_worth, lowest_margin
from mithridate.claims.attacks.oracle import Decisions, WhiteBox
from mithridate.claims.attacks.searches import Beam
from mithridate.claims.attacks.space import EditSpace
from mithridate.claims.attacks.terms import Terms
from mithridate.claims.claim import Claim
from mithridate.claims.detector import Detector
from mithridate.claims.trees import Ensemble, Exact, Linear, Tree
from mithridate.errors import UserError

CENT = 0.01
"""Payments nearer to each other than this are the same."""

SLACK = 1e-4
"""A planned and a real margin that differ by more were not computed from the same columns."""

Proof = Literal["optimal", "none", "unfinished"]


@dataclass(frozen=True)
class Proven:
    """What an exact search established.

    "optimal": no edits within the space get more than `worth` dollars past the model; "none": none get any;
    "unfinished": a limit was reached, or a payment did not follow its table, so `worth` is only what was found.
    """

    proof: Proof
    candidate: Claim | None
    worth: float
    rounds: int


@dataclass(frozen=True)
class ExactOptimum:
    """Mixed-integer optimization over trees or a linear model: needs the white box.  Limits are for one claim."""

    seconds: float = 30.0
    nodes: int = 200_000
    rounds: int = 40

    def run(
        self, oracle: Decisions, spaces: Sequence[EditSpace], rng: np.random.Generator, row: int = 0
    ) -> list[Claim]:
        """The best claim of each space; the unedited one where nothing is approved.

        Raises UserError when the oracle is no white box over trees or a linear model.
        """
        if not isinstance(oracle, WhiteBox) or not isinstance(oracle.model, Detector):
            raise UserError("the exact attack needs the model itself: give it the white box of a trained detector")
        found = []
        for number, space in enumerate(spaces):
            proven = self.solve(oracle.model, oracle.terms, space)
            oracle.queries[row + number] += proven.rounds
            found.append(proven.candidate or space.claim)
        return found

    def solve(self, detector: Detector, terms: Terms, space: EditSpace, floor: float = 0.0) -> Proven:
        """The most dollars above `floor` that edits of this space get past the detector."""
        best, worth, sound = _first_find(detector, terms, space, floor)
        made = encode(space, terms, detector.features, floor=worth + CENT / 2)
        if made is None:
            return Proven("unfinished", best, worth if best is not None else 0.0, 0)
        encoding, problem = made
        for number in range(1, self.rounds + 1):
            optimum = highest_worth(
                problem,
                detector.exact,
                ceiling=detector.ceiling,
                floor=worth + CENT / 2,
                seconds=self.seconds,
                nodes=self.nodes,
            )
            if optimum.status == "infeasible":
                proof: Proof = "optimal" if best is not None else "none"
                return Proven(proof if sound else "unfinished", best, worth if best is not None else 0.0, number)
            if optimum.status == "unfinished":
                break
            candidate = space.apply(encoding.decode(optimum.chosen))
            paid = float(terms.payments([candidate])[0])
            fine = bool(terms.lawful(space.claim, [candidate])[0]) and not detector.denies([candidate])[0]
            as_planned = abs(paid - optimum.objective) < CENT
            sound = sound and as_planned
            if fine and paid > worth:
                best, worth = candidate, paid
                if as_planned:
                    return Proven("optimal" if sound else "unfinished", best, worth, number)
            problem = replace(problem, rows=(*problem.rows, encoding.without(optimum.chosen)))
        return Proven("unfinished", best, worth if best is not None else 0.0, self.rounds)


def _first_find(detector: Detector, terms: Terms, space: EditSpace, floor: float) -> tuple[Claim | None, float, bool]:
    """What a narrow beam gets: all payments up to it need no proof, and are left out of the program."""
    (found,) = Beam(2).run(WhiteBox(detector, terms, 1), [space], np.random.default_rng(0))
    paid = float(terms.payments([found])[0])
    if paid > floor + CENT / 2 and not detector.denies([found])[0]:
        return found, paid, True
    return None, floor, True


def extreme_margin(
    detector: Detector, terms: Terms, space: EditSpace, *, highest: bool, attack: ExactOptimum, lawful: bool = True
) -> tuple[Claim | None, float] | None:
    """The edited claim with the lowest (or highest) margin, and that margin; None when it was not proven.

    Without `lawful` the rules that look at more than two codes are left out, so that the extreme is one over a larger
    set.  A claim of None means that the space holds no claim at all that keeps the rules.
    """
    made = encode(space, terms, detector.features)
    if made is None:
        return None
    encoding, problem = made
    sign, model = (-1.0, negated(detector.exact)) if highest else (1.0, detector.exact)
    for _ in range(attack.rounds):
        optimum = lowest_margin(problem, model, seconds=attack.seconds, nodes=attack.nodes)
        if optimum.status == "infeasible":
            return None, float("nan")
        if optimum.status == "unfinished":
            return None
        candidate = space.apply(encoding.decode(optimum.chosen))
        margin = float(detector.margins([candidate])[0])
        if abs(sign * margin - optimum.objective) > SLACK:
            return None  # the model saw other columns than planned: nothing is proven
        if not lawful or terms.lawful(space.claim, [candidate])[0]:
            return candidate, margin
        problem = replace(problem, rows=(*problem.rows, encoding.without(optimum.chosen)))
    return None


def negated(model: Exact) -> Exact:
    """The model whose margin is the other's with the sign turned."""
    if isinstance(model, Linear):
        return Linear(-model.weights, -model.bias)
    trees = tuple(Tree(t.feature, t.threshold, t.left, t.right, -t.value) for t in model.trees)
    return Ensemble(trees, -model.base, model.features, model.float32, model.logistic)
