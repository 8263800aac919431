"""What may be said of a model, given what the attacks did and what the checks found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal

from mithridate.audit.results import Check, Conclusion, Condition

FOOLED_RATE: Final = 0.5
"""From here on the attacker wins at least as often as not."""
WEAKENED_RATE: Final = 0.05
"""From here on, or beyond the tolerance, an attack has an effect."""
TOLERANCE: Final = 0.02
"""A loss of accuracy up to two points counts as none: the study's own limit for random noise."""

Effect = Literal["fooled", "weakened", "held", "not measured"]


def effect_of(clean: Condition | None, attacked: Condition | None) -> Effect:
    """How far one attack got, from its success rate and the accuracy that it took."""
    if clean is None or attacked is None or clean.accuracy.value is None or attacked.accuracy.value is None:
        return "not measured"
    before, lost = clean.accuracy.value, clean.accuracy.value - attacked.accuracy.value
    rate = attacked.attack_success_rate.value
    if rate is None:
        rate = max(0.0, lost) / before if before > 0 else 0.0
    if rate >= FOOLED_RATE and lost > TOLERANCE:
        return "fooled"
    return "weakened" if rate >= WEAKENED_RATE or lost > TOLERANCE else "held"


def conclude(
    conditions: Sequence[Condition], checks: Iterable[Check], refused: str | None = None, stopped: str | None = None
) -> Conclusion:
    """The outcome of one task and the sentences that it rests on.

    A failed integrity check voids everything.  An attack that had an effect shows that the model is not robust, however
    weak it was.  Where none had, the model is robust only if a white-box attack tried and no strength check failed.
    """
    if refused is not None:
        return Conclusion(outcome="not attacked", reasons=(refused,))
    all_checks = tuple(checks)
    void = tuple(_reason(c) for c in all_checks if c.group == "integrity" and c.verdict == "fail")
    if void:
        return Conclusion(outcome="void", reasons=void)
    clean = next((c for c in conditions if c.kind == "clean"), None)
    attacks = [c for c in conditions if c.kind not in ("clean", "noise") and c.main]
    effects = {c.label: effect_of(clean, c) for c in attacks}
    harmed = tuple(f"{label} {effect} it." for label, effect in effects.items() if effect in ("fooled", "weakened"))
    if harmed:
        return Conclusion(outcome="not robust", reasons=harmed)
    weak = [_reason(c) for c in all_checks if c.group == "strength" and c.verdict == "fail"]
    if not any(c.kind == "white-box" and effects[c.label] == "held" for c in attacks):
        weak.insert(0, "No white-box attack was measured: an attacker who holds the model was not tried.")
    if stopped is not None:
        weak.insert(0, f"The run was stopped before its end: {stopped}.")
    if weak:
        return Conclusion(outcome="inconclusive", reasons=tuple(weak))
    return Conclusion(outcome="robust", reasons=("No attack of the run had an effect, and no strength check failed.",))


def _reason(c: Check) -> str:
    return f"Check {c.number}: {c.evidence}"
