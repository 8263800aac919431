"""The CUSUM against its closed form, and the attacker who spreads thin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mithridate.claims.drift import Baseline, Cusum, fitted_limit, watch
from mithridate.errors import UserError


@settings(deadline=None, derandomize=True, max_examples=50)
@given(shift=st.floats(0.6, 5), allowance=st.floats(0.1, 0.5), limit=st.floats(0.5, 20))
def test_constant_shift_is_found_after_limit_over_excess(shift: float, allowance: float, limit: float) -> None:
    alarm = Cusum(allowance, limit).alarm(np.full(2000, shift))
    expected = limit / (shift - allowance)
    assert alarm is not None
    assert abs((alarm + 1) - expected) <= 1.0 + 1e-6


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.lists(st.floats(-3, 3), min_size=1, max_size=30))
def test_path_is_the_largest_sum_that_ends_here(z: list[float]) -> None:
    path = Cusum(0.4, 1).path(z)
    for end in range(len(z)):
        sums = [sum(value - 0.4 for value in z[start : end + 1]) for start in range(end + 1)]
        assert path[end] == pytest.approx(max(0.0, *sums), abs=1e-9)


def test_spreading_thin_stays_under_the_alarm() -> None:
    cusum, shift = Cusum(0.5, 4.0), 2.0
    share = cusum.spread(shift)
    assert share == 0.25
    thin = np.tile([shift, 0.0, 0.0, 0.0], 500)  # edited claims at just that share
    thick = np.tile([shift, 0.0, 0.0], 500)
    assert cusum.alarm(thin) is None
    assert cusum.alarm(thick) is not None
    assert cusum.spread(0.3) == 1.0


def test_watch_counts_days_from_the_first_claim() -> None:
    providers = ["a"] * 30 + ["b"] * 30
    days = [10 + i for i in range(30)] * 2
    z = [0.0] * 10 + [3.0] * 20 + [0.0] * 30
    found = watch(providers, days, z, Cusum(0.5, 5.0))
    assert found.providers == ("a", "b")
    assert found.days == (13, None)  # 2.5 a day from day 11 on: above 5 on the third
    assert found.claims == (13, None)
    assert found.detected == 0.5


def test_claims_of_one_day_count_together() -> None:
    providers, days = ["busy"] * 12, [0] * 4 + [1] * 4 + [5] * 4
    found = watch(providers, days, [1.0] * 12, Cusum(0.5, 2.0))
    # Four claims of 1 are a day of 2: 1.5 a day, above 2 on the second day that has claims.
    assert (found.days, found.claims) == ((2,), (8,))
    assert watch(providers, days, [1.0] * 12, Cusum(0.5, 4.0)).days == (6,)


def test_limit_keeps_the_false_alarms_that_were_asked_for() -> None:
    rng = np.random.default_rng(0)
    providers = [f"p{i // 40}" for i in range(4000)]
    days = [i % 40 for i in range(4000)]
    z = rng.normal(size=4000)
    cusum = fitted_limit(providers, days, z, false_alarms=0.05)
    assert watch(providers, days, z, cusum).detected == pytest.approx(0.05)
    assert watch(providers, days, z + 1.5, cusum).detected > 0.95


def test_baseline_standardizes_within_groups() -> None:
    rng = np.random.default_rng(1)
    groups = ["stay"] * 50 + ["visit"] * 50
    paid = np.r_[rng.normal(9000, 500, 50), rng.normal(90, 5, 50)]
    z = Baseline.fit(groups, paid).standardized(groups, paid)
    assert z[:50].mean() == pytest.approx(0, abs=1e-9)
    assert z[50:].std(ddof=1) == pytest.approx(1)
    with pytest.raises(UserError, match="at least 10"):
        Baseline.fit(["few"] * 3, [1.0, 2.0, 3.0])
    with pytest.raises(UserError, match="no claims"):
        Baseline.fit([], [])
    with pytest.raises(UserError, match="CUSUM"):
        Cusum(-1, 3)
