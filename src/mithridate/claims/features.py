"""What a payer's model sees of a claim: counts, families, the patient, the stay and the payment; no documentation.

Every column belongs to one of four parts, so that exact methods know what an edit can do to it: `fixed` columns no edit
changes, `counted` ones are sums over what is billed, `leading` ones depend on the first diagnosis alone, and `paid`
ones on what the claim pays and why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mithridate.claims.claim import PAYER_MODELS, Claim
from mithridate.claims.codes import category
from mithridate.claims.payment import Price, Pricer
from mithridate.errors import UserError

Detail = Literal["code", "category", "chapter"]
DETAILS: tuple[Detail, ...] = ("code", "category", "chapter")
Part = Literal["fixed", "counted", "leading", "paid"]

_FIXED = ("age", "female", *(f"payer {name}" for name in PAYER_MODELS), "days of stay", "procedures", "charges")
_SUMS = ("diagnoses", "service lines", "units", "minutes")
_PAID = ("payment", "payment units", "payment over charges", "risk categories")


@dataclass(frozen=True)
class FeatureSpace:
    """The columns of a model, fitted on the claims that it is trained on.

    `detail` is the finest family that diagnosis columns tell apart; coarser ones are kept beside it.  `names` of
    columns read "code E119", "category J18", "chapter I", "first J18", "service 99213", "group DRG 193".
    """

    names: tuple[str, ...]
    detail: Detail = "code"
    pricer: Pricer = field(default_factory=Pricer, compare=False, repr=False)

    @classmethod
    def fit(
        cls, claims: Sequence[Claim], pricer: Pricer | None = None, detail: Detail = "code", least: int = 20
    ) -> FeatureSpace:
        """Columns for every code, family, service and DRG that at least `least` of the claims bear.

        Raises UserError when there are no claims.
        """
        if not claims:
            raise UserError("there are no claims to take features from: give a file or a population with some")
        pricer = pricer or Pricer()
        levels = DETAILS[DETAILS.index(detail) :]
        seen: Counter[str] = Counter()
        for claim in claims:
            codes = set(claim.codes)
            seen.update({f"{level} {_family(code, level)}" for code in codes for level in levels})
            seen.update({f"service {line.hcpcs}" for line in claim.billed.lines})
            seen[f"first {category(claim.codes[0])}"] += 1
            signature = pricer.price(claim).signature
            if signature.startswith("DRG "):
                seen[f"group {signature}"] += 1
        frequent = sorted(name for name, count in seen.items() if count >= least)
        return cls((*_FIXED, *_SUMS, *_PAID, *frequent), detail, pricer)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The part of each column."""
        kinds: dict[str, Part] = {"first": "leading", "group": "paid"}
        whole: dict[str, Part] = dict.fromkeys(_FIXED, "fixed")
        whole |= dict.fromkeys(_PAID, "paid")
        return tuple(whole.get(name) or kinds.get(name.split()[0], "counted") for name in self.names)

    def columns(self, part: Part) -> NDArray[np.int64]:
        """Numbers of the columns of one part."""
        return np.flatnonzero(np.array(self.parts) == part)

    def transform(self, claims: Sequence[Claim]) -> NDArray[np.float64]:
        """N claims as rows, N x columns."""
        width, pricer = len(self.names), self.pricer
        values = np.zeros((len(claims), width))
        if not claims:
            return values
        numbers: list[tuple[float, ...]] = []
        ones: list[list[int] | tuple[int, ...]] = []
        diagnosis, place = self._diagnosis, self._place
        for claim in claims:
            billed, price = claim.billed, pricer.price(claim)
            numbers.append((*_fixed(claim), *_sums(claim), *_paid(claim, price)))
            found: list[int] = []
            for code in billed.codes:
                known = diagnosis.get(code)
                found += known if known is not None else self._learn(code)
            first = place.get(f"first {billed.principal.code[:3]}")
            group = place.get(f"group {price.signature}")
            services = [place.get(f"service {line.hcpcs}") for line in billed.lines]
            found += [column for column in (first, group, *services) if column is not None]
            ones.append(found)
        lengths = [len(found) for found in ones]
        cells = np.repeat(np.arange(len(claims)) * width, lengths) + np.fromiter(chain.from_iterable(ones), np.int64)
        values += np.bincount(cells, minlength=values.size).reshape(values.shape)
        values[:, : len(numbers[0])] = numbers
        return values

    @cached_property
    def _place(self) -> dict[str, int]:
        return {name: column for column, name in enumerate(self.names)}

    @cached_property
    def _diagnosis(self) -> dict[str, list[int]]:
        return {}

    def _learn(self, code: str) -> list[int]:
        """Columns that a diagnosis code counts in."""
        names = [f"{level} {_family(code, level)}" for level in DETAILS]
        found = self._diagnosis[code] = [self._place[name] for name in names if name in self._place]
        return found


def _family(code: str, level: Detail) -> str:
    return {"code": code, "category": category(code), "chapter": code[:1]}[level]


def _fixed(claim: Claim) -> tuple[float, ...]:
    days = (claim.discharge_date - claim.admission_date).days if claim.admission_date else 0
    payer = (float(claim.payer_model == name) for name in PAYER_MODELS)
    billed = claim.billed
    return float(claim.age), float(claim.sex == "F"), *payer, float(days), float(len(billed.procedures)), billed.charges


def _sums(claim: Claim) -> tuple[float, ...]:
    lines = claim.billed.lines
    minutes = sum(line.minutes or 0.0 for line in lines)
    return float(len(claim.billed.secondary) + 1), float(len(lines)), sum(line.units for line in lines), minutes


def _paid(claim: Claim, price: Price) -> tuple[float, ...]:
    charges = claim.billed.charges
    # Risk scores pay for a year and charges are for a visit: a ratio of the two would mean nothing.
    ratio = price.amount / charges if charges > 0 and claim.payer_model != "cms-hcc-v28" else 0.0
    categories = len(price.signature.split()) - 1 if price.signature.startswith("HCC ") else 0
    return price.amount, price.units, ratio, 0.0 if price.signature == "HCC none" else float(categories)
