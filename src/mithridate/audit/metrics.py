"""From findings to figures with intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from mithridate.audit.findings import success
from mithridate.audit.results import Estimate
from mithridate.statistics import Interval, auc_interval, mean_t, proportion


def estimate(interval: Interval) -> Estimate:
    """An interval as plain JSON data: what is not finite becomes None."""

    def finite(x: float) -> float | None:
        return float(x) if np.isfinite(x) else None

    return Estimate(
        value=finite(interval.value), low=finite(interval.low), high=finite(interval.high), method=interval.method
    )


UNDEFINED = Estimate(value=None, low=None, high=None, method="not defined")


def summarize(findings: pd.DataFrame, threshold: float, *, clean: bool) -> dict[str, Estimate]:
    """The metrics of one cell's findings.

    Accuracy at probability 0.5 (the arg max); sensitivity and specificity at `threshold`, probability of the positive
    class at or above it counting as positive.  Intervals: Wilson for proportions, Newcombe for the AUC, t for means,
    all widened by the design effect of `group`.
    """
    group, label = findings["group"], findings["label"]
    positive, negative = findings[label == 1], findings[label == 0]
    changed = findings[np.isfinite(findings["psnr"])]
    metrics = {
        "accuracy": estimate(proportion(findings["prediction"] == label, group)),
        "auc": estimate(auc_interval(label, findings["probability"], group)),
        "sensitivity": _proportion(positive["probability"] >= threshold, positive["group"]),
        "specificity": _proportion(negative["probability"] < threshold, negative["group"]),
        "confidence": estimate(_within_one(mean_t(findings["confidence"], group))),
        "ssim": estimate(mean_t(findings["ssim"], group)),
        "psnr": estimate(mean_t(changed["psnr"], changed["group"])) if len(changed) else UNDEFINED,
        "attack_success_rate": UNDEFINED,
        "stored_success_rate": UNDEFINED,
    }
    right = findings[findings["clean_prediction"] == label]
    if not clean:
        metrics["attack_success_rate"] = _proportion(success(right), right["group"])
        metrics["stored_success_rate"] = _proportion(success(right, "stored_prediction"), right["group"])
    return metrics


def _within_one(interval: Interval) -> Interval:
    """The t interval of a mean of probabilities, cut where probabilities end."""
    return replace(interval, low=max(0.0, interval.low), high=min(1.0, interval.high))


def _proportion(outcomes: pd.Series, groups: pd.Series) -> Estimate:
    return estimate(proportion(outcomes, groups)) if len(outcomes) else UNDEFINED
