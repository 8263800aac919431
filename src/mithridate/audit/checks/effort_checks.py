"""Checks 15 to 17: whether the white-box attack was carried through, seen on the examples that held out."""

from __future__ import annotations

from mithridate.audit.checks.evidence import Evidence
from mithridate.audit.checks.wording import check, counted
from mithridate.audit.results import Check

CONVERGED_POINTS = 1.0
LOSS_CHANGE = 0.05
LAST_STEPS = 10


def _nothing_held(number: int, e: Evidence) -> Check | None:
    if not e.white():
        return check(number, "not applicable", "No white-box attack was run.", {})
    if not any(p.probed for p in e.survivors):
        return check(
            number, "pass", "The white-box attacks fooled every example that was right: none is left over.", {}
        )
    return None


def converged(e: Evidence) -> Check:
    """15. Twice the steps and one restart more change success by no more than one point."""
    if done := _nothing_held(15, e):
        return done
    found, probed = sum(p.doubled for p in e.survivors), sum(p.probed for p in e.survivors)
    points = max(p.points(p.doubled) for p in e.survivors)
    failed = points > CONVERGED_POINTS
    return check(
        15, "fail" if failed else "pass",
        f"Twice the steps and one restart more fool {found} of {counted(probed, 'probed example')} that held out, "
        f"{points:.1f} points of success" + (": give the attack more steps." if failed else "."),
        {"probed": probed, "found": found, "points": points},
    )  # fmt: skip


def settled(e: Evidence) -> Check:
    """16. The best loss no longer rises by more than 0.05 of its range in the last 10 steps."""
    if done := _nothing_held(16, e):
        return done
    unfinished, probed = sum(p.unfinished for p in e.survivors), sum(p.probed for p in e.survivors)
    change = max(p.change for p in e.survivors)
    return check(
        16, "fail" if unfinished else "pass",
        f"In the last {LAST_STEPS} steps the best loss of {unfinished} of {counted(probed, 'probed example')} that "
        f"held out still rose by more than {LOSS_CHANGE:g} of its range (largest: {change:.2f}).",
        {"probed": probed, "unfinished": unfinished, "change": change},
    )  # fmt: skip


def returns_best(e: Evidence) -> Check:
    """17. No iterate was adversarial while the returned candidate is not."""
    if done := _nothing_held(17, e):
        return done
    lost, probed = sum(p.lost for p in e.survivors), sum(p.probed for p in e.survivors)
    return check(
        17, "fail" if lost else "pass",
        f"Of {counted(probed, 'probed example')} that held out {lost} had an adversarial iterate that is not returned.",
        {"probed": probed, "lost": lost},
    )  # fmt: skip
