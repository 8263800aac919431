"""The verdict on a claim model: sentences that follow from the numbers by the rules below, and by nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mithridate.audit.claims.results import ClaimsCondition, ClaimsResults, strongest
from mithridate.audit.results import Estimate
from mithridate.report.words import ABSENT, count, listed, percent, points

GAMED_SHARE = 0.25
"""From here on, claims that gain undetected are common: the model can be gamed."""
HELPS = 0.25
"""A defense that takes at least a quarter of the gain is said to help."""

Level = Literal["fooled", "weakened", "held"]

CLASS_WORDS = {
    "A": "reordering or dropping codes",
    "B": "codes that the record supports",
    "C": "unsupported codes of a category already billed",
    "D": "unsupported codes of another category",
    "E": "more units or minutes",
}
DEFENSE_WORDS = {
    "none": "no defense",
    "families": "codes seen by family only",
    "monotone": "monotone constraints",
    "adversarial-training": "adversarial training",
    "records": "asking for records",
}


@dataclass(frozen=True)
class ClaimsVerdict:
    """`statements` are (topic, text); `steps` say what to do; `limits` what the audit cannot say."""

    level: Level
    headline: str
    lead: str
    statements: tuple[tuple[str, str], ...]
    steps: tuple[str, ...]
    limits: tuple[str, ...]


def judge_claims(results: ClaimsResults) -> ClaimsVerdict:
    """The verdict of a run."""
    base = worst(results, "none")
    share = base.success.value or 0.0
    level: Level = "fooled" if share >= GAMED_SHARE else "weakened" if (base.gain.value or 0) > 0 else "held"
    headline = {"fooled": "Can be gamed", "weakened": "Can be gamed on some claims", "held": "Held"}[level]
    lead = (
        f"With at most {count(base.k, 'edit')} a claim, an attacker who knows the model gains "
        f"{dollars(base.gain)} a claim on average, undetected, on {percent(share)} of {base.n} claims."
    )
    statements = [
        ("Money", _money(base)),
        ("Edits", _edits(base)),
        ("Within the record", _honest(results)),
        ("Detection", _detection(results, base)),
        ("Stability", _stable(results)),
        ("Providers", _providers(results)),
        ("What would stop it", _defenses(results, base)),
    ]
    return ClaimsVerdict(level, headline, lead, tuple(statements), _steps(results, base), _limits(results))


def worst(results: ClaimsResults, defense: str, classes: str | None = None) -> ClaimsCondition:
    """The condition that costs most against a defense, of adaptive attackers, with the widest classes by default."""
    mine = [c for c in results.conditions if c.defense == defense and c.attacker == "adaptive"]
    widest = classes or max((c.classes for c in mine), key=len)
    mine = [c for c in mine if c.classes == widest] or mine
    most = max(round(c.gain.value or 0.0, 2) for c in mine)
    best = [c for c in mine if round(c.gain.value or 0.0, 2) == most]
    return strongest(c for c in best if c.k == min(c.k for c in best))


def money(value: float | None) -> str:
    """ "$1,204", "-$37"; what rounds to nothing has no sign."""
    if value is None:
        return ABSENT
    text = f"{abs(value):,.0f}"
    return f"-${text}" if value < 0 and text != "0" else f"${text}"


def dollars(estimate: Estimate) -> str:
    """ "$1,204 (95% interval 903 to 1,511)"."""
    text = money(estimate.value)
    if estimate.low is None or estimate.high is None or estimate.value is None:
        return text
    return f"{text} (95% interval {estimate.low:,.0f} to {estimate.high:,.0f})"


def _money(c: ClaimsCondition) -> str:
    text = f"The {c.n} claims bring {money(c.received_before)} as they are and {money(c.received_after)} edited"
    if c.received_before <= 0:
        return f"{text} ({c.attack} attack)."
    times = c.received_after / c.received_before
    more = f"{times:.1f} times as much" if times >= 2 else f"{percent(times - 1, 0)} more"
    return f"{text}: {more} ({c.attack} attack)."


def _edits(c: ClaimsCondition) -> str:
    if c.edits_per_success is None or c.gain_per_edit is None:
        return "No edit brought any money past the model."
    kinds = [f"{CLASS_WORDS[letter]} ({percent(part, 0)})" for letter, part in _by_share(c.class_shares)]
    families = ", ".join(f"{name} ({money(gained)})" for name, gained in c.families[:3])
    return (
        f"A claim that gained took {c.edits_per_success:.1f} edits, worth {money(c.gain_per_edit)} each: "
        f"{listed(kinds)}. Most money came by {families}."
    )


def _honest(results: ClaimsResults) -> str:
    mine = [c for c in results.conditions if c.defense == "none" and set(c.classes) <= {"A", "B"}]
    if not mine:
        return "Edits that the record supports were not tried alone: add a budget of classes AB."
    c = max(mine, key=lambda item: (item.gain.value or 0.0, item.k))
    return (
        f"Edits that the record supports (classes A and B, at most {c.k} of them) gain {dollars(c.gain)} a claim. "
        "These are no fraud, so no detection will end them: the payment or the model's use of codes has to."
    )


def _detection(results: ClaimsResults, c: ClaimsCondition) -> str:
    if c.detection_5.value is None:
        return "The model answers with labels, so its detection at a rate of false positives cannot be stated."
    text = (
        f"Of the edited claims, the model flags {percent(c.detection_1.value)} at 1% and "
        f"{percent(c.detection_5.value)} at 5% false positives."
    )
    blind = [
        n
        for n in results.conditions
        if (n.defense, n.attacker, n.k, n.classes) == ("none", "naive", c.k, c.classes)
        and n.detection_5.value is not None
    ]
    if not blind:
        return text
    most = strongest(blind)
    return (
        f"{text} A naive attacker, who only goes for the most money, is flagged on {percent(most.detection_1.value)} "
        f"and {percent(most.detection_5.value)} and gains {dollars(most.gain)} a claim."
    )


def _stable(results: ClaimsResults) -> str:
    s = results.stability
    if s is None:
        return "Nothing is proven: certificates need a model made of trees or weights that can be read."
    rest = f"{s.unstable} can be turned, {s.uncertified} could not be decided within the limits"
    return (
        f"{percent(s.stable.value)} of {s.n} decisions are proven stable: no {s.k} edits of classes A and B turn them "
        f"({rest}; the latter count as uncertified)."
    )


def _providers(results: ClaimsResults) -> str:
    drift = results.drift
    if drift is None:
        return "Too few honest claims are known to say which payments are usual, so no provider was watched."
    plain = {row.who: row for row in drift.rows if row.attack is None}
    text = (
        f"A CUSUM of payments over {drift.days} days raises an alarm on {percent(plain['honest'].found.value)} of "
        f"{count(plain['honest'].providers, 'honest provider')} and {percent(plain['abusive'].found.value)} of "
        f"{count(plain['abusive'].providers, 'abusive one')} as they bill today."
    )
    attacked = [row for row in drift.rows if row.attack is not None]
    if not attacked:
        return text
    attack, _, k = (attacked[-1].attack or "").partition(", ")
    name = f"{attack} attack, {count(int(k), 'edit')}"
    mine = [row for row in attacked if row.attack == attacked[-1].attack]
    thick, thin = max(mine, key=lambda row: row.share), min(mine, key=lambda row: row.share)
    after = "" if thick.claims is None else f" after {thick.claims:.0f} claims"
    return (
        f"{text} Of providers that edit every claim ({name}), it finds {percent(thick.found.value)}{after}; of those "
        f"that edit one claim in {1 / thin.share:.0f}, {percent(thin.found.value)}; they keep "
        f"{money(thin.gained)} each on average until then."
    )


def _defenses(results: ClaimsResults, base: ClaimsCondition) -> str:
    plain = {item.name: item for item in results.defenses}
    parts = []
    for name in plain:
        same = [
            c
            for c in results.conditions
            if (c.defense, c.attacker, c.classes, c.k) == (name, "adaptive", base.classes, base.k)
        ]
        if name == "none" or not same:
            continue
        left, first = max(c.gain.value or 0.0 for c in same), base.gain.value or 0.0
        if first <= 0:
            continue
        taken = 1 - left / first
        word = f"takes {percent(taken, 0)} of the gain" if taken >= 0.01 else "takes nothing of the gain"
        cost = _cost(plain["none"].auc, plain[name].auc)
        if plain[name].burden:
            cost = f"asks for the records of {percent(plain[name].burden)} of honest claims"
        verdict = "" if taken >= HELPS else ", which is little"
        parts.append(f"{DEFENSE_WORDS.get(name, name)} {word}{verdict} and {cost}")
    text = "; ".join(parts)
    return f"Against an attacker who knows the defense, {text}." if text else "No defense was measured."


def _cost(before: Estimate, after: Estimate) -> str:
    if before.value is None or after.value is None:
        return "its cost was not measured"
    change = after.value - before.value
    return f"{'costs' if change < 0 else 'adds'} {points(change)} of AUC"


def _steps(results: ClaimsResults, base: ClaimsCondition) -> tuple[str, ...]:
    letters = [letter for letter, _ in _by_share(base.class_shares)]
    steps = []
    if "D" in letters or "C" in letters:
        steps.append(
            "Ask for the record where a severe code alone carries the payment; C and D edits do not survive it."
        )
    if "E" in letters:
        steps.append("Compare billed minutes and units with the recorded ones before payment.")
    if results.stability is not None and ("A" in letters or "B" in letters):
        steps.append("Send decisions without a stability certificate to a person: supported recoding turns them.")
    steps.append("Watch providers and not only claims: a CUSUM of payments finds what stays under every threshold.")
    steps.append("Repeat this audit after each change of the model, of the payment rules and of the code set.")
    return tuple(steps)


def _limits(results: ClaimsResults) -> tuple[str, ...]:
    found = [
        "Budgets count edits of codes, units and minutes; new claims, new lines and changed records are outside.",
        "Payments follow public tables at round rates; transfers, outliers and contracts are left out.",
        "An attack by search proves what is possible and not what is impossible; only the exact attack and the "
        "certificates prove, for the codes that were considered.",
    ]
    if results.synthetic:
        found.insert(0, "Every claim was made up. The figures show the method; they say nothing about any real payer.")
    return tuple(found)


def _by_share(shares: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(shares.items(), key=lambda pair: -pair[1])
