"""A payer's model of denial or fraud: features, a classifier, calibration, and the threshold it decides by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from mithridate.claims.claim import Claim
from mithridate.claims.features import Detail, FeatureSpace
from mithridate.claims.payment import Pricer
from mithridate.claims.trees import Exact, read_model
from mithridate.errors import MissingExtra, UserError
from mithridate.seeds import derive
from mithridate.statistics import Interval, auc_interval, proportion

Kind = Literal["lightgbm", "xgboost", "logistic", "random-forest"]
Part = Literal["train", "calibration", "test"]
RATES = (0.01, 0.05)
"""False-positive rates at which detection is reported."""


@dataclass(frozen=True)
class Recipe:
    """How a detector is trained.

    trees and leaves size the ensembles (a random forest takes `leaves` a tree too); detail is the finest family of
    codes that it sees; monotone makes the score never fall when a code is added or more is paid, all else equal;
    false_positive_rate is that of the threshold it decides by; least: claims that a column needs.
    """

    kind: Kind = "lightgbm"
    trees: int = 100
    leaves: int = 16
    detail: Detail = "code"
    monotone: bool = False
    false_positive_rate: float = 0.05
    least: int = 20

    def __post_init__(self) -> None:
        if not 0 < self.false_positive_rate < 1:
            raise UserError(f"a false-positive rate of {self.false_positive_rate} is none: give one between 0 and 1")
        if self.monotone and self.kind not in ("lightgbm", "xgboost"):
            raise UserError(f"a {self.kind} model takes no monotone constraints: use lightgbm or xgboost")


@dataclass(frozen=True, eq=False)
class Detector:
    """A trained model.  A claim is denied when its margin is `ceiling` or more.

    `model` is any fitted binary classifier over the columns of `features`; `slope` and `offset` turn a margin into a
    calibrated probability (Platt); ceilings holds the margin for each rate of RATES.
    """

    features: FeatureSpace
    model: Any
    ceiling: float
    slope: float = 1.0
    offset: float = 0.0
    ceilings: tuple[float, ...] = ()
    name: str = "detector"

    @property
    def threshold(self) -> float:
        """The calibrated probability at the ceiling."""
        return float(expit(self.slope * self.ceiling + self.offset))

    @cached_property
    def exact(self) -> Exact:
        """The model in neutral form.  Raises UserError when it is neither trees nor linear."""
        found, width = read_model(self.model), len(self.features.names)
        # A wrapper around trees may answer on another scale: what was read must be what is asked.
        rows = np.random.default_rng(0).integers(0, 3, (8, width)).astype(float)
        if not np.allclose(found.margin(rows), raw_margins(self.model, rows), atol=1e-5):
            name = type(self.model).__name__
            raise UserError(f"{name} answers otherwise than the trees or weights inside it: it has no exact form here")
        return found

    def margins(self, claims: Sequence[Claim]) -> NDArray[np.float64]:
        """The model's own output (N) before calibration."""
        return raw_margins(self.model, self.features.transform(claims))

    def score(self, claims: Sequence[Claim]) -> NDArray[np.float64]:
        """Calibrated probability of fraud (N)."""
        scores: NDArray[np.float64] = expit(self.slope * self.margins(claims) + self.offset)
        return scores

    def denies(self, claims: Sequence[Claim]) -> NDArray[np.bool_]:
        """Whether each claim (N) is denied."""
        return np.asarray(self.margins(claims) >= self.ceiling)


@dataclass(frozen=True)
class Performance:
    """What a detector is worth on untouched claims; intervals widened for claims of one provider.

    detection and precision at each of RATES, thresholds being those of the calibration part.
    """

    claims: int
    providers: int
    fraud: int
    auc: Interval
    detection: tuple[Interval, ...]
    precision: tuple[Interval, ...]
    false_positives: tuple[Interval, ...]
    calibration_error: float


def part_of(provider: str, seed: int) -> Part:
    """Providers, never claims, are divided: 60% train, 20% calibration, 20% test."""
    place = derive(seed, "part", provider) % 10
    return "train" if place < 6 else "calibration" if place < 8 else "test"


def train(
    claims: Sequence[Claim],
    fraud: ArrayLike,
    recipe: Recipe | None = None,
    *,
    pricer: Pricer | None = None,
    seed: int = 0,
    extra: tuple[Sequence[Claim], ArrayLike] | None = None,
    estimator: Any = None,
) -> tuple[Detector, Performance]:
    """Train on one part of the providers, set thresholds on the second, and measure on the third.

    fraud: N booleans.  `extra` adds claims and labels to the training part only (adversarial training).
    `estimator` is a classifier of the caller's: a copy of it is fitted in place of the recipe's.
    Raises UserError when a part lacks one of the two classes, or the estimator cannot be fitted.
    """
    recipe, label = recipe or Recipe(), np.asarray(fraud).astype(bool)
    parts = np.array([part_of(claim.provider, seed) for claim in claims])
    for part in ("train", "calibration", "test"):
        if len(set(label[parts == part].tolist())) < 2:
            raise UserError(
                f"the {part} part of {len(claims)} claims has no fraud or nothing else: give claims of more providers"
            )
    learned = [claims[i] for i in np.flatnonzero(parts == "train").tolist()]
    features = FeatureSpace.fit(learned, pricer, recipe.detail, recipe.least)
    x, y = features.transform(learned), label[parts == "train"]
    if extra is not None and len(extra[0]):
        x = np.vstack([x, features.transform(extra[0])])
        y = np.concatenate([y, np.asarray(extra[1]).astype(bool)])
    model = _classifier(recipe, features, seed) if estimator is None else _copy(estimator)
    try:
        model.fit(x, y.astype(int))
    except Exception as error:
        if estimator is None:
            raise
        raise UserError(f"the {type(model).__name__} cannot be fitted to {x.shape[1]} columns: {error}") from error
    held = [claims[i] for i in np.flatnonzero(parts == "calibration").tolist()]
    margin, truth = raw_margins(model, features.transform(held)), label[parts == "calibration"]
    slope, offset = _platt(margin, truth)
    ceilings = tuple(ceiling_at(margin[~truth], rate) for rate in RATES)
    own = ceiling_at(margin[~truth], recipe.false_positive_rate)
    name = recipe.kind if estimator is None else type(estimator).__name__
    detector = Detector(features, model, own, slope, offset, ceilings, name)
    tested = np.flatnonzero(parts == "test").tolist()
    return detector, measure(detector, [claims[i] for i in tested], label[tested])


def measure(detector: Detector, claims: Sequence[Claim], fraud: ArrayLike) -> Performance:
    """How a detector fares on claims as they are."""
    truth, groups = np.asarray(fraud).astype(bool), np.array([claim.provider for claim in claims])
    margin = detector.margins(claims)
    # A rate that a model of labels cannot be set to has a ceiling of NaN: what is measured there is not defined.
    known = [slice(None) if np.isfinite(ceiling) else slice(0) for ceiling in detector.ceilings]
    rated = [(margin[part] >= c, truth[part], groups[part]) for c, part in zip(detector.ceilings, known, strict=True)]
    scores = expit(detector.slope * margin + detector.offset)
    return Performance(
        claims=len(claims),
        providers=len(set(groups.tolist())),
        fraud=int(truth.sum()),
        auc=auc_interval(truth, margin, groups),
        detection=tuple(proportion(flags[bad], group[bad]) for flags, bad, group in rated),
        precision=tuple(proportion(bad[flags], group[flags]) for flags, bad, group in rated),
        false_positives=tuple(proportion(flags[~bad], group[~bad]) for flags, bad, group in rated),
        calibration_error=_calibration_error(scores, truth),
    )


def raw_margins(model: Any, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """A classifier's output before any link, for rows N x F: the scale that `trees.read_model` reproduces."""
    if not len(x):
        return np.zeros(0)
    library = type(model).__module__.split(".")[0]
    if library == "lightgbm":
        return np.asarray(getattr(model, "booster_", model).predict(x, raw_score=True, num_threads=1), dtype=float)
    if library == "xgboost":
        if hasattr(model, "get_booster"):
            return np.asarray(model.predict(x, output_margin=True), dtype=float)
        from xgboost import DMatrix

        return np.asarray(model.predict(DMatrix(x), output_margin=True), dtype=float)
    if hasattr(model, "decision_function"):
        return np.asarray(model.decision_function(x), dtype=float)
    return np.asarray(model.predict_proba(x)[:, 1], dtype=float)


def _copy(estimator: Any) -> Any:
    from sklearn.base import clone

    return clone(estimator)


def _classifier(recipe: Recipe, features: FeatureSpace, seed: int) -> Any:
    rising = [1 if part in ("counted", "paid") else 0 for part in features.parts] if recipe.monotone else None
    number = derive(seed, "classifier") % 2**31
    if recipe.kind == "lightgbm":
        try:
            from lightgbm import LGBMClassifier
        except ModuleNotFoundError:
            raise MissingExtra("a LightGBM detector", "claims") from None
        return LGBMClassifier(
            n_estimators=recipe.trees,
            num_leaves=recipe.leaves,
            monotone_constraints=rising,
            random_state=number,
            deterministic=True,
            force_row_wise=True,
            n_jobs=1,
            verbose=-1,
        )
    if recipe.kind == "xgboost":
        try:
            from xgboost import XGBClassifier
        except ModuleNotFoundError:
            raise MissingExtra("an XGBoost detector", "claims") from None
        return XGBClassifier(
            n_estimators=recipe.trees,
            max_leaves=recipe.leaves,
            tree_method="hist",
            grow_policy="lossguide",
            max_depth=0,
            learning_rate=0.1,
            monotone_constraints=None if rising is None else tuple(rising),
            random_state=number,
            n_jobs=1,
        )
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if recipe.kind == "logistic":
        return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    return RandomForestClassifier(recipe.trees, max_leaf_nodes=recipe.leaves, random_state=number, n_jobs=1)


def ceiling_at(honest: NDArray[np.float64], rate: float) -> float:
    """A margin that at most `rate` of the honest claims reach, half-way to the next of theirs: on either side of it
    margins and calibrated scores agree, whatever the rounding."""
    ordered = np.sort(honest)
    last = ordered[len(ordered) - int(rate * len(ordered)) - 1]
    above = ordered[ordered > last]
    return float((last + above[0]) / 2 if len(above) else last + 1e-6)


def _platt(margin: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and offset of the calibration (Platt 1999); a slope that is not positive keeps the model's own order."""
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=1e6).fit(margin[:, None], truth)
    slope = float(fitted.coef_[0, 0])
    return (slope, float(fitted.intercept_[0])) if slope > 0 else (1.0, 0.0)


def _calibration_error(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Expected calibration error over ten bins of equal width."""
    bins = np.minimum((scores * 10).astype(int), 9)
    gaps = [abs(scores[bins == b].mean() - truth[bins == b].mean()) * (bins == b).mean() for b in set(bins.tolist())]
    return float(sum(gaps))
