"""Named scenarios: one claim each, the edits that tell its story, and the documentation that judges them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from mithridate.claims.attacks.oracle import Decider
from mithridate.claims.attacks.space import EditSpace, LineOption
from mithridate.claims.budget import HONEST, CodeEdits
from mithridate.claims.claim import Billed, Claim, Condition, Diagnosis, Documentation, ServiceLine

_DAY = date(2025, 11, 3)


@dataclass(frozen=True, eq=False)
class Scenario:
    """A claim with its edit space.  `policy` is a payer's written policy that denies it, where the story has one."""

    name: str
    story: str
    space: EditSpace
    policy: Decider | None = None


class MetabolicPolicy:
    """A payer that pays for metabolic syndrome and for obesity, and not for both on one claim.

    Behavior of a payer's system and no coding rule: ICD-10-CM itself says to use an additional code for the obesity.
    """

    def denies(self, claims: Sequence[Claim]) -> NDArray[np.bool_]:
        """Whether each claim (N) bears both families."""
        return np.array([_bears(claim, "E8881") and _bears(claim, "E66") for claim in claims], dtype=np.bool_)


def scenarios() -> tuple[Scenario, ...]:
    """The four named scenarios."""
    return metabolic_syndrome(), pneumonia(), visit_level(), anesthesia_minutes()


def metabolic_syndrome() -> Scenario:
    """Denied as metabolic syndrome with obesity; its documented components say the same and are paid."""
    record = ("E88810", "E669", "I10", "E781", "E7800")
    claim = _claim("metabolic-syndrome", "physician", ("E88810", "E669"), record, [ServiceLine("99213", charge=150.0)])
    story = (
        "A visit for metabolic syndrome (E88.810; once ICD-9 277.7) with obesity is denied by the payer's policy. "
        "Hypertension, high triglycerides and high cholesterol are documented too: one edit within the record is paid."
    )
    space = EditSpace(claim, CodeEdits(2, HONEST), ("I10", "E781", "E7800"))
    return Scenario("Metabolic syndrome with obesity", story, space, MetabolicPolicy())


def pneumonia() -> Scenario:
    """A simple pneumonia billed as a complex one."""
    claim = _claim("pneumonia", "ms-drg", ("J189", "I10"), ("J189", "I10", "D649"), [], days=3)
    story = (
        "A stay for pneumonia without a named organism (J18.9) groups to simple pneumonia. Other principal diagnoses "
        "and single major complications raise the weight; the record supports none of them."
    )
    pool = ("J690", "J159", "J151", "A419", "J9601", "N179", "E43", "D649")
    return Scenario("Upcoded pneumonia", story, EditSpace(claim, CodeEdits(2), pool))


def visit_level() -> Scenario:
    """A visit billed at a level that its minutes do not support."""
    line = ServiceLine("99213", charge=150.0)
    claim = _claim("visit-level", "physician", ("I10", "E119"), ("I10", "E119"), [line], visit=24.0)
    story = "A visit of 24 minutes supports 99213; 99214 asks for 30 minutes and 99215 for 40."
    options = tuple(LineOption(0, "hcpcs", level) for level in ("99212", "99214", "99215"))
    return Scenario("Level of a visit", story, EditSpace(claim, CodeEdits(1), (), options))


def anesthesia_minutes() -> Scenario:
    """Minutes of anesthesia beyond the recorded ones."""
    line = ServiceLine("00790", minutes=62.0, charge=1500.0)
    claim = _claim("anesthesia-minutes", "anesthesia", ("K8020",), ("K8020",), [line], asleep=62.0)
    story = "62 minutes were recorded; every 15 minutes more are a unit more. Only the anesthesia record shows it."
    options = tuple(LineOption(0, "minutes", 62.0 + more) for more in (5.0, 13.0, 28.0))
    return Scenario("Anesthesia minutes", story, EditSpace(claim, CodeEdits(1), (), options))


def _claim(
    name: str,
    payer_model: str,
    codes: Sequence[str],
    documented: Sequence[str],
    lines: Sequence[ServiceLine],
    *,
    days: int | None = None,
    visit: float | None = None,
    asleep: float | None = None,
) -> Claim:
    first, *rest = (Diagnosis(code) for code in codes)
    record = Documentation(
        tuple(Condition(code) for code in documented),
        length_of_stay=days,
        encounter_minutes=visit,
        anesthesia_minutes=asleep,
    )
    charges = sum(line.charge for line in lines) or 12_000.0
    billed = Billed(first, tuple(rest), lines=tuple(lines), charges=charges)
    return Claim(name, "scenario", 58, "F", payer_model, _DAY, billed, record)


def _bears(claim: Claim, family: str) -> bool:
    return any(code.startswith(family) for code in claim.codes)
