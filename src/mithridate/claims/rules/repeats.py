"""Services billed twice on different claims: the one rule that needs more than one claim."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from mithridate.claims.claim import Claim
from mithridate.claims.rules.reasons import Broken
from mithridate.claims.rules.services import REPEAT_MODIFIERS


def repeated_claims(claims: Iterable[Claim]) -> dict[str, tuple[Broken, ...]]:
    """For each claim that repeats a service of an earlier one (same provider, patient, day, code): what it repeats.

    Claims without a patient's name are passed over.  Keys are claim ids; the first claim is never in the result.
    """
    first: dict[tuple[str, str, date, str], str] = {}
    found: dict[str, tuple[Broken, ...]] = {}
    for claim in claims:
        if not claim.patient:
            continue
        for line in claim.billed.lines:
            key = (claim.provider, claim.patient, claim.discharge_date, line.hcpcs)
            earlier = first.setdefault(key, claim.id)
            if earlier != claim.id and REPEAT_MODIFIERS.isdisjoint(line.modifiers):
                broken = Broken("CLAIM-REPEATED", f"{line.hcpcs}, as on claim {earlier}")
                found[claim.id] = (*found.get(claim.id, ()), broken)
    return found
