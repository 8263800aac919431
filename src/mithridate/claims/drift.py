"""Watching providers instead of claims: a CUSUM of how much more each is paid than its peers (Page, Biometrika 1954).

An attack that stays under a claim model's threshold on every single claim still moves its provider's mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mithridate.errors import UserError


@dataclass(frozen=True)
class Cusum:
    """One-sided CUSUM of standardized values: S = max(0, S + z - allowance), an alarm when S exceeds `limit`.

    Both are in standard deviations.  Half of the shift that should be found soonest is the best allowance.
    """

    allowance: float = 0.5
    limit: float = 5.0

    def __post_init__(self) -> None:
        if self.allowance < 0 or self.limit <= 0:
            raise UserError(
                f"a CUSUM with allowance {self.allowance} and limit {self.limit} finds nothing: use above 0"
            )

    def path(self, z: ArrayLike) -> NDArray[np.float64]:
        """S after each of N values."""
        level, found = 0.0, []
        for value in np.asarray(z, dtype=float).tolist():
            level = max(0.0, level + value - self.allowance)
            found.append(level)
        return np.array(found)

    def alarm(self, z: ArrayLike) -> int | None:
        """The first value, from 0, at which the alarm sounds; None when it does not."""
        over = np.flatnonzero(self.path(z) > self.limit)
        return int(over[0]) if len(over) else None

    def spread(self, shift: float) -> float:
        """The largest share of claims that can be shifted for ever with S expected not to grow: allowance / shift.

        shift: what one manipulated claim adds, in standard deviations.
        """
        return 1.0 if shift <= self.allowance else self.allowance / shift


@dataclass(frozen=True)
class Watch:
    """Days and claims to detection, or None, for each provider; one row a provider, sorted.

    Both count from the provider's first claim and include the day of the alarm.
    """

    providers: tuple[str, ...]
    days: tuple[int | None, ...]
    claims: tuple[int | None, ...]

    @property
    def detected(self) -> float:
        """Share of the providers with an alarm."""
        return float(np.mean([day is not None for day in self.days])) if self.days else float("nan")


@dataclass(frozen=True)
class Baseline:
    """Mean and spread of what a claim is paid, by group (a payer model, a specialty), among honest providers."""

    mean: dict[str, float]
    deviation: dict[str, float]

    @classmethod
    def fit(cls, groups: Sequence[str], payments: ArrayLike) -> Baseline:
        """From N claims.  Raises UserError when there are none, or when a group has fewer than ten."""
        names, paid = np.asarray(groups, dtype=str), np.asarray(payments, dtype=float)
        if not len(names):
            raise UserError("there are no claims to learn what is usual from")
        mean, deviation = {}, {}
        for name in sorted(set(names.tolist())):
            own = paid[names == name]
            if len(own) < 10:
                raise UserError(f"the group '{name}' has {len(own)} claims: at least 10 show what is usual")
            mean[name], deviation[name] = float(own.mean()), float(own.std(ddof=1)) or 1.0
        return cls(mean, deviation)

    def standardized(self, groups: Sequence[str], payments: ArrayLike) -> NDArray[np.float64]:
        """Payments (N) in standard deviations above the mean of their group; an unknown group counts as 0."""
        paid = np.asarray(payments, dtype=float).tolist()
        return np.array(
            [
                (amount - self.mean[name]) / self.deviation[name] if name in self.mean else 0.0
                for name, amount in zip(groups, paid, strict=True)
            ]
        )


def watch(providers: Sequence[str], days: Sequence[int], z: ArrayLike, cusum: Cusum) -> Watch:
    """The CUSUM of each provider over its claims in order of days.

    days: N whole days since any common day; z: N standardized payments.  A day's claims count together: their sum
    over the square root of their number, so that a busy provider is not suspect for being busy.
    """
    found_days: list[int | None] = []
    found_claims: list[int | None] = []
    by_provider = _daily(providers, days, z)
    for name in sorted(by_provider):
        daily = by_provider[name]
        alarm = cusum.alarm([_standardized(own) for _, own in daily])
        found_days.append(None if alarm is None else daily[alarm][0] - daily[0][0] + 1)
        found_claims.append(None if alarm is None else sum(len(own) for _, own in daily[: alarm + 1]))
    return Watch(tuple(sorted(by_provider)), tuple(found_days), tuple(found_claims))


def _daily(providers: Sequence[str], days: Sequence[int], z: ArrayLike) -> dict[str, list[tuple[int, list[float]]]]:
    """The values of each provider by day, in order of days."""
    rows: dict[str, dict[int, list[float]]] = {}
    for provider, day, value in zip(providers, days, np.asarray(z, dtype=float).tolist(), strict=True):
        rows.setdefault(provider, {}).setdefault(day, []).append(value)
    return {provider: sorted(own.items()) for provider, own in rows.items()}


def _standardized(values: Sequence[float]) -> float:
    return sum(values) / float(np.sqrt(len(values)))


def fitted_limit(
    providers: Sequence[str], days: Sequence[int], z: ArrayLike, *, allowance: float = 0.5, false_alarms: float = 0.05
) -> Cusum:
    """The CUSUM that raises an alarm on at most this share of honest providers over the days given.

    Raises UserError when there are no claims.
    """
    if not len(providers):
        raise UserError("there are no honest claims to set the limit by")
    probe = Cusum(allowance, 1e-9)
    by_provider = _daily(providers, days, z)
    peaks = [probe.path([_standardized(own) for _, own in daily]).max() for daily in by_provider.values()]
    ordered = np.sort(peaks)
    allowed = int(false_alarms * len(ordered))
    return Cusum(allowance, max(float(ordered[len(ordered) - allowed - 1]), 1e-6))
