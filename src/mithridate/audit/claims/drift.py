"""Which providers a CUSUM of payments would find, when, and how long an attacker of this audit would stay unseen.

What is usual is learned from honest claims of the training part, the limit from honest providers of the calibration
part, and both are tried on the providers of the test part.  The audit's attacks edit single claims, so an attacking
provider is made up from them: each honest provider of the test part, with what a claim of the same payer model gained
under the attack put on all or on some of its claims from the first day on.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mithridate.audit.claims.results import DriftResult, DriftRow
from mithridate.audit.claims.subject import ClaimsSubject
from mithridate.audit.metrics import UNDEFINED, estimate
from mithridate.claims.claim import Claim
from mithridate.claims.drift import Baseline, Cusum, Watch, fitted_limit, watch
from mithridate.files import replace_text
from mithridate.seeds import generator
from mithridate.statistics import proportion

FALSE_ALARMS = 0.05
"""Share of honest calibration providers that the limit may raise an alarm on."""
SHARES = (1.0, 0.5, 0.2, 0.1)
"""Shares of its claims that an attacker edits: all of them, down to one in ten."""


@dataclass(frozen=True, eq=False)
class _Stream:
    """Claims of some providers as the CUSUM sees them: N providers, days, payer models and dollars asked."""

    providers: list[str]
    days: list[int]
    groups: list[str]
    asked: NDArray[np.float64]

    @classmethod
    def of(cls, claims: Sequence[Claim], asked: NDArray[np.float64]) -> _Stream:
        days = [claim.discharge_date.toordinal() for claim in claims]
        return cls([claim.provider for claim in claims], days, [claim.payer_model for claim in claims], asked)


def drift(subject: ClaimsSubject, attacks: Sequence[tuple[str, pd.DataFrame]], out: Path) -> DriftResult | None:
    """Drift of the test part's providers as they are, and under each attack (a name and its findings).

    Writes out/providers.csv: every provider of the test part, whether it bills abusive claims, and when it was found.
    None when the parts hold too few honest claims to say what is usual.
    """
    material = subject.material
    abusive = {c.provider for c, bad in zip(material.claims, material.fraud, strict=True) if bad}

    def stream(part: str, honest: bool) -> _Stream:
        rows = [i for i in material.part(part).tolist() if (material.claims[i].provider not in abusive) == honest]
        claims = [material.claims[i] for i in rows]
        return _Stream.of(claims, material.terms.payments(claims))

    learned, held = stream("train", True), stream("calibration", True)
    usual = pd.Series(learned.groups, dtype=str).value_counts()
    kept = [i for i, group in enumerate(learned.groups) if usual[group] >= 10]
    if not kept or not held.providers:
        return None
    baseline = Baseline.fit([learned.groups[i] for i in kept], learned.asked[kept])
    cusum = fitted_limit(
        held.providers, held.days, baseline.standardized(held.groups, held.asked), false_alarms=FALSE_ALARMS
    )
    rows, table = [], []
    honest = stream("test", True)
    for who, own in (("honest", honest), ("abusive", stream("test", False))):
        seen = watch(own.providers, own.days, baseline.standardized(own.groups, own.asked), cusum)
        rows.append(_row(who, None, 0.0, seen, 0.0))
        table += [
            (name, who, day, many) for name, day, many in zip(seen.providers, seen.days, seen.claims, strict=True)
        ]
    replace_text(out / "providers.csv", _table(table))
    for name, findings in attacks:
        rows += [_attacked(name, findings, share, honest, baseline, cusum, subject.plan.seed) for share in SHARES]
    return DriftResult(
        allowance=cusum.allowance,
        limit=cusum.limit,
        false_alarms=FALSE_ALARMS,
        days=_span(honest),
        rows=tuple(rows),
    )


def _attacked(
    name: str, findings: pd.DataFrame, share: float, honest: _Stream, baseline: Baseline, cusum: Cusum, seed: int
) -> DriftRow:
    """Honest providers with gains of the attack put on a share of their claims, drawn from the payer model's."""
    fine = findings[(findings["violation"] == 0) & findings["lawful"] & ~findings["denied_after"]]
    gains = {
        str(model): np.maximum(0.0, part.to_numpy(dtype=float))
        for model, part in (fine["asked_after"] - fine["asked_before"]).groupby(fine["payer_model"])
    }
    more = np.zeros(len(honest.asked))
    order = sorted(range(len(more)), key=lambda i: (honest.providers[i], honest.days[i], i))
    rng = generator(seed, "drift", name, share)
    for i, luck, pick in zip(order, rng.random(len(order)), rng.random(len(order)), strict=True):
        own = gains.get(honest.groups[i])
        if own is not None and luck < share:
            more[i] = own[int(pick * len(own))]
    seen = watch(honest.providers, honest.days, baseline.standardized(honest.groups, honest.asked + more), cusum)
    return _row("attack", name, share, seen, _unseen(honest, more, seen))


def _unseen(honest: _Stream, more: NDArray[np.float64], seen: Watch) -> float:
    """Dollars gained a provider until its alarm, that day's included; all of them where there is none."""
    first: dict[str, int] = {}
    for provider, day in zip(honest.providers, honest.days, strict=True):
        first[provider] = min(day, first.get(provider, day))
    last = {p: None if d is None else first[p] + d - 1 for p, d in zip(seen.providers, seen.days, strict=True)}
    total = 0.0
    for provider, day, gain in zip(honest.providers, honest.days, more.tolist(), strict=True):
        end = last[provider]
        total += gain if end is None or day <= end else 0.0
    return total / max(1, len(seen.providers))


def _row(who: str, attack: str | None, share: float, seen: Watch, unseen: float) -> DriftRow:
    days = [day for day in seen.days if day is not None]
    claims = [many for many in seen.claims if many is not None]
    alarms = [day is not None for day in seen.days]
    return DriftRow(
        who=who,
        attack=attack,
        share=share,
        providers=len(seen.providers),
        found=estimate(proportion(alarms)) if alarms else UNDEFINED,
        days=float(np.median(days)) if days else None,
        claims=float(np.median(claims)) if claims else None,
        gained=unseen,
    )


def _span(stream: _Stream) -> int:
    return max(stream.days) - min(stream.days) + 1 if stream.days else 0


def _table(rows: Sequence[tuple[str, str, int | None, int | None]]) -> str:
    text = StringIO()
    table = csv.writer(text)
    table.writerow(("provider", "bills", "days to alarm", "claims to alarm"))
    table.writerows(("" if cell is None else cell for cell in row) for row in sorted(rows))
    return text.getvalue()
