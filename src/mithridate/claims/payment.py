"""What the payer pays for a claim as billed, by the claim's payer model, with every table's vintage.

Dollars rest on a rate a unit that the caller sets: the defaults are round numbers near the national ones, so gains are
comparable, and no one's real payment.  Transfers, outliers, wage and geographic indices are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mithridate.claims.claim import PAYER_MODELS, Claim
from mithridate.claims.payments import drg, raf
from mithridate.claims.payments.anesthesia import BaseUnits
from mithridate.claims.payments.drg import DrgGrouper
from mithridate.claims.payments.fees import FeeSchedule
from mithridate.claims.payments.raf import RiskScorer
from mithridate.errors import UserError

CACHE_LIMIT = 500_000
"""Groups or risks kept; beyond it the cache starts afresh."""


@dataclass(frozen=True)
class Rates:
    """Dollars a unit: of DRG weight (a stay), of risk score (a member's year), of anesthesia.

    `with_status` adds units for physical status P3 to P5, as many payers do and Medicare does not.
    """

    stay: float = 7000.0
    member_year: float = 12000.0
    anesthesia: float = 20.5
    with_status: bool = True

    def __post_init__(self) -> None:
        for name in ("stay", "member_year", "anesthesia"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UserError(f"the rate '{name}' is {getattr(self, name)}: give dollars above zero")


@dataclass(frozen=True, slots=True)
class Price:
    """What a claim pays.

    Attributes: amount (dollars), units (DRG weight, risk score, relative value units or anesthesia units), signature
    (all of the claim that the payment depends on: the DRG, the HCCs after hierarchies, else the codes of its lines).
    """

    amount: float
    units: float
    signature: str


@dataclass
class Pricer:
    """Prices claims; keeps DRG groups and risk scores by code set.  One to a process, none between threads."""

    rates: Rates = field(default_factory=Rates)
    fees: FeeSchedule = field(default_factory=FeeSchedule.fixture)
    base_units: BaseUnits = field(default_factory=BaseUnits.fixture)
    groups: DrgGrouper = field(default_factory=DrgGrouper)
    risks: RiskScorer = field(default_factory=RiskScorer)

    def price(self, claim: Claim) -> Price:
        """The payment of a claim as billed.

        Raises UserError for an unknown payer model, MissingExtra without the package that its model needs.
        """
        if claim.payer_model == "ms-drg":
            if len(self.groups) >= CACHE_LIMIT:
                self.groups.clear()
            group = self.groups.group(claim)
            return Price(group.weight * self.rates.stay, group.weight, f"DRG {group.drg}")
        if claim.payer_model == "cms-hcc-v28":
            if len(self.risks) >= CACHE_LIMIT:
                self.risks.clear()
            risk = self.risks.risk(claim)
            return Price(risk.score * self.rates.member_year, risk.score, f"HCC {' '.join(risk.categories) or 'none'}")
        lines = claim.billed.lines
        signature = " ".join(sorted(line.hcpcs for line in lines)) or "no service"
        if claim.payer_model == "physician":
            units = self.fees.total_units(lines)
            return Price(units * self.fees.factor, units, signature)
        if claim.payer_model == "anesthesia":
            units = self.base_units.total_units(lines, with_status=self.rates.with_status)
            return Price(units * self.rates.anesthesia, units, signature)
        raise UserError(
            f"claim {claim.id} has the payer model '{claim.payer_model}': use one of {', '.join(PAYER_MODELS)}"
        )

    def vintages(self) -> Mapping[str, str]:
        """Which edition of each table the prices rest on."""
        return {
            "stays": drg.VINTAGE,
            "risk": raf.VINTAGE,
            "fees": self.fees.vintage,
            "anesthesia": self.base_units.vintage,
        }
