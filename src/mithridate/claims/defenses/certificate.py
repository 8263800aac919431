"""The edit-stability certificate: no edits within a budget turn this decision, proven, not tried.

It covers the edits of classes A and B, over all documented codes: what a provider may do without billing anything that
the record does not support, and without breaking a rule that the payer checks before any model looks.  It rests on the
columns that the model sees and on the tables that the payment follows; both are checked on the optimum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mithridate.claims.attacks.exact import SLACK, ExactOptimum, extreme_margin
from mithridate.claims.attacks.proposals import Proposals
from mithridate.claims.attacks.terms import Terms
from mithridate.claims.budget import HONEST, CodeEdits, EditClass
from mithridate.claims.claim import Claim
from mithridate.claims.detector import Detector

Outcome = Literal["stable", "unstable", "uncertified"]


@dataclass(frozen=True)
class Certificate:
    """What was established about one decision.

    `worst` is the extreme margin over the edits (NaN when it was not found); `counterexample` an edited claim that is
    decided otherwise, for an unstable decision.  A limit that was reached makes a decision uncertified, never stable.
    """

    claim: str
    denied: bool
    outcome: Outcome
    k: int
    worst: float
    counterexample: Claim | None = None


def certify(
    claim: Claim,
    detector: Detector,
    terms: Terms,
    *,
    k: int = 3,
    classes: tuple[EditClass, ...] = HONEST,
    proposals: Proposals | None = None,
    limits: ExactOptimum | None = None,
) -> Certificate:
    """Whether at most k edits of the classes can turn the detector's decision on this claim.

    With classes A and B all edits are covered; with further ones only the codes of `proposals`.
    Raises UserError when the detector is neither trees nor linear.
    """
    limits, proposals = limits or ExactOptimum(), proposals or Proposals({})
    space = proposals.space(claim, CodeEdits(k, classes), terms)
    own = float(detector.margins([claim])[0])
    denied = own >= detector.ceiling

    def turned(margin: float) -> bool:
        return (margin < detector.ceiling) if denied else (margin >= detector.ceiling)

    # First without the rules that the program does not hold: what is stable there is stable whatever order the codes
    # are put in.
    widest = extreme_margin(detector, terms, space, highest=not denied, attack=limits, lawful=False)
    if widest is None or widest[0] is None:
        return Certificate(claim.id, denied, "uncertified", k, float("nan"))
    candidate, margin = widest[0], widest[1]
    if not turned(margin):
        near = abs(margin - detector.ceiling) <= SLACK
        return Certificate(claim.id, denied, "uncertified" if near else "stable", k, margin)
    if not terms.lawful(claim, [candidate])[0]:
        found = extreme_margin(detector, terms, space, highest=not denied, attack=limits)
        if found is None or found[0] is None or not turned(found[1]):
            return Certificate(claim.id, denied, "uncertified", k, margin)
        candidate, margin = found[0], found[1]
    return Certificate(claim.id, denied, "unstable", k, margin, candidate)
