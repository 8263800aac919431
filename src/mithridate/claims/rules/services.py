"""Rules about billed services: units, repeats, NCCI, and the time billed against the time recorded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mithridate.claims.budget import VISIT_MINUTES
from mithridate.claims.claim import Documentation, ServiceLine
from mithridate.claims.rules.reasons import Broken

REPEAT_MODIFIERS = frozenset({"76", "77", "91", "59", "XE", "XP", "XS", "XU", "LT", "RT", "50"})
"""Modifiers that say why the same service stands twice."""

_VISIT_LEVELS = {code: minutes for levels in VISIT_MINUTES.values() for code, minutes in levels.items()}


def is_anesthesia(hcpcs: str) -> bool:
    """Whether a code is of the anesthesia section (00100 to 01999), which is billed by minutes."""
    return len(hcpcs) == 5 and hcpcs.isdigit() and "00100" <= hcpcs <= "01999"


def line_rules(lines: Sequence[ServiceLine]) -> Iterator[Broken]:
    """Rules that need the lines alone."""
    seen: set[tuple[str, tuple[str, ...]]] = set()
    for line in lines:
        if line.units <= 0 or (line.minutes is not None and line.minutes <= 0):
            yield Broken("LINE-UNITS", line.hcpcs)
        if is_anesthesia(line.hcpcs) and line.minutes is None:
            yield Broken("AN-MINUTES", line.hcpcs)
        key = (line.hcpcs, line.modifiers)
        if key in seen and REPEAT_MODIFIERS.isdisjoint(line.modifiers):
            yield Broken("LINE-DUPLICATE", line.hcpcs)
        seen.add(key)


def time_rules(lines: Sequence[ServiceLine], record: Documentation) -> Iterator[Broken]:
    """Billed time against the record; lines whose time was not recorded are passed over.

    A visit's level may rest on decision making as well as on time, so that rule only flags.
    """
    anesthesia = [line for line in lines if is_anesthesia(line.hcpcs) and line.minutes is not None]
    billed = sum(line.minutes or 0.0 for line in anesthesia)
    if anesthesia and record.anesthesia_minutes is not None and billed > record.anesthesia_minutes:
        codes = ", ".join(line.hcpcs for line in anesthesia)
        yield Broken("AN-TIME", f"{codes}: {billed:g} billed, {record.anesthesia_minutes:g} recorded")
    if record.encounter_minutes is not None:
        for line in lines:
            asked = _VISIT_LEVELS.get(line.hcpcs)
            if asked is not None and record.encounter_minutes < asked:
                yield Broken("EM-TIME", f"{line.hcpcs}: {asked} asked, {record.encounter_minutes:g} recorded")
