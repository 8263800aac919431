"""A few hundred claims of three payer models and a detector trained on them: small enough to try every edit."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache
from typing import Any

import numpy as np

from mithridate.claims.attacks.space import EditSpace, LineOption
from mithridate.claims.attacks.terms import Terms
from mithridate.claims.budget import CodeEdits, EditClass
from mithridate.claims.claim import Billed, Claim, Condition, Diagnosis, Documentation, ServiceLine
from mithridate.claims.detector import Detector, Kind, Recipe, train

DAY = date(2025, 11, 3)
FIRST = ("J189", "J690", "A419", "I5023", "N390")
BESIDE = ("I10", "E119", "E1165", "J9601", "N179", "E43", "D649", "I4891", "F329", "F322", "J449", "E6601", "R6520")
CHRONIC = ("E119", "E1122", "I5022", "J449", "F329", "F322", "I4891", "E6601", "I10", "M069")
VISITS = ("99212", "99213", "99214", "99215")


def _draw(number: int, rng: np.random.Generator) -> Claim:
    kind = ("ms-drg", "cms-hcc-v28", "physician")[number % 3]
    first = str(rng.choice(FIRST if kind == "ms-drg" else CHRONIC))
    others = [c for c in rng.permutation(BESIDE if kind == "ms-drg" else CHRONIC).tolist() if c[:3] != first[:3]]
    families: dict[str, str] = {str(c)[:3]: str(c) for c in others}
    beside = tuple(Diagnosis(c) for c in list(families.values())[: int(rng.integers(1, 4))])
    stay = int(rng.integers(2, 9)) if kind == "ms-drg" else None
    lines = (ServiceLine(str(rng.choice(VISITS)), charge=180.0),) if kind == "physician" else ()
    billed = Billed(Diagnosis(first), beside, lines=lines, charges=round(float(rng.normal(9000, 900)), 2))
    record = Documentation(
        (*(Condition(item.code) for item in billed.diagnoses), Condition("E6601")),
        length_of_stay=stay,
        encounter_minutes=32.0 if lines else None,
    )
    return Claim(
        str(number),
        f"provider {number // 12}",
        int(rng.integers(45, 90)),
        str(rng.choice(["F", "M"])),
        kind,
        DAY,
        billed,
        record,
        admission_date=DAY - timedelta(days=stay) if stay else None,
    )


@cache
def claims() -> tuple[Claim, ...]:
    rng = np.random.default_rng(11)
    return tuple(_draw(number, rng) for number in range(720))


@cache
def fraud() -> tuple[bool, ...]:
    """More likely with payment and with some codes, so that money and suspicion pull against each other."""
    rng, terms = np.random.default_rng(12), shared_terms()
    paid = terms.payments(claims())
    found = []
    for claim, amount in zip(claims(), paid.tolist(), strict=True):
        level = float(
            np.mean([a <= amount for a, c in zip(paid, claims(), strict=True) if c.payer_model == claim.payer_model])
        )
        odds = 4 * level - 3 + 1.5 * ("E43" in claim.codes) + ("F322" in claim.codes) - ("I10" in claim.codes)
        found.append(bool(rng.random() < 1 / (1 + np.exp(-2 * odds))))
    return tuple(found)


@cache
def shared_terms() -> Terms:
    return Terms()


@cache
def detector(kind: Kind = "lightgbm", **options: Any) -> Detector:
    recipe = Recipe(kind, trees=30, leaves=8, least=10, false_positive_rate=0.2, **options)
    return train(claims(), fraud(), recipe, pricer=shared_terms().pricer, seed=1)[0]


def space(claim: Claim, k: int, classes: tuple[EditClass, ...] = ("A", "B", "C", "D", "E"), wide: int = 7) -> EditSpace:
    """A space of a few codes, some of which exclude each other or need another."""
    pool = ("A419", "R6520", "J9601", "E43", "E6601", "N179", "J690", "E1122", "F322")
    if claim.payer_model != "ms-drg":
        pool = ("E1165", "I5022", "F322", "E6601", "M069", "E1122", "I130", "N184")
    options = tuple(LineOption(i, "hcpcs", level) for i in range(len(claim.billed.lines)) for level in VISITS) + tuple(
        LineOption(i, "units", 2.0) for i in range(len(claim.billed.lines))
    )
    return EditSpace(claim, CodeEdits(k, classes), pool[:wide], options)
