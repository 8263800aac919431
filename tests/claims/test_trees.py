"""The neutral form gives each library's own margin, on the thresholds too."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from scipy.special import expit
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from mithridate.claims.trees import Ensemble, read_model
from mithridate.errors import UserError

MODELS: dict[str, Any] = {
    "lightgbm": lambda: lightgbm.LGBMClassifier(n_estimators=20, num_leaves=8, verbose=-1, n_jobs=1),
    "lightgbm, random forest": lambda: lightgbm.LGBMClassifier(
        boosting_type="rf", n_estimators=7, num_leaves=8, subsample=0.7, subsample_freq=1, verbose=-1, n_jobs=1
    ),
    "xgboost": lambda: xgboost.XGBClassifier(n_estimators=20, max_depth=4, n_jobs=1, base_score=0.3),
    "decision tree": lambda: DecisionTreeClassifier(max_depth=5, random_state=0),
    "random forest": lambda: RandomForestClassifier(n_estimators=9, max_depth=5, random_state=0),
    "extra trees": lambda: ExtraTreesClassifier(n_estimators=9, max_depth=5, random_state=0),
    "gradient boosting": lambda: GradientBoostingClassifier(n_estimators=15, random_state=0),
    "histogram boosting": lambda: HistGradientBoostingClassifier(max_iter=15, random_state=0),
    "logistic": lambda: LogisticRegression(),
    "scaled logistic": lambda: make_pipeline(StandardScaler(), MinMaxScaler(), LogisticRegression()),
}


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    x = np.column_stack([rng.integers(0, 4, (600, 4)), rng.normal(size=(600, 3)) / 3])
    return x, (x[:, 0] + x[:, 1] * x[:, 4] + rng.normal(size=600) > 2).astype(int)


@pytest.mark.parametrize("name", MODELS)
def test_same_probability_as_the_library(name: str, data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = data
    model = MODELS[name]().fit(x, y)
    exact = read_model(model)
    rows = x
    if isinstance(exact, Ensemble):
        # Values on every threshold, and one float to either side of it.
        edges = [
            (int(f), t) for tree in exact.trees for f, t in zip(tree.feature, tree.threshold, strict=True) if f >= 0
        ]
        on = np.array([np.where(np.arange(x.shape[1]) == f, t, x[i % len(x)]) for i, (f, t) in enumerate(edges)])
        rows = np.vstack([x, on, np.nextafter(on, np.inf), np.nextafter(on, -np.inf)])
        assert not isinstance(exact, Ensemble) or len(edges) > 10
    margin = exact.margin(rows)
    probability = margin if isinstance(exact, Ensemble) and not exact.logistic else expit(margin)
    np.testing.assert_allclose(probability, model.predict_proba(rows)[:, 1], atol=3e-7 if name == "xgboost" else 1e-9)
    assert exact.margin_at(0.25) == pytest.approx(0.25 if probability is margin else -np.log(3))


def test_refuses_what_it_cannot_treat_exactly(data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = data
    with pytest.raises(UserError, match="GaussianNB"):
        read_model(GaussianNB().fit(x, y))
    category = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1).fit(x, y, categorical_feature=[0, 1])
    with pytest.raises(UserError, match="categories"):
        read_model(category)
    with pytest.raises(UserError, match="exact form"):
        read_model(make_pipeline(StandardScaler(), DecisionTreeClassifier()).fit(x, y))
    clipped = make_pipeline(MinMaxScaler(clip=True), LogisticRegression()).fit(x, y)
    with pytest.raises(UserError, match="clip"):
        read_model(clipped)
