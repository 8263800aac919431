"""Models under audit that were not trained here: a function or an endpoint, asked as it is, and a user's estimator."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mithridate.claims.claim import Claim
from mithridate.claims.detector import RATES, Detector, Performance, ceiling_at, measure, part_of
from mithridate.claims.features import FeatureSpace
from mithridate.claims.payment import Pricer
from mithridate.errors import UserError

TRUST = "give --allow-code if you trust it as you trust a program"


@dataclass(frozen=True, eq=False)
class OutsideDetector(Detector):
    """A model that is asked and not read: its margin is its own score, or 0 and 1 for labels.

    `features` are columns of the attacker's, for a surrogate; with labels only `ceilings` are NaN.
    """

    labels_only: bool = False

    def margins(self, claims: Sequence[Claim]) -> NDArray[np.float64]:
        """The model's answers (N)."""
        if not len(claims):
            return np.zeros(0)
        answers = self.model.denies(claims) if self.labels_only else self.model.score(claims)
        return np.asarray(answers, dtype=np.float64)


def adopt(
    model: Any,
    claims: Sequence[Claim],
    fraud: ArrayLike,
    *,
    labels_only: bool = False,
    threshold: float | None = None,
    false_positive_rate: float = 0.05,
    pricer: Pricer | None = None,
    seed: int = 0,
    name: str = "callable",
) -> tuple[OutsideDetector, Performance]:
    """A `Scorer` (or with `labels_only` a `Decider`) as the model under audit, measured on the test part.

    threshold: scores from which a claim is denied; None sets it on honest claims of the calibration part.
    Raises UserError when that part holds no honest claim.
    """
    label = np.asarray(fraud).astype(bool)
    parts = np.array([part_of(claim.provider, seed) for claim in claims])
    honest = [claims[i] for i in np.flatnonzero((parts == "calibration") & ~label).tolist()]
    learned = [claims[i] for i in np.flatnonzero(parts == "train").tolist()]
    if not honest or not learned:
        raise UserError(f"{len(claims)} claims leave no honest ones to calibrate with: give claims of more providers")
    features = FeatureSpace.fit(learned, pricer)
    if labels_only:
        unknown = (float("nan"),) * len(RATES)
        detector = OutsideDetector(features, model, 0.5, 2.0, -1.0, unknown, name, labels_only=True)
    else:
        scores = np.asarray(model.score(honest), dtype=float)
        ceiling = ceiling_at(scores, false_positive_rate) if threshold is None else threshold
        # Scores of any scale are shown to attackers in the same order, with the threshold at one half.
        slope = 1.0 / (float(scores.std()) or 1.0)
        ceilings = tuple(ceiling_at(scores, rate) for rate in RATES)
        detector = OutsideDetector(features, model, ceiling, slope, -slope * ceiling, ceilings, name)
    tested = np.flatnonzero(parts == "test").tolist()
    return detector, measure(detector, [claims[i] for i in tested], label[tested])


def load_function(name: str, *, allow_code: bool) -> Callable[[Sequence[Claim]], ArrayLike]:
    """The function that "package.module:function" names, looked for in the working folder too.

    Raises UserError when code is not allowed, or there is no such function.
    """
    if not allow_code:
        raise UserError(f"'function: {name}' runs code of yours; {TRUST}")
    place, _, function = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:  # an installed command does not look for modules where it is called
        sys.path.insert(0, here)
    try:
        found: Callable[[Sequence[Claim]], ArrayLike] = getattr(importlib.import_module(place), function)
    except Exception as error:
        raise UserError(f"{name} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise UserError(f"{name} is a {type(found).__name__} and no function: name one that takes claims")
    return found


def load_estimator(file: Path, *, allow_code: bool) -> Any:
    """A scikit-learn classifier or pipeline saved with joblib or pickle.

    Raises UserError when code is not allowed, or the file holds no classifier that gives scores.
    """
    if not file.is_file():
        raise UserError(f"{file} is not there: give a classifier saved with joblib")
    if not allow_code:
        raise UserError(f"{file}: an estimator is a pickle, and loading it runs code from the file; {TRUST}")
    import joblib  # type: ignore[import-untyped]
    from sklearn.exceptions import InconsistentVersionWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", InconsistentVersionWarning)
            found = joblib.load(file)
    except Exception as error:
        raise UserError(f"{file} cannot be loaded: {type(error).__name__}: {error}") from error
    if not hasattr(found, "fit") or not (hasattr(found, "decision_function") or hasattr(found, "predict_proba")):
        raise UserError(f"{file} holds a {type(found).__name__} and no classifier with predict_proba or "
                        "decision_function")  # fmt: skip
    return found
