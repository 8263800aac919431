"""Interval estimates: Wilson for proportions, Newcombe for the area under the ROC curve, Student's t for means.

Images of one patient are not independent.  Where groups are given, each interval is widened by the design effect
(variance between groups over variance of independent images; never below 1), so that ten images of one patient do
not count as ten patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

Z95 = float(stats.norm.ppf(0.975))


@dataclass(frozen=True)
class Interval:
    """An estimate with its two-sided 95% interval.  `method` says how the interval was made."""

    value: float
    low: float
    high: float
    method: str

    def includes(self, x: float) -> bool:
        return self.low <= x <= self.high


def wilson(successes: float, n: float, design_effect: float = 1.0) -> Interval:
    """Wilson score interval of a proportion (Wilson 1927); n = 0 gives [0, 1] around NaN.

    `design_effect` divides the sample size (Kish): 1 for independent observations.
    """
    method = "Wilson 95%" + ("" if design_effect <= 1.0 else f", design effect {design_effect:.2f}")
    if n <= 0:
        return Interval(float("nan"), 0.0, 1.0, method)
    p, size = successes / n, n / max(1.0, design_effect)
    z2 = Z95**2
    center = (p + z2 / (2 * size)) / (1 + z2 / size)
    half = Z95 / (1 + z2 / size) * float(np.sqrt(p * (1 - p) / size + z2 / (4 * size**2)))
    return Interval(p, min(p, max(0.0, center - half)), max(p, min(1.0, center + half)), method)


def proportion(outcomes: ArrayLike, groups: ArrayLike | None = None) -> Interval:
    """Wilson interval of the mean of 0/1 outcomes (N), widened for clustering when N groups are given."""
    values = np.asarray(outcomes, dtype=float)
    return wilson(float(values.sum()), len(values), _design_effect(values, groups))


def mean_t(values: ArrayLike, groups: ArrayLike | None = None) -> Interval:
    """Student's t interval of a mean (N values), widened for clustering when N groups are given."""
    x = np.asarray(values, dtype=float)
    if len(x) < 2:
        value = float(x.mean()) if len(x) else float("nan")
        return Interval(value, float("-inf"), float("inf"), "t 95%")
    deff = _design_effect(x, groups)
    half = float(stats.t.ppf(0.975, len(x) - 1) * x.std(ddof=1) * np.sqrt(deff / len(x)))
    method = "t 95%" + ("" if deff <= 1.0 else f", design effect {deff:.2f}")
    return Interval(float(x.mean()), float(x.mean() - half), float(x.mean() + half), method)


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve as the Mann-Whitney probability, ties counted half; NaN when a class is missing."""
    y, s = np.asarray(labels).astype(bool), np.asarray(scores, dtype=float)
    positives, negatives = int(y.sum()), int((~y).sum())
    if positives == 0 or negatives == 0:
        return float("nan")
    ranks = stats.rankdata(s)
    return float((ranks[y].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def auc_interval(labels: ArrayLike, scores: ArrayLike, groups: ArrayLike | None = None) -> Interval:
    """Newcombe's Wilson-type interval of the AUC (Stat Med 2006;25:559, method 5), sound also near 0 and 1.

    labels N in {0, 1}; scores N, higher means more positive; groups N, optional: the two sample sizes are divided by
    the clustered over the independent DeLong variance (Obuchowski, Biometrics 1997;53:567).
    """
    y, s = np.asarray(labels).astype(bool), np.asarray(scores, dtype=float)
    value = auc(y, s)
    if np.isnan(value):
        return Interval(value, 0.0, 1.0, "Newcombe 95%")
    deff = _auc_design_effect(y, s, groups)
    m, n = y.sum() / deff, (~y).sum() / deff
    method = "Newcombe 95%" + ("" if deff <= 1.0 else f", design effect {deff:.2f}")
    half_size = (m + n) / 2 - 1

    def excess(theta: float) -> float:
        spread = 1 + half_size * (1 - theta) / (2 - theta) + half_size * theta / (1 + theta)
        return float((value - theta) ** 2 - Z95**2 * theta * (1 - theta) * spread / (m * n))

    # At 0 and 1 the estimate itself is a root: start just beside it to find the other one.
    low = 0.0 if value == 0 else float(optimize.brentq(excess, 0.0, min(value, 1 - 1e-12)))
    high = 1.0 if value == 1 else float(optimize.brentq(excess, max(value, 1e-12), 1.0))
    return Interval(value, low, high, method)


def _design_effect(x: NDArray[np.floating[Any]], groups: ArrayLike | None) -> float:
    """Clustered over independent variance of the mean, at least 1."""
    if groups is None or len(x) < 2:
        return 1.0
    independent = float(((x - x.mean()) ** 2).sum())
    sums = _group_sums(x - x.mean(), np.asarray(groups))
    if independent == 0 or len(sums) < 2 or len(sums) == len(x):
        return 1.0
    return max(1.0, float((sums**2).sum()) * len(sums) / (len(sums) - 1) / independent)


def _auc_design_effect(y: NDArray[np.bool_], s: NDArray[np.floating[Any]], groups: ArrayLike | None) -> float:
    if groups is None or y.sum() < 2 or (~y).sum() < 2:
        return 1.0
    # DeLong's structural components: each case's probability of being ranked rightly against the other class.
    overall, within = stats.rankdata(s), np.empty(len(s))
    within[y], within[~y] = stats.rankdata(s[y]), stats.rankdata(s[~y])
    part = np.where(y, (overall - within) / (~y).sum(), 1 - (overall - within) / y.sum())
    residual = np.where(y, (part - part[y].mean()) / y.sum(), (part - part[~y].mean()) / (~y).sum())
    independent = float((residual**2).sum())
    sums = _group_sums(residual, np.asarray(groups))
    if independent == 0 or len(sums) == len(s):
        return 1.0
    return max(1.0, float((sums**2).sum()) / independent)


def _group_sums(x: NDArray[np.floating[Any]], groups: NDArray[Any]) -> NDArray[np.floating[Any]]:
    _, index = np.unique(groups, return_inverse=True)
    return np.bincount(index, weights=x).astype(np.float64)
