"""What every kind of encounter gives: a claim as billed, and what an honest provider would have billed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache

import numpy as np

from mithridate.claims.claim import Billed, Claim, Condition, Diagnosis, Documentation, ServiceLine
from mithridate.claims.payments.fees import FeeSchedule
from mithridate.claims.populations.profile import PAYER_MODEL, Provider

MARKUP = 2.4
"""List charges over fees."""


@dataclass(frozen=True, slots=True)
class Encounter:
    """A claim as billed, and what an honest provider would have billed for the same encounter."""

    claim: Claim
    honest: Billed

    @property
    def abusive(self) -> bool:
        return self.claim.billed != self.honest


@dataclass(frozen=True)
class Calendar:
    """The days on which services happen: `days` of them from `start`."""

    start: date
    days: int

    def day(self, offset: int) -> date:
        return self.start + timedelta(days=offset)

    def abuse_begun(self, provider: Provider, offset: int) -> bool:
        return provider.onset is not None and self.day(offset) >= provider.onset


def tries_abuse(rng: np.random.Generator, provider: Provider, calendar: Calendar, offset: int) -> bool:
    """Whether the provider tries to inflate this claim.  Draws once in any case, so that honest claims do not shift."""
    return bool(rng.random() < provider.intensity) and calendar.abuse_begun(provider, offset)


def encounter(
    provider: Provider,
    number: int,
    claim_day: date,
    age: int,
    sex: str,
    honest: Billed,
    billed: Billed,
    documentation: Documentation,
    admission: date | None = None,
) -> Encounter:
    """An encounter of the provider; charges follow the services and the stay, never the diagnoses that are claimed."""
    claim = Claim(
        id=f"{provider.id}-{number:05d}",
        provider=provider.id,
        age=age,
        sex=sex,
        payer_model=PAYER_MODEL[provider.kind],
        discharge_date=claim_day,
        billed=billed,
        documentation=documentation,
        patient=f"{provider.id}-{number:05d}",
        admission_date=admission,
    )
    return Encounter(claim, honest)


def billed_as(
    diagnoses: Sequence[Diagnosis],
    lines: Sequence[ServiceLine] = (),
    procedures: Sequence[str] = (),
    charges: float | None = None,
) -> Billed:
    total = round(sum(line.charge for line in lines), 2) if charges is None else charges
    return Billed(diagnoses[0], tuple(diagnoses[1:]), tuple(procedures), tuple(lines), total)


def active(codes: Sequence[str]) -> tuple[Condition, ...]:
    return tuple(Condition(code) for code in codes)


def priced(hcpcs: str, modifiers: tuple[str, ...] = (), units: float = 1.0) -> ServiceLine:
    """A service at its list charge."""
    line = ServiceLine(hcpcs, modifiers, units)
    return replace(line, charge=round(_fees().line_units(line) * _fees().factor * MARKUP, 2))


@cache
def _fees() -> FeeSchedule:
    return FeeSchedule.fixture()
