"""Hospital stays, paid by MS-DRG."""

from __future__ import annotations

from functools import partial

import numpy as np

from mithridate.claims.claim import Documentation
from mithridate.claims.populations.catalog import Ladder, ladders
from mithridate.claims.populations.coding import code_diagnoses, with_presence
from mithridate.claims.populations.encounter import Calendar, Encounter, active, billed_as, encounter, tries_abuse
from mithridate.claims.populations.patients import considered, draw_patients, measurements, true_codes, with_slips
from mithridate.claims.populations.profile import Provider
from mithridate.claims.populations.temptation import stay_weight
from mithridate.claims.populations.upcoding import upcode

_DOLLARS_A_DAY = 2600.0


def draw_stays(rng: np.random.Generator, provider: Provider, count: int, calendar: Calendar) -> list[Encounter]:
    """Stays whose length and charges follow what the patients have, whatever is billed."""
    table = ladders()
    patients = draw_patients(rng, count, calendar.days, "stay", provider.mix)
    weights = np.array([ladder.principal for ladder in table]) * provider.mix
    reason = rng.choice(len(table), size=count, p=weights / weights.sum())
    rungs = patients.rung.copy()
    for row, place in enumerate(rng.random(count)):
        rungs[row, reason[row]] = _reason_rung(table[reason[row]], place, rungs[row, reason[row]])
    found = []
    for row in range(count):
        ladder = table[reason[row]]
        first = ladder.rungs[rungs[row, reason[row]]]
        others = [code for code in true_codes(rungs[row]) if code != first.code]
        severity = first.severity + sum(
            table[column].rungs[rungs[row, column]].severity for column in np.flatnonzero(rungs[row] >= 0)
        )
        days = 1 + int(rng.poisson(1.4 + 0.75 * severity))
        charges = round(_DOLLARS_A_DAY * days * float(rng.lognormal(0.0, 0.22)) + 2200.0 * severity, 2)
        codes = with_slips(rng, [first.code, *others])
        inflate = tries_abuse(rng, provider, calendar, int(patients.day[row]))
        steps = 1 if provider.scheme == "spread-thin" else 1 + int(rng.random() < 0.5)
        sex = "F" if patients.woman[row] else "M"
        age = int(patients.age[row])
        written = upcode(rng, codes, steps, partial(stay_weight, sex=sex)) if inflate else codes
        procedures = [ladder.procedure] if ladder.procedure else []
        honest, billed = (
            billed_as(with_presence(code_diagnoses(list_[0], list_[1:])), procedures=procedures, charges=charges)
            for list_ in (codes, written)
        )
        record = Documentation(
            active(code_diagnoses(first.code, others)) + considered(rng, rungs[row]),
            labs=measurements(rungs[row], patients.measured[row]),
            length_of_stay=days,
        )
        discharge = calendar.day(int(patients.day[row]))
        admission = calendar.day(int(patients.day[row]) - days)
        found.append(encounter(provider, row, discharge, age, sex, honest, billed, record, admission))
    return found


def _reason_rung(ladder: Ladder, place: float, held: int) -> int:
    """The rung for which a patient is admitted: the one held, else by the shares; a past condition is no reason."""
    rung = held if held >= 0 else int(np.searchsorted(ladder.cumulative, place))
    if ladder.rungs[rung].code.startswith("Z"):
        return next(index for index, item in enumerate(ladder.rungs) if item.severity == ladder.top)
    return rung
