"""CMS-HCC V28 risk scores by `hccinfhir`, kept by demographics and by the set of condition categories."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mithridate.claims.claim import Claim
from mithridate.errors import MissingExtra

MODEL = "CMS-HCC Model V28"
VINTAGE = "CMS-HCC V28, payment year 2026 coefficients and mapping as in hccinfhir 0.4 (raw score, no normalization)"

Demographics = tuple[int, str, str, str, bool, bool]


@dataclass(frozen=True)
class Risk:
    """A raw risk score (1.0 is the average beneficiary) and the payment categories behind it, sorted."""

    score: float
    categories: tuple[str, ...]


class RiskScorer:
    """Scores claims.

    A score depends on the member and on which condition categories the codes reach, no code nor order beyond that; age
    and sex edits work on single codes.  So each code is mapped once for each member type, and each set of categories
    scored once.  Not safe to share between threads.
    """

    def __init__(self) -> None:
        self._categories: dict[tuple[str, int, str], frozenset[str]] = {}
        self._known: dict[tuple[Demographics, frozenset[str]], Risk] = {}

    def risk(self, claim: Claim) -> Risk:
        """The risk of the member as this claim's diagnoses state it.  Raises MissingExtra without `hccinfhir`."""
        enrolled = claim.enrollment
        reached: set[str] = set()
        bearing: list[str] = []
        for code in claim.codes:
            found = self._categories_of(code, claim.age, claim.sex)
            if found:
                bearing.append(code)
                reached |= found
        member = (
            claim.age,
            claim.sex,
            enrolled.dual_status,
            enrolled.entitlement,
            enrolled.institutional,
            enrolled.new_enrollee,
        )
        key = (member, frozenset(reached))
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._score(bearing, member)
        return known

    def clear(self) -> None:
        self._known.clear()
        self._categories.clear()

    def __len__(self) -> int:
        return len(self._known)

    def _categories_of(self, code: str, age: int, sex: str) -> frozenset[str]:
        key = (code, age, sex)
        found = self._categories.get(key)
        if found is None:
            mapped = self._library.apply_mapping([code], MODEL, self._library.dx_to_cc_default)
            edited = self._library.apply_edits(mapped, age, sex, MODEL, self._library.edits_default)
            found = self._categories[key] = frozenset(edited)
        return found

    def _score(self, codes: list[str], member: Demographics) -> Risk:
        age, sex, dual, entitlement, institutional, new = member
        result = self._library.calculate_raf(
            codes, MODEL, age, sex, dual, entitlement, lti=institutional, new_enrollee=new
        )
        # Coefficients have three decimals.  They are added in an order that differs between processes, and so does the
        # last bit of their sum.
        return Risk(round(float(result.risk_score), 6), tuple(sorted(result.hcc_list, key=lambda hcc: (len(hcc), hcc))))

    @cached_property
    def _library(self) -> Any:
        try:
            from hccinfhir import model_calculate
        except ModuleNotFoundError:
            raise MissingExtra("risk scores", "claims") from None
        return model_calculate
