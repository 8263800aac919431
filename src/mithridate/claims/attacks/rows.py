"""The rows of an encoded edit space: who may stand first, what the budget and the rules allow, what is then paid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from mithridate.claims.attacks.encoding import INFINITY, Encoding, Place
from mithridate.claims.attacks.space import EditSpace, LineOption
from mithridate.claims.attacks.terms import Terms
from mithridate.claims.attacks.tokens import ANY_FIRST, is_stay
from mithridate.claims.rules.conventions import in_span

_UNASKED = "?"


def places(space: EditSpace, terms: Terms) -> list[Place]:
    """Every way for a code to stand first, the unedited way first; see `EditSpace.cost`."""
    found = [Place(space.codes[0], 0, 0)]
    if space.budget.k == 0:
        return found
    if space.reorders:
        for i, code in enumerate(space.codes[1:], 1):
            if terms.may_lead(space.claim, code):
                found += [Place(code, 0, i), Place(code, 1, 0)]
    for code in space.pool:
        if terms.may_lead(space.claim, code):
            found += [Place(code, 0, 0), Place(code, 1, 0)] if space.reorders else [Place(code, 0, 0)]
    return found


def budget_rows(made: Encoding) -> None:
    space, k = made.space, float(made.space.budget.k)
    moves = [(variable, float(place.moves)) for place, variable in made.leads.items()]
    ahead = [(variable, float(place.ahead)) for place, variable in made.leads.items()]
    changed = [(variable, float(len(options))) for options, variable in made.lines.items()]
    dropped = [(variable, 1.0) for variable in made.drops.values()]
    added = [(variable, 1.0) for variable in made.adds.values()]
    made.row([*dropped, *moves, *changed], -INFINITY, k)
    made.row([*added, *moves, *ahead, *changed], -INFINITY, k)
    if not space.reorders and dropped:  # nothing is dropped without a replacement
        made.row([*dropped, *((variable, -1.0) for variable in made.adds.values())], -INFINITY, 0.0)
    places = {code: i for i, code in enumerate(space.codes)}
    for place, lead in made.leads.items():
        if place.code in made.adds:
            made.row([(lead, 1.0), (made.adds[place.code], -1.0)], -INFINITY, 0.0)
            if not place.moves:
                made.row([(lead, 1.0), (made.drops[0], -1.0)], -INFINITY, 0.0)
        elif made.drops:
            i = places[place.code]
            made.row([(lead, 1.0), (made.drops[i], 1.0)], -INFINITY, 1.0)
            for before in range(i if not place.moves else 0):
                made.row([(lead, 1.0), (made.drops[before], -1.0)], -INFINITY, 0.0)


def lawful_choices(space: EditSpace, terms: Terms) -> list[frozenset[LineOption]]:
    """Line edits that break no rule: those rules look at nothing but the lines."""
    choices = space.line_choices()
    edited = [space.apply(replace(space.start, lines=choice)) for choice in choices]
    return [choice for choice, fine in zip(choices, terms.lawful(space.claim, edited), strict=True) if fine]


def rule_rows(made: Encoding) -> None:
    """Codes that exclude each other, and codes that need another one.  Other rules are checked on each optimum."""
    for a, b in combinations(made.space.pool, 2):
        if made.adds and Terms.exclude(a, b):
            made.row([(made.adds[a], 1.0), (made.adds[b], 1.0)], -INFINITY, 1.0)
    for i, own in enumerate(made.space.codes):
        for code, variable in made.adds.items():
            if Terms.exclude(own, code) or Terms.exclude(code, own):
                made.row([(variable, 1.0), (made.drops[i], -1.0)], -INFINITY, 0.0)
    order = [*made.space.codes, *made.space.pool]
    for place, code in enumerate(order):
        if not made.adds and code not in made.space.codes:
            continue
        for spans, before in Terms.companions(code):
            helpers = [
                other
                for at, other in enumerate(order)
                if other != code and (not before or at < place) and any(in_span(other, span) for span in spans)
            ]
            if code in made.space.codes and not any(other in made.space.codes for other in helpers):
                continue  # the claim breaks this rule already
            terms, constant = _beside(made, code, stay=False)
            for other in helpers:
                more, present = _beside(made, other, stay=False)
                terms, constant = [*terms, *((v, -f) for v, f in more)], constant - present
            # One that comes later in the fixed order may still be moved to the front.
            ahead = [o for o in order if o != code and o not in helpers and any(in_span(o, span) for span in spans)]
            terms = [*terms, *((variable, -1.0) for other in ahead for variable in made.leading(other))]
            made.row(terms, -INFINITY, -constant)


def _beside(made: Encoding, code: str, stay: bool) -> tuple[list[tuple[int, float]], float]:
    """Terms and constant of "this code is billed" (for a stay: and does not stand first)."""
    leads = [(variable, -1.0) for variable in made.leading(code)] if stay else []
    if code in made.adds:
        return [(made.adds[code], 1.0), *leads], 0.0
    drop = made.drops.get(made.space.codes.index(code))
    return ([] if drop is None else [(drop, -1.0)]) + leads, 1.0


def kind_rows(made: Encoding, tokens: dict[str, dict[str, str | None]]) -> None:
    """One variable for all codes that act alike beside every first diagnosis: is one of them billed?"""
    stay = is_stay(made.space.claim)
    members = _alike((*made.space.codes, *made.space.pool), tokens)
    for kind, codes in members.items():
        if not any(kind):
            continue
        variable = made.kinds[kind] = made.variable()
        total: list[tuple[int, float]] = [(variable, 1.0)]
        constant = 0.0
        for code in codes:
            terms, present = _beside(made, code, stay)
            made.row([(variable, -1.0), *terms], -INFINITY, -present)
            total += [(name, -factor) for name, factor in terms]
            constant += present
        made.row(total, -INFINITY, constant)


def _alike(codes: Sequence[str], tokens: dict[str, dict[str, str | None]]) -> dict[tuple[str | None, ...], list[str]]:
    """Codes by their tokens beside each first diagnosis.  What a code would do beside itself fits any group."""
    groups: list[tuple[list[str | None], list[str]]] = []
    for code in codes:
        own = [beside.get(code, _UNASKED) for beside in tokens.values()]
        for shared, found in groups:
            if all(a == b or _UNASKED in (a, b) for a, b in zip(shared, own, strict=True)):
                shared[:] = [b if a == _UNASKED else a for a, b in zip(shared, own, strict=True)]
                found.append(code)
                break
        else:
            groups.append((own, [code]))
    return {tuple(None if x == _UNASKED else x for x in shared): found for shared, found in groups}


def payment_rows(made: Encoding, tokens: dict[str, dict[str, str | None]]) -> None:
    """The signature that is chosen has the first diagnosis and just the tokens of the codes billed."""
    for number, first in enumerate(tokens):
        mine = {signature: variable for signature, variable in made.paid.items() if signature.first == first}
        lead = [(variable, 1.0) for variable in made.leading(first)]
        if first != ANY_FIRST:
            made.row([*((variable, 1.0) for variable in mine.values()), *((v, -1.0) for v, _ in lead)], 0.0, 0.0)
        kinds: dict[str, list[int]] = {}
        for kind, variable in made.kinds.items():
            token = kind[number]
            if token is not None:
                kinds.setdefault(token, []).append(variable)
        for token, variables in kinds.items():
            having = [(variable, 1.0) for signature, variable in mine.items() if token in signature.tokens]
            made.row([*having, *((variable, -1.0) for variable in variables)], -INFINITY, 0.0)
            # Applies only when `first` leads: kind <= having + (1 - lead).
            for variable in variables:
                slack = [] if first == ANY_FIRST else lead
                limit = 0.0 if first == ANY_FIRST else 1.0
                made.row([(variable, 1.0), *((v, -f) for v, f in having), *slack], -INFINITY, limit)
