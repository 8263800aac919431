"""The tables of a claims report, in the form that the page's own table macro takes."""

from __future__ import annotations

from dataclasses import dataclass

from mithridate.audit.claims.results import ClaimsCondition, ClaimsResults
from mithridate.audit.results import Estimate
from mithridate.report.claims_verdict import DEFENSE_WORDS, worst
from mithridate.report.words import interval, percent


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
                    _money(left.gain, f"{left.attack}, {left.k} edits"),
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
    """Every condition."""
    order = sorted(results.conditions, key=lambda c: (c.classes != "ABCDE", c.attack, c.k))
    rows = tuple(_condition(c) for name in (d.name for d in results.defenses) for c in order if c.defense == name)
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
    return Sheet("table-attacks", "Table 2. Every attack: dollars gained undetected, and what it took.", columns, rows)


def family_table(results: ClaimsResults) -> Sheet:
    """Where the money came from under the strongest attack on the plain model."""
    strongest = worst(results, "none")
    total = sum(money for _, money in strongest.families) or 1.0
    rows = tuple(
        Line(name, "", ((f"${money:,.0f}", ""), (percent(money / total, 0), ""))) for name, money in strongest.families
    )
    caption = f"Table 3. Families given up > taken up, by money gained ({strongest.attack}, {strongest.k} edits)."
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
    return Sheet("table-scenarios", "Table 4. Named scenarios against the plain model.", columns, rows)


def _condition(c: ClaimsCondition) -> Line:
    outside = c.violation > 0 or c.unlawful > 0
    detail = f"{'knows the defense' if c.attacker == 'adaptive' else 'knows only the plain model'}; classes {c.classes}"
    return Line(
        f"{c.attack.capitalize()}, {c.k} edit{'s' if c.k > 1 else ''}",
        detail,
        (
            _money(c.gain),
            _share(c.success),
            _share(c.flips),
            ("–" if c.edits_per_success is None else f"{c.edits_per_success:.1f}", ""),
            (f"{c.queries_per_claim:,.0f}", ""),
            _share(c.detection_5),
            ("some" if outside else "0", ""),
        ),
        DEFENSE_WORDS.get(c.defense, c.defense).capitalize(),
    )


def _decision(denied: bool, asked: float) -> str:
    return f"denied (${asked:,.0f} asked)" if denied else f"${asked:,.0f}"


def _money(estimate: Estimate, note: str = "") -> tuple[str, str]:
    text = "–" if estimate.value is None else f"${estimate.value:,.0f}"
    span = "" if estimate.low is None or estimate.high is None else f"{estimate.low:,.0f} to {estimate.high:,.0f}"
    return text, note or span


def _share(estimate: Estimate) -> tuple[str, str]:
    return percent(estimate.value), interval(estimate)


def _decimal(estimate: Estimate) -> tuple[str, str]:
    return ("–" if estimate.value is None else f"{estimate.value:.3f}"), interval(estimate, 3, 1.0)
