"""Which codes and which line values an attacker would think of for a claim."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mithridate.claims.attacks.space import EditSpace, LineOption
from mithridate.claims.attacks.terms import Terms
from mithridate.claims.budget import VISIT_MINUTES, CodeEdits, visit_family
from mithridate.claims.claim import Claim, Diagnosis
from mithridate.claims.codes import category, siblings
from mithridate.errors import UserError

PAID_BY_CODES = ("ms-drg", "cms-hcc-v28")


@dataclass(frozen=True)
class Proposals:
    """What is tried beside a claim's own codes.

    Every documented condition (B); up to `siblings` further codes of each billed category (C); up to `jumps` codes of
    other categories (D), half of them the most usual ones of the payer model and half those that pay most on this
    claim; line values (E, and visit levels).  `usual` counts codes by payer model, as billed by others.
    """

    usual: Mapping[str, Mapping[str, int]]
    siblings: int = 8
    jumps: int = 16
    minutes: tuple[float, ...] = (5.0, 15.0, 30.0)
    units: tuple[float, ...] = (1.0,)

    @classmethod
    def learn(cls, claims: Sequence[Claim], siblings: int = 8, jumps: int = 16) -> Proposals:
        """From what others bill.  Raises UserError when there are no claims."""
        if not claims:
            raise UserError("there are no claims to learn usual codes from: give a file or a population with some")
        usual: dict[str, Counter[str]] = {}
        for claim in claims:
            usual.setdefault(claim.payer_model, Counter()).update(claim.codes)
        return cls({model: dict(counts) for model, counts in usual.items()}, siblings, jumps)

    def space(self, claim: Claim, budget: CodeEdits, terms: Terms) -> EditSpace:
        """The edit space of one claim: only codes that the patient may bear."""
        pool = [*sorted(claim.documentation.active_codes)]
        if "C" in budget.classes:
            pool += self._siblings(claim)
        if "D" in budget.classes:
            pool += self._jumps(claim, terms)
        valid = [code for code in dict.fromkeys(pool) if terms.may_bear(claim, code)]
        return EditSpace(claim, budget, tuple(valid), tuple(self._options(claim)))

    def _siblings(self, claim: Claim) -> list[str]:
        usual = self.usual.get(claim.payer_model, {})
        found: list[str] = []
        for family in dict.fromkeys(category(code) for code in claim.codes):
            related = sorted(siblings(family, claim.discharge_date), key=lambda code: (-usual.get(code, 0), code))
            found += related[: self.siblings]
        return found

    def _jumps(self, claim: Claim, terms: Terms) -> list[str]:
        """Codes of other categories; none that pay by services alone would gain from it, so usual ones only."""
        usual, own = self.usual.get(claim.payer_model, {}), {category(code) for code in claim.codes}
        ranked = sorted((c for c in usual if category(c) not in own), key=lambda code: (-usual[code], code))
        if claim.payer_model not in PAID_BY_CODES:
            return ranked[: self.jumps]
        tried = ranked[: 6 * self.jumps]
        billed = claim.billed.secondary
        paid = terms.payments([claim.with_billed(secondary=(*billed, Diagnosis(code))) for code in tried])
        by_money = [tried[i] for i in np.argsort(-paid, kind="stable").tolist()]
        half = self.jumps // 2
        return list(dict.fromkeys(ranked[: self.jumps - half] + by_money))[: self.jumps]

    def _options(self, claim: Claim) -> list[LineOption]:
        found: list[LineOption] = []
        for number, line in enumerate(claim.billed.lines):
            family = visit_family(line.hcpcs)
            levels = VISIT_MINUTES[family] if family else ()
            found += [LineOption(number, "hcpcs", level) for level in levels if level != line.hcpcs]
            found += [LineOption(number, "units", line.units + more) for more in self.units]
            if line.minutes is not None:
                found += [LineOption(number, "minutes", line.minutes + more) for more in self.minutes]
        return found
