"""A made-up population of honest and abusive providers, with documentation that supports or contradicts their claims.

Every provider draws from a stream of its own (seed, provider's number), so a larger population begins with the smaller
one, and neither the order of the work nor the number of workers changes a claim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from mithridate.claims.claim import Billed, Claim
from mithridate.claims.populations.encounter import Calendar, Encounter
from mithridate.claims.populations.operations import draw_operations
from mithridate.claims.populations.profile import Provider, draw_provider
from mithridate.claims.populations.stays import draw_stays
from mithridate.claims.populations.visits import draw_members, draw_office
from mithridate.errors import UserError
from mithridate.seeds import generator

CODE_IDENTITY_AUC = 0.80
"""A model that sees only which codes a claim bears must stay under this area under the ROC curve: abuse has to show in
how codes, time and charges go together, since honest claims use the same codes."""

_DRAW = {"hospital": draw_stays, "members": draw_members, "office": draw_office, "anesthesia": draw_operations}

Progress = Callable[[str, int, int], None]
"""(what is being done, claims made, claims in all), called after every provider."""


@dataclass(frozen=True)
class PopulationPlan:
    """What to make.

    Attributes: claims (in all), seed, abusive_share (of providers), claims_a_provider, start and end (first and last
    possible day of discharge or service).
    """

    claims: int = 5000
    seed: int = 0
    abusive_share: float = 0.25
    claims_a_provider: int = 40
    start: date = date(2025, 10, 1)
    end: date = date(2026, 3, 31)

    def __post_init__(self) -> None:
        if self.claims < 1:
            raise UserError(f"a population of {self.claims} claims is empty: ask for at least 1")
        if self.claims_a_provider < 1:
            raise UserError(f"{self.claims_a_provider} claims a provider are none: ask for at least 1")
        if not 0 <= self.abusive_share <= 1:
            raise UserError(f"the share of abusive providers is {self.abusive_share}: give a number from 0 to 1")
        if self.end < self.start:
            raise UserError(f"the period ends on {self.end}, before it starts on {self.start}: swap the two")

    @property
    def providers(self) -> int:
        return -(-self.claims // self.claims_a_provider)


@dataclass(frozen=True)
class Population:
    """N claims in the order of their providers, and the truth about them.

    Attributes: plan, claims (N, as billed), honest_billing (N: what an honest provider would have billed), providers.
    """

    plan: PopulationPlan
    claims: tuple[Claim, ...]
    honest_billing: tuple[Billed, ...]
    providers: tuple[Provider, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.claims)

    @property
    def abusive(self) -> NDArray[np.bool_]:
        """bool N: the claim is not what an honest provider would have billed."""
        pairs = zip(self.claims, self.honest_billing, strict=True)
        return np.array([claim.billed != honest for claim, honest in pairs], dtype=np.bool_)

    @property
    def schemes(self) -> tuple[str, ...]:
        """N: the scheme of each claim's provider, "honest" for claims that are as they should be."""
        by_id = {provider.id: provider.scheme for provider in self.providers}
        marks = zip(self.claims, self.abusive, strict=True)
        return tuple(by_id[claim.provider] if abusive else "honest" for claim, abusive in marks)

    @property
    def honest_codes(self) -> frozenset[str]:
        """Diagnosis and HCPCS codes that honest claims bear: all that an attacker on this population may use."""
        marks = zip(self.claims, self.abusive, strict=True)
        honest = [claim.billed for claim, abusive in marks if not abusive]
        return frozenset(code for billed in honest for code in (*billed.codes, *(x.hcpcs for x in billed.lines)))


def generate(plan: PopulationPlan, progress: Progress | None = None) -> Population:
    """Make a population; the same plan always gives the same claims."""
    providers: list[Provider] = []
    encounters: list[Encounter] = []
    for provider in draw_providers(plan):
        providers.append(provider)
        encounters += provider_claims(plan, provider)
        if progress is not None:
            progress("claims", min(len(encounters), plan.claims), plan.claims)
    kept = encounters[: plan.claims]
    claims = tuple(item.claim for item in kept)
    return Population(plan, claims, tuple(item.honest for item in kept), tuple(providers))


def draw_providers(plan: PopulationPlan) -> Iterator[Provider]:
    """The providers of a plan, in order."""
    for index in range(plan.providers):
        yield draw_provider(plan.seed, index, plan.abusive_share, plan.start, plan.end)


def provider_claims(plan: PopulationPlan, provider: Provider) -> list[Encounter]:
    """All claims of one provider by day; they depend on the plan's seed and period and on this provider only."""
    rng = generator(plan.seed, "claims", provider.index)
    calendar = Calendar(plan.start, (plan.end - plan.start).days + 1)
    return _DRAW[provider.kind](rng, provider, plan.claims_a_provider, calendar)
