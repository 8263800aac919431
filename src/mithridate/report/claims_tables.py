"""The tables of a claims report, in the form that the page's own table macro takes."""

from __future__ import annotations

from dataclasses import dataclass

from mithridate.audit.claims.results import ClaimsCondition, ClaimsResults, DriftRow, strongest
from mithridate.audit.results import Estimate
from mithridate.report.claims_verdict import DEFENSE_WORDS, money, worst
from mithridate.report.words import ABSENT, count, interval, percent


@dataclass(frozen=True)
class Line:
    """A row: its heading and (text, detail) of each cell."""

    label: str
    detail: str
    cells: tuple[tuple[str, str], ...]
    group: str = ""


@dataclass(frozen=True)
class Sheet:
    """A table: caption, column heads, rows in order."""

    id: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[Line, ...]


def defense_table(results: ClaimsResults) -> Sheet:
    """What each defense is worth on untouched claims, beside what it leaves an adaptive attacker."""
    rows = []
    for item in results.defenses:
        left = worst(results, item.name)
        rows.append(
            Line(
                DEFENSE_WORDS.get(item.name, item.name).capitalize(),
                item.limits,
                (
                    _decimal(item.auc),
                    *(_share(estimate) for estimate in item.precision),
                    *(_share(estimate) for estimate in item.detection),
                    (percent(item.burden), ""),
                    _money(left.gain, f"{left.attack}, {count(left.k, 'edit')}"),
                ),
            )
        )
    columns = ("Defense", "AUC", "Precision at 1%", "Precision at 5%", "Detection at 1%", "Detection at 5%")
    return Sheet(
        "table-defenses",
        "Table 1. Each defense on untouched claims, and the most that an attacker who knows it gains a claim.",
        (*columns, "Records asked", "Gain left"),
        tuple(rows),
    )


def attack_table(results: ClaimsResults) -> Sheet:
    """The strongest attack for each defense, attacker, dose and set of classes."""
    groups: dict[tuple[str, str, int, str], list[ClaimsCondition]] = {}
    for c in results.conditions:
        groups.setdefault((c.defense, c.attacker, c.k, c.classes), []).append(c)
    caption = "Table 2. The strongest attack at each number of edits: dollars gained undetected, and what it took."
    return _conditions(results, [strongest(group) for group in groups.values()], "table-attacks", caption)


def every_attack_table(results: ClaimsResults) -> Sheet:
    """Every condition."""
    return _conditions(results, list(results.conditions), "table-every", "Table 2b. Every attack.")


def _conditions(results: ClaimsResults, conditions: list[ClaimsCondition], name: str, caption: str) -> Sheet:
    places = {item.name: place for place, item in enumerate(results.defenses)}
    order = sorted(conditions, key=lambda c: (places[c.defense], c.attacker, -len(c.classes), c.classes, c.k, c.attack))
    columns = (
        "Attack",
        "Gain a claim",
        "Succeeded",
        "Denied, then paid",
        "Edits",
        "Queries",
        "Flagged at 5%",
        "Outside",
    )
    return Sheet(name, caption, columns, tuple(_condition(c) for c in order))


def family_table(results: ClaimsResults) -> Sheet:
    """Where the money came from under the strongest attack on the plain model."""
    base = worst(results, "none")
    total = sum(gained for _, gained in base.families) or 1.0
    rows = tuple(
        Line(name, "", ((money(gained), ""), (percent(gained / total, 0), ""))) for name, gained in base.families
    )
    caption = f"Table 3. Families given up > taken up, by money gained ({base.attack}, {count(base.k, 'edit')})."
    return Sheet("table-families", caption, ("Families", "Gained", "Of these"), rows)


def scenario_table(results: ClaimsResults) -> Sheet:
    """The named scenarios."""
    rows = tuple(
        Line(
            item.name,
            item.story,
            (
                (_decision(item.denied_before, item.asked_before), ""),
                (_decision(item.denied_after, item.asked_after), ""),
                (f"{item.edits} ({item.classes})" if item.edits else "none", item.change),
                ("shows it" if item.caught_by_record else "supports it", ""),
            ),
        )
        for item in results.scenarios
    )
    columns = ("Scenario", "Before", "After", "Edits (classes)", "The record")
    return Sheet("table-scenarios", "Table 5. Named scenarios against the plain model.", columns, rows)


def drift_table(results: ClaimsResults) -> Sheet | None:
    """Providers under the CUSUM: as they are, and under the strongest attacks spread thick and thin."""
    if results.drift is None:
        return None
    rows = tuple(_watched(row) for row in results.drift.rows)
    columns = ("Providers", "Found", "Days to the alarm", "Claims to the alarm", "Gained each until then")
    return Sheet("table-drift", "Table 4. Providers watched by a CUSUM of payments (medians of those found).",
                 columns, rows)  # fmt: skip


def _watched(row: DriftRow) -> Line:
    days, claims = ("–" if value is None else f"{value:.0f}" for value in (row.days, row.claims))
    label = {"honest": "Honest, as they bill", "abusive": "Abusive, as they bill"}.get(row.who, "")
    if row.attack is not None:
        label = "Every claim" if row.share == 1 else f"One claim in {1 / row.share:.0f}"
    gained = money(row.gained) if row.attack is not None else ABSENT
    name, _, k = (row.attack or "").partition(", ")
    group = f"Attacked: {name}, {count(int(k), 'edit')}" if row.attack else "As they are"
    detail = f"{row.providers} providers" if row.attack is None else ""
    return Line(label, detail, (_share(row.found), (days, ""), (claims, ""), (gained, "")), group)


def _condition(c: ClaimsCondition) -> Line:
    outside = c.violation > 0 or c.unlawful > 0
    blind = "the attacker knows of no model" if c.defense == "none" else "the attacker knows only the plain model"
    knows = "the attacker knows the model" if c.defense == "none" else "the attacker knows the defense"
    group = f"{DEFENSE_WORDS.get(c.defense, c.defense).capitalize()}; {knows if c.attacker == 'adaptive' else blind}"
    return Line(
        f"{c.attack.capitalize()}, {count(c.k, 'edit')}",
        f"classes {c.classes}",
        (
            _money(c.gain),
            _share(c.success),
            _share(c.flips),
            ("–" if c.edits_per_success is None else f"{c.edits_per_success:.1f}", ""),
            (f"{c.queries_per_claim:,.0f}", ""),
            _share(c.detection_5),
            ("some" if outside else "0", ""),
        ),
        group,
    )


def _decision(denied: bool, asked: float) -> str:
    return f"denied ({money(asked)} asked)" if denied else money(asked)


def _money(estimate: Estimate, note: str = "") -> tuple[str, str]:
    text = money(estimate.value)
    span = "" if estimate.low is None or estimate.high is None else f"{estimate.low:,.0f} to {estimate.high:,.0f}"
    return text, note or span


def _share(estimate: Estimate) -> tuple[str, str]:
    return percent(estimate.value), interval(estimate)


def _decimal(estimate: Estimate) -> tuple[str, str]:
    return ("–" if estimate.value is None else f"{estimate.value:.3f}"), interval(estimate, 3, 1.0)
