"""Which payments edits can reach: a payment depends on few things about the codes, and those are found by asking.

The token of a code is the group or category that the payer's own tables give a claim that bears it (under a given first
diagnosis, for a stay).  Claims with the same tokens are taken to pay the same, which the exact attack checks again on
the optimum that it returns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product

from mithridate.claims.attacks.space import EditSpace
from mithridate.claims.attacks.terms import Terms
from mithridate.claims.claim import Claim, Diagnosis

ANY_FIRST = ""
"""Stands for the first diagnosis where the payment does not depend on which it is."""


@dataclass(frozen=True)
class Signature:
    """One payment that edits may reach: the first diagnosis (or ANY_FIRST), the tokens beside it, and a claim that
    bears them."""

    first: str
    tokens: frozenset[str]
    example: Claim


def is_stay(claim: Claim) -> bool:
    return claim.payer_model == "ms-drg"


def pays_by_codes(claim: Claim) -> bool:
    """Whether diagnoses decide the payment; else the service lines do."""
    return claim.payer_model in ("ms-drg", "cms-hcc-v28")


def code_tokens(space: EditSpace, terms: Terms, first: str) -> dict[str, str | None]:
    """The token of each code of a space beside `first`; None for those that leave the payment as it is."""
    claim, codes = space.claim, (*space.codes, *space.pool)
    if first == ANY_FIRST:
        alone = {code: terms.signature(claim, (code,)) for code in codes}
        return {code: None if found == "HCC none" else found for code, found in alone.items()}
    bare = terms.signature(claim, (first,))
    beside = {code: terms.signature(claim, (first, code)) for code in codes if code != first}
    return {code: None if found == bare else found for code, found in beside.items()}


def reachable(space: EditSpace, tokens: dict[str, str | None], first: str, most: int) -> list[Signature] | None:
    """All sets of tokens that k edits reach, and some that they do not; None when there are more than `most`."""
    k = space.budget.k
    held = Counter(token for code in space.codes if (token := tokens.get(code)) is not None)
    offered = sorted({token for code in space.pool if (token := tokens.get(code)) is not None})
    sets: dict[frozenset[str], None] = {}
    for left in _left(held, k):
        for many in range(k + 1):
            for new in combinations(offered, many):
                sets.setdefault(left | set(new))
                if len(sets) > most:
                    return None
    bearer: dict[str, str] = {}
    for code in (*space.codes, *space.pool):
        token = tokens.get(code)
        if token is not None:
            bearer.setdefault(token, code)
    plain = [code for code in space.codes if code != first and tokens.get(code) is None]
    lead = [] if first == ANY_FIRST else [first]
    found = []
    for chosen in sets:
        codes = [*lead, *plain, *(bearer[token] for token in sorted(chosen))]
        found.append(Signature(first, chosen, _bearing(space.claim, codes or [space.codes[0]])))
    return found


def _left(held: Counter[str], k: int) -> Iterator[frozenset[str]]:
    """The tokens left after at most k codes were dropped."""
    for kept in product(*([(token, True), (token, False)] for token in held)):
        if sum(held[token] for token, stays in kept if not stays) <= k:
            yield frozenset(token for token, stays in kept if stays)


def _bearing(claim: Claim, codes: Sequence[str]) -> Claim:
    first, *rest = dict.fromkeys(codes)
    known = {item.code: item for item in claim.billed.diagnoses}
    every = [known.get(code) or Diagnosis(code) for code in (first, *rest)]
    return claim.with_billed(principal=every[0], secondary=every[1:])
