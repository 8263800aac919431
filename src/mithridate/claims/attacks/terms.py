"""What everybody knows: how claims are paid, and which rules a payer's system checks before any model looks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mithridate.claims.claim import Claim, Diagnosis
from mithridate.claims.payment import Pricer
from mithridate.claims.rules import Rules
from mithridate.claims.rules.conventions import Span, combination_due, etiologies, excluded_together, needed_with

_LEADING = frozenset({"DX-PRINCIPAL", "DX-MANIFESTATION"})
_ALONE = frozenset({"DX-UNKNOWN", "DX-INCOMPLETE", "DX-RETIRED", "DX-FUTURE", "DX-ICD9", "DX-AGE", "DX-SEX"})


class Terms:
    """Payment and rules as an attacker may use them, without limit.

    The rules are asked as the payer asks them: without the record, which it does not hold when the claim arrives.
    """

    def __init__(self, pricer: Pricer | None = None, rules: Rules | None = None) -> None:
        self.pricer = pricer or Pricer()
        given = rules or Rules()
        self.rules = Rules(given.pairs, given.units, with_record=False)
        self._signatures: dict[tuple[object, ...], str] = {}
        self._broken = lru_cache(maxsize=4096)(lambda claim: frozenset(self.rules.check(claim)))

    def payments(self, claims: Sequence[Claim]) -> NDArray[np.float64]:
        """Dollars for each claim (N)."""
        return np.array([self.pricer.price(claim).amount for claim in claims], dtype=np.float64)

    def lawful(self, original: Claim, candidates: Sequence[Claim]) -> NDArray[np.bool_]:
        """Whether each candidate (N) breaks no rule that the original keeps."""
        tolerated, check = self._broken(original), self.rules.check
        return np.array([tolerated.issuperset(check(claim)) for claim in candidates], dtype=np.bool_)

    def may_bear(self, claim: Claim, code: str) -> bool:
        """Whether a diagnosis code is valid for this patient on this day, whatever else is billed."""
        return _ALONE.isdisjoint(item.reason for item in self.rules.check(self._alone(claim, code)))

    def may_lead(self, claim: Claim, code: str) -> bool:
        """Whether a diagnosis code may be the principal one of this claim."""
        return _LEADING.isdisjoint(item.reason for item in self.rules.check(self._alone(claim, code)))

    @staticmethod
    def exclude(first: str, second: str) -> bool:
        """Whether two codes may never stand on one claim."""
        return excluded_together(first, second) or any(combination_due((first, second)))

    @staticmethod
    def companions(code: str) -> list[tuple[tuple[Span, ...], bool]]:
        """What else a code needs on its claim: (one of these, whether ahead of it), for each need."""
        found = list(needed_with(code))
        origin = etiologies(code)
        return [*found, (origin, True)] if origin else found

    def signature(self, claim: Claim, codes: tuple[str, ...]) -> str:
        """Why the payer would pay what it pays, if only these diagnoses were billed.  Kept between claims."""
        key: tuple[object, ...] = (
            claim.payer_model,
            claim.age,
            claim.sex,
            claim.discharge_status,
            claim.billed.procedures,
            codes,
        )
        # A group does not look at the age, nor a risk score at anything but the member.
        key = (key[0], 0, *key[2:]) if claim.payer_model == "ms-drg" else (*key, claim.enrollment)
        known = self._signatures.get(key)
        if known is None:
            first, *rest = (Diagnosis(code) for code in codes)
            known = self.pricer.price(claim.with_billed(principal=first, secondary=rest)).signature
            self._signatures[key] = known
        return known

    @staticmethod
    def _alone(claim: Claim, code: str) -> Claim:
        return claim.with_billed(principal=Diagnosis(code), secondary=(), procedures=(), lines=())
