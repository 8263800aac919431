"""What `mithridate claims audit` prints: the verdict's figures in tables, the page's in short."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from mithridate.audit.claims.results import ClaimsCondition, ClaimsResults, strongest
from mithridate.cli.console import err, out
from mithridate.report.claims_verdict import judge_claims, money, worst
from mithridate.report.words import ABSENT, count, decimal, percent


def print_results(results: ClaimsResults) -> None:
    """Conditions, defenses, certificates, providers, scenarios, and the verdict last, where the eye stops."""
    left_out = results.data.get("left_out", 0)
    if left_out:
        err.print(f"{count(left_out, 'claim')} could not be used: left-out.txt in the run folder says why")
    out.print(_conditions(results))
    out.print(_defenses(results))
    if results.drift is not None:
        out.print(_providers(results))
    out.print(_scenarios(results))
    verdict = judge_claims(results)
    out.print(f"[bold]{escape(verdict.headline)}.[/] {escape(verdict.lead)}")
    stable = results.stability
    if stable is None:
        out.print("no certificates: the model cannot be read")
    else:
        out.print(
            f"{percent(stable.stable.value)} of {stable.n} decisions are proven stable under {stable.k} edits of "
            f"classes A and B; {stable.unstable} can be turned, {stable.uncertified} are uncertified"
        )


def _conditions(results: ClaimsResults) -> Table:
    columns = ("defense", "attacker", "attack", "edits", "classes", "gain a claim", "succeeded", "flagged at 5%")
    table = Table(
        *columns, title=f"{escape(results.name)}: the strongest attacks with the most edits (all are on the page)"
    )
    groups: dict[tuple[str, str, str], list[ClaimsCondition]] = {}
    for item in results.conditions:
        groups.setdefault((item.defense, item.attacker, item.classes), []).append(item)
    for group in groups.values():
        most = max(item.k for item in group)
        item = strongest(item for item in group if item.k == most)
        table.add_row(
            item.defense,
            item.attacker,
            item.attack,
            str(item.k),
            item.classes,
            money(item.gain.value),
            percent(item.success.value, 0),
            percent(item.detection_5.value, 0),
        )
    return table


def _defenses(results: ClaimsResults) -> Table:
    columns = ("defense", "AUC", "precision at 1%", "precision at 5%", "records asked", "gain left, adaptive")
    table = Table(*columns, title="Untouched claims, and what an attacker who knows the defense still gains")
    for item in results.defenses:
        table.add_row(
            item.name,
            decimal(item.auc.value, 3),
            *(percent(part.value) for part in item.precision),
            percent(item.burden),
            money(worst(results, item.name).gain.value),
        )
    return table


def _providers(results: ClaimsResults) -> Table:
    table = Table("providers", "edited", "found", "days", "claims", "gained each", title="CUSUM of payments")
    for row in results.drift.rows if results.drift else ():
        attacked = row.attack is not None
        table.add_row(
            _attacked(row.attack) if row.attack else f"{row.who}, as they bill",
            percent(row.share, 0) if attacked else ABSENT,
            percent(row.found.value, 0),
            decimal(row.days, 0),
            decimal(row.claims, 0),
            money(row.gained) if attacked else ABSENT,
        )
    return table


def _attacked(attack: str) -> str:
    name, _, k = attack.partition(", ")
    return f"attacked: {name}, {count(int(k), 'edit')}"


def _scenarios(results: ClaimsResults) -> Table:
    table = Table("scenario", "before", "after", "edits", "classes", "the record", title="Named scenarios")
    for item in results.scenarios:
        table.add_row(
            item.name,
            "denied" if item.denied_before else money(item.asked_before),
            "denied" if item.denied_after else money(item.asked_after),
            str(item.edits),
            item.classes or ABSENT,
            "shows it" if item.caught_by_record else "supports it",
        )
    return table
