"""Checks 11 to 14, 18 and 20: a white-box attack that something weaker beats is not the worst case."""

from __future__ import annotations

from collections.abc import Callable

from mithridate.audit.checks.evidence import GRADIENT_FREE, CellEvidence, Evidence, SurvivorProbe
from mithridate.audit.checks.wording import check, counted
from mithridate.audit.results import Check

GRADIENT_FREE_POINTS = 0.2
MONOTONE_POINTS = 0.5


def _rivals(e: Evidence, is_rival: Callable[[CellEvidence], bool]) -> tuple[int, int, float]:
    """Over the budgets of the main white-box attacks: rival conditions inside one, examples that they fool and no
    white-box attack of that budget does, and the most such points of success."""
    conditions, more, points = 0, 0, 0.0
    for group in e.white_groups():
        mine = [c for c in e.attacked if is_rival(c) and c.inside(group[0])]
        if not mine:
            continue
        beaten = frozenset().union(*(c.fooled() for c in mine)) - frozenset().union(*(c.fooled() for c in group))
        conditions, more = conditions + len(mine), more + len(beaten)
        points = max(points, 100 * len(beaten) / max(1, len(group[0].right)))
    return conditions, more, points


def _probed(e: Evidence, count: Callable[[SurvivorProbe], int]) -> tuple[int, int, float]:
    """Over all survivor probes: examples probed, examples counted, and the most points of success that they mean."""
    return (
        sum(p.probed for p in e.survivors),
        sum(count(p) for p in e.survivors),
        max((p.points(count(p)) for p in e.survivors), default=0.0),
    )


def _no_white(number: int, e: Evidence) -> Check | None:
    if e.white():
        return None
    return check(number, "not applicable", "No white-box attack was run, so there is nothing to beat.", {})


def gradient_free_weaker(e: Evidence) -> Check:
    """11. A gradient-free attack fools no more than 0.2 points that no white-box attack does."""
    if none := _no_white(11, e):
        return none
    conditions, more, points = _rivals(e, lambda c: c.attack in GRADIENT_FREE)
    probed, found, probe_points = _probed(e, lambda p: p.gradient_free)
    worst = max(points, probe_points)
    numbers = {"conditions": conditions, "more": more, "probed": probed, "found": found, "points": worst}
    queries = max((p.queries for p in e.survivors), default=0)
    sentence = (
        f"The square attack fools {found} of {counted(probed, 'example')} that held out in the white box "
        f"({queries} queries each)" if probed else "No example held out in the white box"
    )  # fmt: skip
    if conditions:
        sentence += f"; gradient-free conditions of the run fool {more} that the white box does not"
    failed = worst > GRADIENT_FREE_POINTS
    return check(11, "fail" if failed else "pass", sentence + (": the gradient is masked." if failed else "."), numbers)


def transfer_and_noise_weaker(e: Evidence) -> Check:
    """12. Transferred examples and noise fool no example that no white-box attack does."""
    if none := _no_white(12, e):
        return none
    conditions, more, _ = _rivals(e, lambda c: c.kind in ("black-box", "noise"))
    if not conditions:
        return check(12, "not applicable", "The run holds neither transfer nor noise inside a white-box budget.", {})
    return check(
        12, "fail" if more else "pass",
        f"{counted(conditions, 'transfer or noise condition')} fool {counted(more, 'example')} that no white-box "
        "attack of the same budget fools.", {"conditions": conditions, "more": more},
    )  # fmt: skip


def single_step_weaker(e: Evidence) -> Check:
    """13. One step fools no example that many steps do not."""
    if none := _no_white(13, e):
        return none
    iterated = [c for c in e.white() if c.attack != "fgsm"]
    if not iterated:
        return check(13, "warn", "The only white-box attack takes a single step: add an iterated one.", {})
    more = 0
    for group in e.white_groups():
        many = [c for c in group if c.attack != "fgsm"]
        if many:
            mine = [c for c in e.white(main=False) if c.attack == "fgsm" and c.inside(many[0])]
            single = frozenset().union(*(c.fooled() for c in mine))
            more += len(single - frozenset().union(*(c.fooled() for c in many)))
    probed, found, _ = _probed(e, lambda p: p.single_step)
    return check(
        13, "fail" if more or found else "pass",
        f"A single step fools {more} examples of the run that many steps do not, and {found} of {probed} probed ones "
        "that held out.", {"more": more, "probed": probed, "found": found},
    )  # fmt: skip


def grows_with_budget(e: Evidence) -> Check:
    """14. Success never falls by more than 0.5 points as the budget grows, and half of the range leaves no more than
    chance."""
    if none := _no_white(14, e):
        return none
    fall = 0.0
    for name in {c.sweep for c in e.white(main=False) if c.sweep}:
        sweep = sorted((c for c in e.white(main=False) if c.sweep == name), key=lambda c: c.size)
        best = 0.0
        for cell in sweep:
            fall, best = max(fall, 100 * (best - cell.rate)), max(best, cell.rate)
    probed, found, _ = _probed(e, lambda p: p.half_range)
    # Everything fooled inside a budget is fooled inside a larger one: only those that held out need the larger one.
    left = max((p.survivors / p.right * (1 - p.half_range / p.probed) for p in e.survivors if p.probed), default=0.0)
    numbers = {"fall": fall, "probed": probed, "found": found, "left": left}
    failed = fall > MONOTONE_POINTS or left > 1 / max(2, e.model.classes)
    held = f"with half of the range as budget {found} of {probed} probed ones that held out fall" if probed else (
        "no example held out"
    )  # fmt: skip
    return check(
        14, "fail" if failed else "pass",
        f"Along the doses success falls by at most {fall:.1f} points; {held}.", numbers,
    )  # fmt: skip


def draws_weaker(e: Evidence) -> Check:
    """18. Random draws from the budget do not fool what the attack does not, nor as much as it does."""
    if none := _no_white(18, e):
        return none
    probed, found, _ = _probed(e, lambda p: p.noise)
    draws = sum(p.draws * p.probed for p in e.survivors)
    numbers: dict[str, float | int] = {"probed": probed, "found": found, "draws": draws}
    as_good = [
        c.key for g in e.white_groups() for c in e.attacked
        if c.kind == "noise" and c.inside(g[0]) and c.rate > 0 and c.rate >= max(w.rate for w in g)
    ]  # fmt: skip
    if as_good:
        return check(18, "fail", f"Noise ({as_good[0]}) fools as many examples as the white-box attacks.", numbers)
    if not probed:
        return check(18, "pass", "No example held out, and noise of the run fools fewer than the attack.", numbers)
    return check(
        18, "fail" if found else "pass",
        f"{draws:,} random draws fool {found} of {counted(probed, 'example')} that held out in the white box.", numbers,
    )  # fmt: skip


def worst_of_all(e: Evidence) -> Check:
    """20. What is reported is each example at its worst over all attacks, not the best attack's mean."""
    mine = [c for c in e.attacked if c.main]
    if not mine or e.robust_accuracy is None:
        return check(20, "not applicable", "No attack was measured.", {})
    ids = set.intersection(*(set(c.findings["example"]) for c in mine)) & set(e.clean.findings["example"])
    wrong = frozenset().union(*(c.fooled() for c in mine))
    alive = [i for i in ids if i in e.clean.right and i not in wrong]
    share = len(alive) / len(ids) if ids else 0.0
    best = min(float((c.findings["prediction"] == c.findings["label"]).mean()) for c in mine)
    numbers = {"robust_accuracy": share, "reported": e.robust_accuracy, "strongest_attack": best}
    agrees = abs(share - e.robust_accuracy) < 1e-9
    return check(
        20, "pass" if agrees else "fail",
        f"{len(alive)} of {counted(len(ids), 'example')} are right when clean and under all of "
        f"{counted(len(mine), 'attack')}: {100 * share:.1f}%; the strongest attack alone leaves {100 * best:.1f}%.",
        numbers,
    )  # fmt: skip
