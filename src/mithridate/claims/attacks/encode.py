"""An edit space as a `milp.Problem`: drops, new codes, who stands first, what is paid, and what the lines bill."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mithridate.claims.attacks.encoding import Encoding
from mithridate.claims.attacks.milp import Problem
from mithridate.claims.attacks.rows import budget_rows, kind_rows, lawful_choices, payment_rows, places, rule_rows
from mithridate.claims.attacks.space import Edits, EditSpace
from mithridate.claims.attacks.terms import Terms
from mithridate.claims.attacks.tokens import ANY_FIRST, code_tokens, is_stay, pays_by_codes, reachable
from mithridate.claims.claim import Claim, Diagnosis
from mithridate.claims.features import FeatureSpace


def encode(
    space: EditSpace, terms: Terms, features: FeatureSpace, *, floor: float | None = None, most_signatures: int = 20_000
) -> tuple[Encoding, Problem] | None:
    """The space as a problem over the columns of `features`; None when too many payments are within reach.

    Payments by code of `floor` dollars or less are left out, for a search that wants more.
    """
    made = Encoding(space)
    k, reorders = space.budget.k, space.reorders
    if k and (reorders or space.pool):
        made.drops = {i: made.variable() for i in range(len(space.codes))}
    made.adds = {code: made.variable() for code in space.pool} if k else {}
    made.leads = {place: made.variable() for place in places(space, terms)}
    choices = lawful_choices(space, terms)
    made.lines = {choice: made.variable() for choice in choices} if len(choices) > 1 else {}
    budget_rows(made)
    rule_rows(made)
    if pays_by_codes(space.claim):
        by_first = sorted({place.code for place in made.leads}) if is_stay(space.claim) else [ANY_FIRST]
        tokens = {first: code_tokens(space, terms, first) for first in by_first}
        for first in by_first:
            found = reachable(space, tokens[first], first, most_signatures)
            if found is None or len(made.paid) + len(found) > most_signatures:
                return None
            worth = terms.payments([signature.example for signature in found])
            wanted = zip(found, worth.tolist(), strict=True)
            made.paid |= {one: made.variable() for one, paid in wanted if floor is None or paid > floor}
        made.by_codes = True
        kind_rows(made, tokens)
        payment_rows(made, tokens)
    return made, _problem(made, terms, features)


def _problem(made: Encoding, terms: Terms, features: FeatureSpace) -> Problem:
    space, claim = made.space, made.space.claim
    start = features.transform([claim])[0]
    effects = np.zeros((made.count, len(features.names)))
    worth = np.zeros(made.count)
    counted, leading, paid = (features.columns(part) for part in ("counted", "leading", "paid"))
    counts = _code_counts(space, features)[:, counted]
    for i, variable in made.drops.items():
        effects[variable, counted] = -counts[i]
    for number, variable in enumerate(made.adds.values(), len(space.codes)):
        effects[variable, counted] = counts[number]
    firsts = features.transform([_first(claim, place.code) for place in made.leads])[:, leading]
    for variable, row in zip(made.leads.values(), firsts, strict=True):
        effects[variable, leading] = row
    start[leading] = 0.0
    payments, groups = 0.0, [tuple(made.leads.values())]
    if made.lines:
        edited = [space.apply(Edits(frozenset(), frozenset(), space.codes[0], options)) for options in made.lines]
        changes = features.transform(edited) - start
        changes[:, leading] = 0.0
        if made.by_codes:
            changes[:, paid] = 0.0
        else:
            changes[:, paid] += start[paid]
            worth[list(made.lines.values())] = terms.payments(edited)
            start[paid] = 0.0
        effects[list(made.lines.values())] += changes
        groups.append(tuple(made.lines.values()))
    elif not made.by_codes:
        payments = float(terms.payments([claim])[0])
    if made.by_codes:
        examples = [signature.example for signature in made.paid]
        where = np.array(list(made.paid.values()), dtype=int)
        if examples:
            effects[np.ix_(where, paid)] = features.transform(examples)[:, paid]
            worth[where] = terms.payments(examples)
        start[paid] = 0.0
        groups.append(tuple(made.paid.values()))
    worth[list(made.leads.values())] += payments  # one of them is 1: a constant
    return Problem(start, effects, worth, tuple(made.rows), tuple(groups), 2 * space.budget.k)


def _code_counts(space: EditSpace, features: FeatureSpace) -> NDArray[np.float64]:
    """What each code of the space adds to the columns, own codes first."""
    claim, own = space.claim, list(space.claim.billed.diagnoses)
    with_all = [*own, *(Diagnosis(code) for code in space.pool)]
    # Every code beside some other one, less that other one alone.
    other = [with_all[1 if i == 0 and len(with_all) > 1 else 0] for i in range(len(with_all))]
    both = [claim.with_billed(principal=o, secondary=(d,)) for o, d in zip(other, with_all, strict=True)]
    alone = [claim.with_billed(principal=o, secondary=()) for o in other]
    return features.transform(both) - features.transform(alone)


def _first(claim: Claim, code: str) -> Claim:
    return claim.with_billed(principal=Diagnosis(code), secondary=())
