"""The program's optimum is the best of all edits, each tried on the model itself."""

from __future__ import annotations

from itertools import product
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from mithridate.claims.attacks.milp import Problem, Row, highest_worth, lowest_margin
from mithridate.claims.attacks.reduced import MOST_VALUES, reachable_values
from mithridate.claims.trees import Exact, read_model

FEATURES = 6


@pytest.fixture(scope="module")
def models() -> dict[str, Exact]:
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.integers(0, 4, (500, FEATURES - 1)), rng.normal(size=500)])
    y = (x[:, 0] * x[:, 1] - x[:, 2] + 2 * x[:, 5] + rng.normal(size=500) > 1).astype(int)
    fitted: list[Any] = [
        lightgbm.LGBMClassifier(n_estimators=12, num_leaves=8, verbose=-1, n_jobs=1).fit(x, y),
        xgboost.XGBClassifier(n_estimators=10, max_depth=4, n_jobs=1).fit(x, y),
        RandomForestClassifier(6, max_depth=5, random_state=0, n_jobs=1).fit(x, y),
        LogisticRegression().fit(x, y),
    ]
    return {type(model).__name__: read_model(model) for model in fitted}


def every_choice(problem: Problem) -> np.ndarray:
    """All settings of the binaries that keep the rows, groups and `most`."""
    found = []
    for bits in product((0, 1), repeat=len(problem.worth)):
        z = np.array(bits)
        free = [i for i in range(len(z)) if not any(i in g for g in problem.groups)]
        if z[free].sum() > problem.most or any(z[list(g)].sum() != 1 for g in problem.groups):
            continue
        sums = [(float(np.dot(z[list(r.variables)], r.coefficients)), r) for r in problem.rows]
        if all(r.lower - 1e-9 <= total <= r.upper + 1e-9 for total, r in sums):
            found.append(z)
    return np.array(found).reshape(-1, len(problem.worth))


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    free, choices, most = int(rng.integers(2, 7)), int(rng.choice([0, 2, 3])), int(rng.integers(1, 4))
    n = free + choices
    effects = rng.choice([-1.0, 0.0, 0.0, 1.0, 2.0], (n, FEATURES))
    effects[:, 5] = rng.choice([0.0, 0.25, -0.3, 0.5], n)
    if choices and rng.random() < 0.7:  # as a payment does: one feature that only the group decides
        effects[:free, 5] = 0
    rows = [Row(tuple(range(free)), (1.0,) * free, 0.0, float(most))]
    if free > 2:
        rows.append(Row((0, 1), (1.0, 1.0), 0.0, 1.0))
    return Problem(
        start=np.append(rng.integers(0, 4, FEATURES - 1), rng.normal()).astype(float),
        effects=effects,
        worth=np.round(rng.normal(0, 100, n), 2),
        rows=tuple(rows),
        groups=(tuple(range(free, n)),) if choices else (),
        most=most,
    )


@given(
    problem=problems(),
    name=st.sampled_from(["LGBMClassifier", "XGBClassifier", "RandomForestClassifier", "LogisticRegression"]),
    share=st.floats(0, 1),
)
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_optimum_is_the_best_of_all_choices(
    models: dict[str, Exact], problem: Problem, name: str, share: float
) -> None:
    model, choices = models[name], every_choice(problem)
    margins = model.margin(problem.start + choices @ problem.effects)
    lowest = lowest_margin(problem, model, seconds=600)
    assert lowest.status == "optimal"
    assert lowest.objective == pytest.approx(margins.min(), abs=1e-5)
    picked = np.isin(np.arange(len(problem.worth)), lowest.chosen)
    assert model.margin(problem.start + picked @ problem.effects)[0] == pytest.approx(margins.min(), abs=1e-5)
    # A ceiling between two margins that are met, away from both.
    ordered = np.unique(np.round(margins, 4))
    at = int(share * (len(ordered) - 1))
    ceiling = float(ordered[at] + (ordered[at + 1] - ordered[at]) / 2 if at + 1 < len(ordered) else ordered[at] + 1)
    best = (choices @ problem.worth)[margins <= ceiling].max()
    found = highest_worth(problem, model, ceiling=ceiling, seconds=600)
    assert found.status == "optimal"
    assert found.objective == pytest.approx(best, abs=1e-4)
    assert highest_worth(problem, model, ceiling=ceiling, floor=best + 0.001, seconds=600).status == "infeasible"
    assert highest_worth(problem, model, ceiling=float(margins.min()) - 0.01, seconds=600).status == "infeasible"


def test_reachable_values_are_all_the_sums() -> None:
    values = reachable_values(1.0, np.array([1.0, 1.0, -0.5, 0.0]), [np.array([0.0, 10.0])], 2)
    assert values.tolist() == [0.5, 1.0, 1.5, 2.0, 3.0, 10.5, 11.0, 11.5, 12.0, 13.0]
    with pytest.raises(ValueError, match="too many ways"):
        reachable_values(0.0, 2.0 ** np.arange(14), [], 14)
    assert MOST_VALUES < 2**14


def test_stops_at_its_node_limit_without_a_claim(models: dict[str, Exact]) -> None:
    rng = np.random.default_rng(5)
    effects = rng.choice([-1.0, 0.0, 1.0, 2.0], (24, FEATURES))
    row = Row(tuple(range(24)), (1.0,) * 24, 0.0, 4.0)
    problem = Problem(np.full(FEATURES, 1.0), effects, np.zeros(24), (row,), (), 4)
    assert lowest_margin(problem, models["LGBMClassifier"], nodes=0).status in ("unfinished", "optimal")
    assert lowest_margin(problem, models["LGBMClassifier"], seconds=0.0).status == "unfinished"
