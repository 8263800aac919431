from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from mithridate.statistics import auc, auc_interval, mean_t, proportion, wilson


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (10, 10), (3, 10), (81, 263), (1, 1)])
def test_wilson_equals_scipy(successes: int, n: int) -> None:
    peer = stats.binomtest(successes, n).proportion_ci(method="wilson")
    ours = wilson(successes, n)
    assert (ours.low, ours.high) == pytest.approx((peer.low, peer.high), abs=1e-12)


def test_wilson_of_nothing_says_nothing() -> None:
    nothing = wilson(0, 0)
    assert np.isnan(nothing.value)
    assert (nothing.low, nothing.high) == (0.0, 1.0)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=60))
def test_auc_equals_sklearn_with_ties(cases: list[tuple[bool, int]]) -> None:
    labels = np.array([label for label, _ in cases])
    scores = np.array([score for _, score in cases], dtype=float)
    if labels.all() or not labels.any():
        assert np.isnan(auc(labels, scores))
    else:
        assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=2, max_size=60))
def test_intervals_hold_their_value_and_stay_in_range(cases: list[tuple[bool, float]]) -> None:
    labels, scores = np.array([c[0] for c in cases]), np.array([c[1] for c in cases])
    for interval in (proportion(labels), auc_interval(labels, scores)):
        assert 0 <= interval.low <= interval.high <= 1
        if not np.isnan(interval.value):
            assert interval.low <= interval.value <= interval.high


def test_auc_interval_covers_the_truth_19_times_in_20() -> None:
    # Two unit-variance normals 1.2 apart: the true AUC is Phi(1.2 / sqrt 2).
    truth, rng = stats.norm.cdf(1.2 / np.sqrt(2)), np.random.default_rng(0)
    labels = np.repeat([0, 1], [60, 40])
    hits = [auc_interval(labels, rng.normal(1.2 * labels)).includes(truth) for _ in range(2000)]
    assert 0.93 < np.mean(hits) < 0.975


def test_perfect_separation_still_has_an_interval() -> None:
    labels = np.repeat([0, 1], 20)
    interval = auc_interval(labels, labels.astype(float))
    assert interval.value == 1.0
    assert 0.8 < interval.low < 0.98
    assert interval.high == 1.0


def test_copies_of_a_patient_add_no_information() -> None:
    """Four identical images of each patient: with groups the interval is about that of the patients alone."""
    rng = np.random.default_rng(1)
    outcome, label = rng.random(50) < 0.7, np.arange(50) % 2
    score = rng.normal(label)
    patients = np.repeat(np.arange(50), 4)
    alone, naive, grouped = (
        proportion(outcome),
        proportion(np.repeat(outcome, 4)),
        proportion(np.repeat(outcome, 4), patients),
    )
    width = [i.high - i.low for i in (alone, naive, grouped)]
    assert width[1] < 0.6 * width[0]
    assert width[2] == pytest.approx(width[0], rel=0.05)
    alone, naive, grouped = (
        auc_interval(label, score),
        auc_interval(np.repeat(label, 4), np.repeat(score, 4)),
        auc_interval(np.repeat(label, 4), np.repeat(score, 4), patients),
    )
    width = [i.high - i.low for i in (alone, naive, grouped)]
    assert width[1] < 0.6 * width[0]
    assert width[2] == pytest.approx(width[0], rel=0.12)


def test_mean_t_equals_scipy() -> None:
    values = np.array([0.2, 0.5, 0.9, 0.4, 0.7])
    low, high = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
    ours = mean_t(values)
    assert (ours.low, ours.high) == pytest.approx((low, high))
